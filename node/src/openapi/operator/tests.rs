use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

#[test]
fn every_route_and_method_is_documented_and_every_reference_points_at_something() {
    let document: Value = serde_json::from_slice(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(documented, Route::ALL.into_iter().map(Route::path).collect());
    for route in Route::ALL {
        let methods: Vec<String> = paths[route.path()].as_object().unwrap().keys().cloned().collect();
        let allowed = route.allow().to_lowercase();
        let allowed: Vec<&str> = allowed.split(", ").filter(|method| *method != "head").collect();
        assert_eq!(methods, allowed, "{}", route.path());
    }
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let references: BTreeSet<&str> = references.collect();
    assert!(references.contains("/components/schemas/ActAnswer"));
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference} points at nothing");
    }
}

#[track_caller]
fn check<T: Serialize + DeserializeOwned>(example: &Value) {
    let read: T =
        serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(json!(read), *example);
}

#[test]
fn examples_are_what_the_types_read() {
    check::<OrderPage>(&orders_page());
    check::<OrderWhole>(&order_whole());
    check::<EventPage>(&event_page());
    check::<SourcesShown>(&sources());
    check::<ReviewPage>(&review());
    check::<DispatchBacklog>(&backlog());
    check::<Overcommits>(&overcommits());
    check::<RoutingShown>(&routing(true));
    check::<RoutingRequest>(&routing(false));
    check::<RoutingDryRun>(&dry_run());
    check::<ActRequest>(&why());
    check::<RedispatchRequest>(&redispatch());
    check::<EditRequest>(&edit());
    check::<ReleaseRequest>(&release());
    check::<InvalidateRequest>(&invalidate());
    check::<InvalidateDryRun>(&condemned());
    check::<ResyncRequest>(&resync());
    check::<ClusterShown>(&cluster());
    check::<RecoveryPage>(&recovery());
    check::<ActAnswer>(&answered());
    let [asked, tried, in_force, compared] = handover::examples();
    check::<HandoverRequest>(&asked);
    check::<HandoverDryRun>(&tried);
    check::<HandoverShown>(&in_force);
    check::<ShadowShown>(&compared);
}
