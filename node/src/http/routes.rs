//! The paths of the API: the one table that requests are matched against and that the OpenAPI document is
//! checked with.

use http::Method;

use super::refusal::Refusal;

/// One documented path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Lookup,
    LookupItem,
    OpenApi,
    Health,
    Ready,
    Metrics,
}

impl Route {
    pub(crate) const ALL: [Self; 6] =
        [Self::Lookup, Self::LookupItem, Self::OpenApi, Self::Health, Self::Ready, Self::Metrics];

    /// As documented, and as the metrics label.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Lookup => "/v1/price-availability",
            Self::LookupItem => "/v1/price-availability/{item}",
            Self::OpenApi => "/v1/openapi.json",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
        }
    }

    /// The `Allow` header.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Lookup => "POST",
            Self::LookupItem | Self::OpenApi | Self::Health | Self::Ready | Self::Metrics => "GET, HEAD",
        }
    }

    /// The route of a path, and what stands for `{item}` in it, still percent-encoded.
    pub(crate) fn find<'a>(method: &Method, path: &'a str) -> (Option<Self>, Result<&'a str, Refusal>) {
        let item = path.strip_prefix("/v1/price-availability/").unwrap_or_default();
        let route = Self::ALL.into_iter().find(|route| match route {
            Self::LookupItem => !item.is_empty() && !item.contains('/'),
            Self::Lookup | Self::OpenApi | Self::Health | Self::Ready | Self::Metrics => route.path() == path,
        });
        let Some(found) = route else { return (None, Err(Refusal::NotFound)) };
        let allow = found.allow();
        let allowed = allow.split(", ").any(|name| name == method.as_str());
        (route, if allowed { Ok(item) } else { Err(Refusal::MethodNotAllowed { allow }) })
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
        check("GET", "/healthz", Some(Route::Health), None);
        check("GET", "/readyz", Some(Route::Ready), None);
        check("GET", "/metrics", Some(Route::Metrics), None);
        check("PUT", "/metrics", Some(Route::Metrics), Some("method_not_allowed"));
        check("GET", "/v1/openapi.json", Some(Route::OpenApi), None);
        check("GET", "/", None, Some("not_found"));
        check("GET", "/v2/price-availability", None, Some("not_found"));
    }
}
