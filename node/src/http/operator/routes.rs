//! The paths of operators: the one table that requests are matched against and that their OpenAPI document is checked
//! with.

use http::Method;

use crate::http::refusal::Refusal;
use crate::http::routes::matched;

/// One documented path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Orders,
    Order,
    Act(OrderAct),
    Events,
    Holds,
    Sources,
    Review,
    Dispatch,
    Overcommits,
    Routing,
    Handover,
    Policies,
    Shadow,
    Invalidate,
    Resync,
    Cluster,
    Recovery,
    OpenApi,
}

/// What is done to one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderAct {
    Approve,
    Reject,
    Redispatch,
    Edit,
    Dismiss,
    Release,
}

impl Route {
    pub(crate) const ALL: [Self; 23] = [
        Self::Orders,
        Self::Order,
        Self::Act(OrderAct::Approve),
        Self::Act(OrderAct::Reject),
        Self::Act(OrderAct::Redispatch),
        Self::Act(OrderAct::Edit),
        Self::Act(OrderAct::Dismiss),
        Self::Act(OrderAct::Release),
        Self::Events,
        Self::Holds,
        Self::Sources,
        Self::Review,
        Self::Dispatch,
        Self::Overcommits,
        Self::Routing,
        Self::Handover,
        Self::Policies,
        Self::Shadow,
        Self::Invalidate,
        Self::Resync,
        Self::Cluster,
        Self::Recovery,
        Self::OpenApi,
    ];

    /// As documented, and as the metrics label.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Orders => "/v1/operator/orders",
            Self::Order => "/v1/operator/orders/{order}",
            Self::Act(OrderAct::Approve) => "/v1/operator/orders/{order}/approve",
            Self::Act(OrderAct::Reject) => "/v1/operator/orders/{order}/reject",
            Self::Act(OrderAct::Redispatch) => "/v1/operator/orders/{order}/redispatch",
            Self::Act(OrderAct::Edit) => "/v1/operator/orders/{order}/edit",
            Self::Act(OrderAct::Dismiss) => "/v1/operator/orders/{order}/dismiss",
            Self::Act(OrderAct::Release) => "/v1/operator/orders/{order}/release",
            Self::Events => "/v1/operator/events",
            Self::Holds => "/v1/operator/holds",
            Self::Sources => "/v1/operator/sources",
            Self::Review => "/v1/operator/review",
            Self::Dispatch => "/v1/operator/dispatch",
            Self::Overcommits => "/v1/operator/overcommits",
            Self::Routing => "/v1/operator/routing",
            Self::Handover => "/v1/operator/handover",
            Self::Policies => "/v1/operator/policies",
            Self::Shadow => "/v1/operator/shadow",
            Self::Invalidate => "/v1/operator/invalidate",
            Self::Resync => "/v1/operator/resync",
            Self::Cluster => "/v1/operator/cluster",
            Self::Recovery => "/v1/operator/recovery",
            Self::OpenApi => "/v1/operator/openapi.json",
        }
    }

    /// The `Allow` header.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Act(_) | Self::Invalidate | Self::Resync => "POST",
            Self::Routing => "GET, HEAD, PUT",
            Self::Handover => "GET, HEAD, POST",
            Self::Orders
            | Self::Order
            | Self::Events
            | Self::Holds
            | Self::Sources
            | Self::Review
            | Self::Dispatch
            | Self::Overcommits
            | Self::Policies
            | Self::Shadow
            | Self::Cluster
            | Self::Recovery
            | Self::OpenApi => "GET, HEAD",
        }
    }

    /// The route of a path, and what stands for the part in braces.
    pub(crate) fn find<'a>(method: &Method, path: &'a str) -> (Option<Self>, Result<&'a str, Refusal>) {
        let found = Self::ALL.into_iter().find_map(|route| Some((route, matched(route.path(), path)?)));
        let Some((route, named)) = found else { return (None, Err(Refusal::NotFound)) };
        let allow = route.allow();
        let allowed = allow.split(", ").any(|name| name == method.as_str());
        (Some(route), if allowed { Ok(named) } else { Err(Refusal::MethodNotAllowed { allow }) })
    }
}
