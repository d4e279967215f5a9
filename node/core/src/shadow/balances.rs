//! Credit of accounts and caps of contracts.

use pannier_protocol::change::{CapBasis, CapPast, Table};

use super::tally::{Amount, Facts};
use super::{Comparison, Place, Tallies, distinct};
use crate::ledger::{CapRow, CreditRow};

impl Comparison<'_> {
    pub(super) fn balances(&self, tallies: &mut Tallies) {
        let (chains, names) = (&self.ledger.chains, self.dictionary);
        for account in distinct(chains.iter().map(|chain| chain.rows.credit_accounts())) {
            let credit = |chain: &crate::ledger::StockChain| chain.rows.find_credit(account);
            let rows = chains.iter().filter_map(|chain| Some((&chain.source, of_credit(&credit(chain)?))));
            let place = Place { table: Table::Credit, warehouse: None, class: None };
            self.compare(tallies, place, &rows.collect(), || names.accounts.name(account).to_owned());
        }
        for (contract, item) in distinct(chains.iter().map(|chain| chain.rows.capped())) {
            let cap = |chain: &crate::ledger::StockChain| chain.rows.find_cap(contract, item);
            let rows = chains.iter().filter_map(|chain| Some((&chain.source, of_cap(&cap(chain)?))));
            let place = Place { table: Table::Caps, warehouse: None, class: None };
            self.compare(tallies, place, &rows.collect(), || {
                let item = item.map_or("all items", |item| names.items.name(item));
                format!("{}: {item}", names.scope_name(contract))
            });
        }
    }
}

fn of_credit(credit: &CreditRow) -> Facts {
    let limit = credit.limit.map_or("none".to_owned(), |limit| limit.to_string());
    let facts = Facts::new([
        ("limit", limit),
        ("balance", credit.balance.to_string()),
        ("blocked", credit.blocked.to_string()),
        ("currency", credit.currency.to_string()),
    ]);
    let Some(limit) = credit.limit else { return facts };
    let unit = credit.currency.as_str().bytes().fold(0, |unit, byte| (unit << 8) | u32::from(byte));
    facts.with(Amount::Of { micros: i128::from(limit.micros()) - i128::from(credit.balance.micros()), unit })
}

fn of_cap(cap: &CapRow) -> Facts {
    let (basis, unit) = match cap.basis {
        CapBasis::Quantity => ("quantity", 0),
        CapBasis::Amount => ("amount", 1),
    };
    let past = match cap.past {
        CapPast::FallThrough => "fall_through",
        CapPast::Split => "split",
    };
    let facts = Facts::new([
        ("basis", basis.to_owned()),
        ("limit", cap.limit.to_string()),
        ("consumed", cap.consumed.to_string()),
        ("past", past.to_owned()),
    ]);
    facts.with(Amount::Of { micros: cap.left().micros().into(), unit })
}
