//! Whose rows count where several sources have some: rules of the tenant, or of the last handover. Rows are kept per
//! source and chosen when they are read, so that a handover moves no rows and a shadow source can be compared.

use pannier_protocol::change::{Ownership, OwnershipRule, Table};
use pannier_protocol::{ClassId, SourceId, WarehouseId};
use serde::{Deserialize, Serialize};

/// The rules in force. Documents of policy and handovers count up one version together; the higher one is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipInForce {
    /// 0 before the first document.
    pub version: u64,
    pub rules: Vec<OwnershipRule>,
}

impl OwnershipInForce {
    pub fn new(version: u64, document: Ownership) -> Self {
        Self { version, rules: document.rules }
    }

    /// The source whose rows count, by the first rule that matches; `None`: the lowest id that has a row.
    pub fn owner(
        &self,
        table: Table,
        warehouse: Option<&WarehouseId>,
        class: Option<&ClassId>,
    ) -> Option<&SourceId> {
        let rule = self.rules.iter().find(|rule| {
            (rule.table == table || rule.table == Table::All)
                && rule.warehouse.as_ref().is_none_or(|named| Some(named) == warehouse)
                && rule.class.as_ref().is_none_or(|named| Some(named) == class)
        });
        rule.map(|rule| &rule.source)
    }

    /// The sources that own the table's rows of a class in some warehouse.
    pub fn owners(&self, table: Table, class: Option<&ClassId>) -> impl Iterator<Item = &SourceId> {
        let rules = self.rules.iter().filter(move |rule| {
            (rule.table == table || rule.table == Table::All)
                && rule.class.as_ref().is_none_or(|named| Some(named) == class)
        });
        // A rule for all warehouses leaves nothing to those after it.
        let mut open = true;
        let reached = rules.take_while(move |rule| std::mem::replace(&mut open, rule.warehouse.is_some()));
        reached.map(|rule| &rule.source)
    }
}
