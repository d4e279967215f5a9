//! The rows of one chain of the catalog. One type serves the shared chains and the families': what a chain
//! never carries costs it nothing, as maps are made by their first row.
//!
//! Every record keeps the version of the message that stated it, and so does a delete: what was said before it
//! must not bring the row back, whichever is applied first. A unit is said with its commit, not with its parts.

use std::sync::{Arc, Mutex};

use compact_str::CompactString;
use pannier_protocol::Change;
use pannier_protocol::change::{InvalidateScope, Policy, SnapshotScope, Table};
use pannier_protocol::codec::change_hash;
use pannier_protocol::subject::Subject;

use super::accounts::AccountRecord;
use super::items::ItemRecord;
use super::prices::{Part, PriceBook, Scope, Served, TermsTable};
use super::references::{NumberOf, ReferenceKey, ReferenceRecord};
use super::sharded::Records;
use crate::dictionary::{AccountNo, Dictionary, ItemNo, ScopeNo};
use crate::freshness::RowFacts;
use crate::limits::{TABLE_SHARDS, TABLE_SHARDS_SMALL};
use crate::rows::{RowRejection, Rows, Stated};

/// The rows of one source in one partition.
pub struct CatalogRows {
    dictionary: Arc<Dictionary>,
    pub(super) items: Records<ItemNo, ItemRecord>,
    pub(super) references: Records<ReferenceKey, ReferenceRecord>,
    pub(super) accounts: Records<AccountNo, AccountRecord>,
    /// By name; the fold puts them in force, they are kept to be counted and digested.
    pub(super) policies: Records<&'static str, Policy>,
    pub(super) prices: PriceBook,
    digest: Mutex<u128>,
}

impl CatalogRows {
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        let prices = PriceBook::new(Arc::clone(&dictionary));
        Self::with_prices(dictionary, prices)
    }

    fn with_prices(dictionary: Arc<Dictionary>, prices: PriceBook) -> Self {
        Self {
            dictionary,
            items: Records::new(TABLE_SHARDS),
            references: Records::new(TABLE_SHARDS),
            accounts: Records::new(TABLE_SHARDS),
            policies: Records::new(TABLE_SHARDS_SMALL),
            prices,
            digest: Mutex::new(0),
        }
    }

    pub fn item(&self, item: ItemNo) -> Option<Arc<ItemRecord>> {
        self.items.get(&item)
    }

    pub fn reference(&self, of: NumberOf, number: &str) -> Option<Arc<ReferenceRecord>> {
        self.references.get(&ReferenceKey { of, number: CompactString::new(number) })
    }

    pub fn account(&self, account: AccountNo) -> Option<Arc<AccountRecord>> {
        self.accounts.get(&account)
    }

    pub fn scope(&self, scope: ScopeNo) -> Option<Arc<Scope>> {
        self.prices.scope(scope)
    }

    /// This and the next three: what there is, in no order.
    pub(crate) fn item_numbers(&self) -> Vec<ItemNo> {
        self.items.keys()
    }

    pub(crate) fn account_numbers(&self) -> Vec<AccountNo> {
        self.accounts.keys()
    }

    pub(crate) fn reference_keys(&self) -> Vec<(NumberOf, CompactString)> {
        self.references.keys().into_iter().map(|ReferenceKey { of, number }| (of, number)).collect()
    }

    pub(crate) fn scope_numbers(&self) -> Vec<ScopeNo> {
        self.prices.scope_numbers()
    }

    pub(crate) fn serving(&self, served: Served) -> Option<Arc<[ScopeNo]>> {
        self.prices.serving(served)
    }

    pub(crate) fn terms(&self) -> &TermsTable {
        self.prices.terms()
    }

    /// Rows that an invalidation of `scope` on this chain, `chain`, would condemn: items, accounts, prices. Walks over them all.
    pub fn count_in(&self, scope: &InvalidateScope, chain: &Subject) -> u64 {
        let is_in = |facts: RowFacts<'_>| facts.lie_in(scope, chain);
        let of = RowFacts::default();
        self.items.count_of(|it| is_in(RowFacts { item: Some(it.id.as_str()), ..of }))
            + self.accounts.count_of(|it| is_in(RowFacts { account: Some(it.id.as_str()), ..of }))
            + self.prices.count_in(scope, chain)
    }

    pub(super) fn add_to_digest(&self, change: u128) {
        let mut digest = self.digest.lock().expect("nothing panics while it holds this lock");
        *digest = digest.wrapping_add(change);
    }

    /// Items, references, accounts and policies.
    fn apply_records(&self, batch: &[Stated<'_>], rejected: &mut Vec<RowRejection>) -> u128 {
        let dictionary = self.dictionary.as_ref();
        let (mut items, mut accounts) = (self.items.edit(), self.accounts.edit());
        let (mut references, mut policies) = (self.references.edit(), self.policies.edit());
        for Stated { change, version } in batch {
            let hash = || change_hash(change);
            if let Change::Item(item) = change {
                match ItemRecord::new(item, *version, dictionary) {
                    Some(record) => items.put(record.item, record, *version, hash()),
                    None => {
                        let reason =
                            format!("item {} has a factor with denominator 0; correct it", item.item);
                        rejected.push(RowRejection::new(reason));
                    }
                }
            } else if let Change::ItemRemoved(removed) = change {
                items.remove(dictionary.items.intern(removed.item.as_str()), *version);
            } else if let Change::Reference(reference) = change {
                let of = NumberOf::new(&reference.kind, dictionary);
                let key = ReferenceKey { of, number: CompactString::new(reference.number.as_str()) };
                references.put(key, ReferenceRecord::new(reference, *version, dictionary), *version, hash());
            } else if let Change::ReferenceRemoved(removed) = change {
                let of = NumberOf::new(&removed.kind, dictionary);
                let key = ReferenceKey { of, number: CompactString::new(removed.number.as_str()) };
                references.remove(key, *version);
            } else if let Change::Account(account) = change {
                let record = AccountRecord::new(account, *version, dictionary);
                accounts.put(record.account, record, *version, hash());
            } else if let Change::AccountRemoved(removed) = change {
                accounts.remove(dictionary.accounts.intern(removed.account.as_str()), *version);
            } else if let Change::Policy(policy) = change {
                policies.put(policy.document.name(), policy.clone(), *version, hash());
            }
        }
        [items.commit(), references.commit(), accounts.commit(), policies.commit()]
            .into_iter()
            .fold(0, u128::wrapping_add)
    }
}

/// Which tables a snapshot repeats; those that the catalog does not carry are in no part of it.
struct Selected<'a> {
    items: bool,
    references: bool,
    accounts: bool,
    policies: bool,
    prices: Part<'a>,
}

impl<'a> Selected<'a> {
    fn new(scope: &'a SnapshotScope) -> Self {
        let is = |table| scope.table == table || scope.table == Table::All;
        Self {
            items: is(Table::Items),
            references: is(Table::References),
            accounts: is(Table::Accounts),
            policies: is(Table::Policies),
            prices: Part {
                headers: is(Table::Scopes),
                rows: is(Table::Prices),
                selection: scope.prices.as_ref(),
            },
        }
    }
}

impl Rows for CatalogRows {
    fn aside(&self) -> Self {
        Self::with_prices(Arc::clone(&self.dictionary), self.prices.aside())
    }

    fn apply(&self, batch: &[Stated<'_>]) -> Vec<RowRejection> {
        let mut rejected = Vec::new();
        let records = self.apply_records(batch, &mut rejected);
        let prices = self.prices.apply(batch, &mut rejected);
        self.add_to_digest(records.wrapping_add(prices));
        rejected
    }

    fn rows_count(&self, scope: &SnapshotScope) -> u64 {
        let selected = Selected::new(scope);
        let count = |is: bool, count: &dyn Fn() -> u64| if is { count() } else { 0 };
        count(selected.items, &|| self.items.count())
            + count(selected.references, &|| self.references.count())
            + count(selected.accounts, &|| self.accounts.count())
            + count(selected.policies, &|| self.policies.count())
            + self.prices.count(selected.prices)
    }

    fn rows_missing_in(&self, aside: &Self, scope: &SnapshotScope) -> u64 {
        let selected = Selected::new(scope);
        let count = |is: bool, count: &dyn Fn() -> u64| if is { count() } else { 0 };
        count(selected.items, &|| self.items.missing_in(&aside.items))
            + count(selected.references, &|| self.references.missing_in(&aside.references))
            + count(selected.accounts, &|| self.accounts.missing_in(&aside.accounts))
            + count(selected.policies, &|| self.policies.missing_in(&aside.policies))
            + self.prices.missing_in(&aside.prices, selected.prices)
    }

    fn share_outside(&self, aside: &Self, scope: &SnapshotScope) {
        let selected = Selected::new(scope);
        let share = |inside: bool, share: &dyn Fn() -> u128| if inside { 0 } else { share() };
        let shared = [
            share(selected.items, &|| self.items.share_with(&aside.items)),
            share(selected.references, &|| self.references.share_with(&aside.references)),
            share(selected.accounts, &|| self.accounts.share_with(&aside.accounts)),
            share(selected.policies, &|| self.policies.share_with(&aside.policies)),
            self.prices.share_outside(&aside.prices, selected.prices),
        ];
        aside.add_to_digest(shared.into_iter().fold(0, u128::wrapping_add));
    }

    fn digest(&self) -> u128 {
        *self.digest.lock().expect("nothing panics while it holds this lock")
    }
}
