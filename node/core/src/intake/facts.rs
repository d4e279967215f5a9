//! What the account's record says beside prices: where the order goes, and whether it may go there.

use pannier_protocol::GroupId;
use pannier_protocol::order::{IntakeDoubt, OrderReason, RouteFacts};

use super::Desk;

impl Desk<'_> {
    pub(super) fn route(&self) -> RouteFacts {
        let account = &self.account.account;
        let group = |scope: &_| GroupId::new(self.dictionary.scope_id(*scope)?).ok();
        RouteFacts {
            company: account.company.clone(),
            groups: account.groups.iter().filter_map(group).collect(),
            territories: account.territories.to_vec(),
        }
    }

    /// Where both the account and its ship-to name territories, they must have one in common.
    pub(super) fn check_territory(&mut self) {
        let (account, ship_to) = (&self.account.account.territories, &self.account.ship_to.territories);
        if account.is_empty() || ship_to.is_empty() || ship_to.iter().any(|one| account.contains(one)) {
            return;
        }
        let detail = "the ship-to is in no territory of the account".to_owned();
        self.doubts.push(IntakeDoubt { line: None, reason: OrderReason::OtherTerritory, detail });
    }
}
