//! The documents of the tenant that are in force, and the rule version.

use pannier_protocol::api::operator::{PoliciesShown, PolicyShown};
use pannier_protocol::change::{Policy, PolicyDocument};

use crate::app::{App, Tables};
use crate::orders::desk::as_of;

/// `GET /v1/operator/policies`. What whoever publishes the next version of one has to know.
pub(super) fn in_force(app: &App, tables: &Tables) -> PoliciesShown {
    let as_of = as_of(tables);
    let mut documents = tables.catalog.load().documents.as_ref().clone();
    let handed_over = tables.ledger.orders().handover().map(|record| Policy {
        version: record.ownership.version,
        document: PolicyDocument::Ownership(record.ownership.document()),
    });
    let handed_over = handed_over.filter(|handover| {
        documents.get(handover.document.name()).is_none_or(|policy| policy.version <= handover.version)
    });
    let name = handed_over.as_ref().map(|policy| policy.document.name());
    documents.extend(handed_over.map(|policy| (policy.document.name(), policy)));
    let shown = |(of, policy)| PolicyShown { policy, of_handover: Some(of) == name };
    PoliciesShown { as_of, rules: app.rules(), policies: documents.into_iter().map(shown).collect() }
}
