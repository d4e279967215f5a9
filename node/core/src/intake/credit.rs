//! Whose credit an order uses: that of the topmost account which has a limit, the bill-to before the sold-to.

use pannier_protocol::Decimal;
use pannier_protocol::change::Table;
use pannier_protocol::order::CreditUse;

use super::Desk;

impl Desk<'_> {
    /// `None`: no account of the family has a limit or balance. The verdict reads the row, its currency too.
    pub(super) fn credit(&self, amount: Decimal) -> Option<CreditUse> {
        let owner = self.catalog.ownership.owner(Table::Credit, None, None);
        let upward = std::iter::once(&self.account.account).chain(&self.account.ancestors);
        let mut with_row = upward.filter_map(|record| {
            let mut chains = self.ledger.chains.iter();
            let counts = |source| owner.is_none_or(|owner| owner == source);
            let chain = chains
                .find(|chain| counts(&chain.source) && chain.rows.find_credit(record.account).is_some())?;
            Some(CreditUse { account: record.id.clone(), source: chain.source.clone(), amount })
        });
        with_row.next_back()
    }
}
