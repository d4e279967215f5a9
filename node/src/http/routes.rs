//! The paths of the API: the one table that requests are matched against and that the OpenAPI document is
//! checked with.

use http::Method;

use super::refusal::Refusal;

/// One documented path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Lookup,
    LookupItem,
    Orders,
    Order,
    OrderEvents,
    OrderCancel,
    Holds,
    Hold,
    OpenApi,
    Health,
    Ready,
    Metrics,
}

impl Route {
    pub(crate) const ALL: [Self; 12] = [
        Self::Lookup,
        Self::LookupItem,
        Self::Orders,
        Self::Order,
        Self::OrderEvents,
        Self::OrderCancel,
        Self::Holds,
        Self::Hold,
        Self::OpenApi,
        Self::Health,
        Self::Ready,
        Self::Metrics,
    ];

    /// As documented, and as the metrics label.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Lookup => "/v1/price-availability",
            Self::LookupItem => "/v1/price-availability/{item}",
            Self::Orders => "/v1/orders",
            Self::Order => "/v1/orders/{order}",
            Self::OrderEvents => "/v1/orders/{order}/events",
            Self::OrderCancel => "/v1/orders/{order}/cancel",
            Self::Holds => "/v1/holds",
            Self::Hold => "/v1/holds/{hold}",
            Self::OpenApi => "/v1/openapi.json",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
        }
    }

    /// The `Allow` header.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Lookup | Self::Orders | Self::OrderCancel | Self::Holds => "POST",
            Self::Hold => "DELETE, GET, HEAD, PATCH",
            Self::LookupItem
            | Self::Order
            | Self::OrderEvents
            | Self::OpenApi
            | Self::Health
            | Self::Ready
            | Self::Metrics => "GET, HEAD",
        }
    }

    /// The route of a path, and what stands for the part in braces, still percent-encoded.
    pub(crate) fn find<'a>(method: &Method, path: &'a str) -> (Option<Self>, Result<&'a str, Refusal>) {
        let found = Self::ALL.into_iter().find_map(|route| Some((route, matched(route.path(), path)?)));
        let Some((route, named)) = found else { return (None, Err(Refusal::NotFound)) };
        let allow = route.allow();
        let allowed = allow.split(", ").any(|name| name == method.as_str());
        (Some(route), if allowed { Ok(named) } else { Err(Refusal::MethodNotAllowed { allow }) })
    }
}

/// What stands for the part in braces; empty where the template has none. `None`: another path.
pub(super) fn matched<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut named = "";
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(named),
            (Some(part), Some(text)) if part.starts_with('{') && !text.is_empty() => named = text,
            (Some(part), Some(text)) if part == text => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, want: Option<Route>, refusal: Option<&str>) {
        let method: Method = method.parse().unwrap();
        let (route, result) = Route::find(&method, path);
        assert_eq!(route, want, "{method} {path}");
        assert_eq!(result.err().map(|e| e.code().as_str()), refusal, "{method} {path}");
    }

    #[test]
    fn paths_are_matched_whole() {
        check("POST", "/v1/price-availability", Some(Route::Lookup), None);
        check("GET", "/v1/price-availability", Some(Route::Lookup), Some("method_not_allowed"));
        check("GET", "/v1/price-availability/", None, Some("not_found"));
        check("GET", "/v1/price-availability/SKU-1", Some(Route::LookupItem), None);
        check("HEAD", "/v1/price-availability/a%2Fb", Some(Route::LookupItem), None);
        check("GET", "/v1/price-availability/a/b", None, Some("not_found"));
        check("POST", "/v1/price-availability/SKU-1", Some(Route::LookupItem), Some("method_not_allowed"));
        check("POST", "/v1/orders", Some(Route::Orders), None);
        check("GET", "/v1/orders/", None, Some("not_found"));
        check("GET", "/v1/orders/abc", Some(Route::Order), None);
        check("GET", "/v1/orders/abc/events", Some(Route::OrderEvents), None);
        check("GET", "/v1/orders/abc/cancel", Some(Route::OrderCancel), Some("method_not_allowed"));
        check("PATCH", "/v1/holds/abc", Some(Route::Hold), None);
        check("GET", "/healthz", Some(Route::Health), None);
        check("GET", "/readyz", Some(Route::Ready), None);
        check("GET", "/metrics", Some(Route::Metrics), None);
        check("PUT", "/metrics", Some(Route::Metrics), Some("method_not_allowed"));
        check("GET", "/v1/openapi.json", Some(Route::OpenApi), None);
        check("GET", "/", None, Some("not_found"));
        check("GET", "/v2/price-availability", None, Some("not_found"));
    }
}
