//! What decides whose rows count, handovers, and the tenant's other documents, in the document of the operators' API.

use pannier_protocol::api::operator::{
    HandoverDryRun, HandoverRequest, HandoverShown, PoliciesShown, ShadowShown,
};
use serde_json::{Value, json};

use super::super::examples::ORDER;
use super::{act, dry, shown, with_dry_run};

pub(super) fn path() -> Value {
    let summary = "Hands rows and orders of a scope over from one system to another";
    let description = "One entry for ownership, order routing and who reports on orders. Of the orders in flight those \
        that the old backend has a document of stay with it until they are over, unless they are listed as moved; those \
        on their way are called back, and go to the new backend once the old one gave them back. The same entry the \
        other way hands back.";
    let parameters = vec![dry("Tell all of it, and write nothing; no key is needed then.")];
    let post = act::<HandoverRequest>("handover", (summary, description), parameters, &asked());
    json!({
        "get": shown::<HandoverShown>(
            "operator_handover", "Ownership in force, and the last handover", Vec::new(), &in_force()),
        "post": with_dry_run::<HandoverDryRun>(post, &tried()),
    })
}

pub(super) fn policies_path() -> Value {
    let summary = "The tenant's documents in force, each with its version, and the rule version of the fold";
    let example = json!({
        "as_of": "7f3a.L81240.S551.P0", "rules": 4,
        "policies": [
            {"policy": {"version": 3, "document": {"rounding": "half_even"}}, "of_handover": false},
        ],
    });
    json!({"get": shown::<PoliciesShown>("operator_policies", summary, Vec::new(), &example)})
}

/// Each with what it says and an example.
const SHADOW_PARAMETERS: [(&str, &str, &str); 6] = [
    ("source", "Whose rows are compared with those that count.", "erp-2"),
    ("owner", "Only with what this one owns; without: whoever does.", "erp-1"),
    ("tables", "As in the policy `ownership`, with commas between; without: all.", "stock,prices"),
    ("warehouse", "Only rows of there.", "DAL"),
    ("class", "Only rows of this class.", "PIPE"),
    ("worst", "So many of the worst keys of each table; without: 10, at most 100.", "3"),
];

pub(super) fn shadow_path() -> Value {
    let parameters = SHADOW_PARAMETERS.map(|(name, description, example)| {
        json!({
            "name": name, "in": "query", "required": name == "source", "description": description,
            "schema": {"type": "string"}, "example": example,
        })
    });
    let summary = "How a source whose rows do not count compares with those whose rows do, key by key; walks over whole \
        tables";
    json!({"get": shown::<ShadowShown>("operator_shadow", summary, parameters.to_vec(), &compared())})
}

fn drift() -> Value {
    json!([{
        "table": "stock", "equal_count": 41_200, "different_count": 1, "missing_count": 0, "extra_count": 0,
        "sources": [
            {"source": "erp-2", "age_ms": 900, "suspect": false},
            {"source": "erp-1", "age_ms": 400, "suspect": false},
        ],
    }])
}

fn compared() -> Value {
    let mut tables = drift();
    tables[0]["worst"] = json!([{
        "key": "SKU-4711 @DAL", "owner": "erp-1", "by": "7", "owned": {"quantity": "37 EA"},
        "shadow": {"quantity": "30 EA"},
    }]);
    json!({"as_of": "7f3a.L81242.S0.P0", "source": "erp-2", "tables": tables})
}

#[cfg(test)]
pub(super) fn examples() -> [Value; 4] {
    [asked(), tried(), in_force(), compared()]
}

fn asked() -> Value {
    json!({
        "tables": ["stock", "supply"], "warehouse": "DAL", "from": "erp-1", "to": "erp-2",
        "backends": {"from": "erp-1", "to": "erp-2"},
        "moved": [{"order": ORDER, "document": "SO-9001", "reflected_from": [{"source": "erp-2", "position": 77}]}],
        "by": "jane", "reason": "Dallas goes live",
    })
}

fn ownership() -> Value {
    json!([
        {"table": "stock", "warehouse": "DAL", "source": "erp-2"},
        {"table": "supply", "warehouse": "DAL", "source": "erp-2"},
        {"table": "all", "source": "erp-1"},
    ])
}

fn tried() -> Value {
    json!({
        "as_of": "7f3a.L81242.S0.P0", "version": 4, "ownership": ownership(),
        "routing": [{"warehouse": "DAL", "backend": "erp-2"}, {"backend": "erp-1"}],
        "snapshots": [{"subject": "ledger.stock.erp-2", "epoch": {"incarnation": "7f3a", "claim": 812}, "sequence": 9}],
        "orders": [{"order": ORDER, "state": "acknowledged", "document": "SO-1017", "fate": "moves"}],
        "drift": drift(),
    })
}

fn in_force() -> Value {
    json!({
        "version": 4, "ownership": ownership(),
        "last": {
            "tables": ["stock", "supply"], "warehouse": "DAL", "from": "erp-1", "to": "erp-2",
            "backends": {"from": "erp-1", "to": "erp-2"}, "version": 4, "by": "jane", "reason": "Dallas goes live",
            "position": 81_240,
        },
    })
}
