//! Accounts and their credit.

use std::collections::BTreeSet;

use pannier_protocol::change::{Account, AccountRemoved, Credit, CreditRemoved};
use pannier_protocol::{AccountId, Change};

use super::gather::{Gathered, checked, one_by_one};
use super::{Body, Parsed, ParsedAccount};
use crate::files::row::{Cell, CellError, Row};
use crate::files::table::REMOVED;

pub(super) fn accounts(rows: &[Row<'_>]) -> Parsed {
    let (mut parsed, mut gone) = (Parsed::default(), BTreeSet::new());
    let mut accounts: Gathered<'_, AccountId, ParsedAccount> = Gathered::new();
    for row in rows {
        let taken = (|| -> Cell<()> {
            let id: AccountId = row.needed_id("account")?;
            if row.yes(REMOVED)? {
                gone.insert(id);
                return Ok(());
            }
            gone.remove(&id);
            let one = account(row, id.clone());
            accounts.add(*row, id, true, |account| {
                let one = one?;
                match account {
                    Some(account) => account.merge(&one),
                    None => {
                        *account = Some(one);
                        Ok(())
                    }
                }
            });
            Ok(())
        })();
        if let Err(error) = taken {
            accounts.reject(*row, error);
        }
    }
    let finished = accounts.finish(|_, parsed| {
        checked(Change::Account(parsed.account.clone()))?;
        Ok(parsed)
    });
    let removal = |account| Change::AccountRemoved(AccountRemoved { account });
    parsed.body = Body::Accounts(finished.built);
    parsed.rejects = finished.rejects;
    parsed.removed = gone.into_iter().map(removal).collect();
    parsed.failed = finished.failed.into_iter().map(removal).collect();
    parsed
}

fn account(row: &Row<'_>, account: AccountId) -> Cell<ParsedAccount> {
    let root: Option<AccountId> = row.id("root")?;
    let parent = row.id("parent")?.filter(|parent| *parent != account);
    let has_root = root.is_some();
    let account = Account {
        root: root.unwrap_or_else(|| account.clone()),
        account,
        parent,
        groups: row.ids("groups")?,
        currency: row.currency("currency")?,
        entitlements: row.ids("entitlements")?,
        contract_only: row.yes("contract_only")?,
        blocked: row.yes("blocked")?,
        company: row.id("company")?,
        territories: row.ids("territories")?,
        warehouses: row.ids("warehouses")?,
        sourcing: row.word("sourcing")?,
        lists: row.ids("lists")?,
    };
    Ok(ParsedAccount { account, has_root, line: row.line() })
}

fn without_lists(parsed: &ParsedAccount) -> Account {
    Account {
        groups: Vec::new(),
        entitlements: Vec::new(),
        territories: Vec::new(),
        warehouses: Vec::new(),
        lists: Vec::new(),
        ..parsed.account.clone()
    }
}

impl ParsedAccount {
    /// Another row of the same account: lists grow, the rest must agree.
    fn merge(&mut self, row: &Self) -> Cell<()> {
        if without_lists(self) != without_lists(row) {
            return Err(CellError::row(format!("differs from line {} in more than its lists", self.line)));
        }
        let (account, row) = (&mut self.account, &row.account);
        append(&mut account.groups, &row.groups);
        append(&mut account.entitlements, &row.entitlements);
        append(&mut account.territories, &row.territories);
        append(&mut account.warehouses, &row.warehouses);
        append(&mut account.lists, &row.lists);
        Ok(())
    }
}

fn append<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

pub(super) fn credit(rows: &[Row<'_>]) -> Parsed {
    let credit = |row: &Row<'_>| {
        Ok(Change::Credit(Credit {
            account: row.needed_id("account")?,
            currency: row.need("currency", row.currency("currency")?)?,
            limit: row.decimal("limit")?,
            balance: row.needed_decimal("balance")?,
            blocked: row.yes("blocked")?,
            reflects: None,
        }))
    };
    one_by_one(rows, credit, |row| {
        Ok(Change::CreditRemoved(CreditRemoved { account: row.needed_id("account")? }))
    })
}
