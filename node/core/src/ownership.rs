//! Whose rows count where several sources have some: rules of the tenant, or of the last handover. Rows are kept per
//! source and chosen when they are read, so that a handover moves no rows and a shadow source can be compared.

use pannier_protocol::change::{Ownership, OwnershipRule, Table};
use pannier_protocol::order::HandoverScope;
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

    /// As a document of policy says it.
    pub fn document(&self) -> Ownership {
        Ownership { rules: self.rules.clone() }
    }

    /// The rules after a handover: what `from` owns in the scope is owned by `to`, and nothing else moves. `None`: no rule
    /// says that `from` owns anything there.
    pub fn handed_over(
        &self,
        scope: &HandoverScope,
        from: &SourceId,
        to: &SourceId,
    ) -> Option<Vec<OwnershipRule>> {
        let mut rules = Vec::with_capacity(self.rules.len() + scope.tables.len());
        let mut moves = false;
        for rule in &self.rules {
            let moved = if rule.source == *from { within(rule, scope) } else { Vec::new() };
            let is_whole = moved.iter().any(|moved| moved == rule);
            moves |= !moved.is_empty();
            rules.extend(moved.into_iter().map(|moved| OwnershipRule { source: to.clone(), ..moved }));
            rules.extend((!is_whole).then(|| rule.clone()));
        }
        moves.then_some(rules)
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

/// The part of a rule that is in a scope, as rules.
fn within(rule: &OwnershipRule, scope: &HandoverScope) -> Vec<OwnershipRule> {
    /// `Err`: they have nothing in common.
    fn both<T: Clone + PartialEq>(rule: &Option<T>, scope: &Option<T>) -> Result<Option<T>, ()> {
        match (rule, scope) {
            (Some(rule), Some(scope)) if rule != scope => Err(()),
            (Some(one), _) | (None, Some(one)) => Ok(Some(one.clone())),
            (None, None) => Ok(None),
        }
    }
    let (Ok(warehouse), Ok(class)) =
        (both(&rule.warehouse, &scope.warehouse), both(&rule.class, &scope.class))
    else {
        return Vec::new();
    };
    let tables = match (rule.table == Table::All, scope.tables.contains(&Table::All)) {
        (true, true) => vec![Table::All],
        (true, false) => scope.tables.clone(),
        (false, _) => Some(rule.table).into_iter().filter(|table| scope.has(*table)).collect(),
    };
    let of = |table| OwnershipRule {
        table,
        warehouse: warehouse.clone(),
        class: class.clone(),
        source: rule.source.clone(),
    };
    tables.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `stock@DAL.PIPE=erp`.
    fn rule(text: &str) -> OwnershipRule {
        let (what, source) = text.split_once('=').unwrap();
        let (what, class) = what.split_once('.').map_or((what, None), |(what, class)| (what, Some(class)));
        let (table, warehouse) =
            what.split_once('@').map_or((what, None), |(table, place)| (table, Some(place)));
        OwnershipRule {
            table: table_of(table),
            warehouse: warehouse.map(|id| WarehouseId::new(id).unwrap()),
            class: class.map(|id| ClassId::new(id).unwrap()),
            source: SourceId::new(source).unwrap(),
        }
    }

    fn table_of(name: &str) -> Table {
        serde_json::from_value(serde_json::Value::from(name)).unwrap()
    }

    fn show(rule: &OwnershipRule) -> String {
        let table = serde_json::to_value(rule.table).unwrap();
        let warehouse = rule.warehouse.iter().map(|id| format!("@{id}"));
        let class = rule.class.iter().map(|id| format!(".{id}"));
        let parts: String = warehouse.chain(class).collect();
        format!("{}{parts}={}", table.as_str().unwrap(), rule.source)
    }

    #[track_caller]
    fn check(before: &[&str], scope: (&[&str], Option<&str>, Option<&str>), want: &Expect) {
        let rules = before.iter().map(|text| rule(text)).collect();
        let in_force = OwnershipInForce { version: 1, rules };
        let scope = HandoverScope {
            tables: scope.0.iter().map(|name| table_of(name)).collect(),
            warehouse: scope.1.map(|id| WarehouseId::new(id).unwrap()),
            class: scope.2.map(|id| ClassId::new(id).unwrap()),
        };
        let (old, new) = (SourceId::new("old").unwrap(), SourceId::new("new").unwrap());
        let after = in_force.handed_over(&scope, &old, &new);
        let shown = after
            .map_or("nothing moves".to_owned(), |rules| rules.iter().map(show).collect::<Vec<_>>().join(" "));
        want.assert_eq(&shown);
    }

    #[test]
    fn only_what_is_owned_in_the_scope_moves() {
        let all = (&["all"][..], None, None);
        check(&["stock@DAL=wms", "all=old"], all, &expect!["stock@DAL=wms all=new"]);
        check(&["all=wms"], all, &expect!["nothing moves"]);
        check(&[], all, &expect!["nothing moves"]);
        check(&["all=old"], (&["stock", "supply"], None, None), &expect!["stock=new supply=new all=old"]);
        check(&["all=old"], (&["stock"], Some("DAL"), None), &expect!["stock@DAL=new all=old"]);
        check(
            &["stock@DAL=old", "stock@CHI=old", "prices=old"],
            (&["stock"], Some("DAL"), None),
            &expect!["stock@DAL=new stock@CHI=old prices=old"],
        );
        check(
            &["prices.PIPE=pim", "prices=old"],
            (&["items", "prices"], None, Some("VALVE")),
            &expect!["prices.PIPE=pim prices.VALVE=new prices=old"],
        );
        check(&["prices.PIPE=old"], (&["prices"], None, Some("VALVE")), &expect!["nothing moves"]);
        check(&["stock@DAL=old", "all=pim"], all, &expect!["stock@DAL=new all=pim"]);
    }
}
