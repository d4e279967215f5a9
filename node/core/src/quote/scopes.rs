//! The price scopes that count for one account, loaded once a basket: one `Arc` a scope, so that all lines
//! are priced by the same version of each contract.

use std::sync::Arc;

use pannier_protocol::change::{CustomerKey, PriceScope, Table};
use pannier_protocol::{ContractId, Decimal, SourceId, Timestamp};

use crate::catalog::{
    AccountContext, AccountRecord, CatalogChain, CatalogTables, Header, Scope, Served, find_account,
};
use crate::dictionary::{Dictionary, ScopeNo};
use crate::freshness::{Consulted, RowFacts};
use crate::ledger::{LedgerTables, PromiseRows, StockChain};
use crate::limits::LIST_DEPTH_MAX;
use crate::quantity::Exact;

/// What prices a basket of one account (or of nobody).
pub struct BasketScopes<'t> {
    pub(super) tables: &'t CatalogTables,
    pub(super) dictionary: &'t Dictionary,
    pub(super) account: Option<&'t AccountContext>,
    /// Each at its first level: a contract of ship-to and account is the ship-to's.
    contracts: Vec<(CustomerKey, RankedScope<'t>)>,
    customer: Vec<RankedScope<'t>>,
    groups: Vec<RankedScope<'t>>,
    promotions: Vec<RankedScope<'t>>,
    /// Each followed by those that it derives from.
    lists: Vec<RankedScope<'t>>,
    /// The chains that prices and what leads to them may come from.
    chains: Vec<&'t CatalogChain>,
    /// Those of the ledger that hold caps.
    pub(super) cap_chains: Vec<&'t StockChain>,
    /// What orders take of them.
    pub(super) promises: &'t PromiseRows,
}

/// A scope with its place among those of its level.
pub(super) struct RankedScope<'t> {
    pub no: ScopeNo,
    pub scope: PriceScope,
    /// The lower, the more specific its customer key.
    pub rank: usize,
    /// Of a list: how many lists it stands above the one asked.
    pub depth: usize,
    /// Of a list above another: what the other makes of its prices.
    pub multiplier: Exact,
    /// From its header, and for a list from those below it.
    pub span: (Timestamp, Timestamp),
    /// By source id, the family's before the shared.
    pub parts: Vec<ScopePart<'t>>,
}

/// What one chain says of a scope.
pub(super) struct ScopePart<'t> {
    pub chain: &'t CatalogChain,
    pub scope: Arc<Scope>,
}

impl<'t> BasketScopes<'t> {
    /// `account` is `None` for an anonymous visitor, who sees shared levels only.
    pub fn load(
        tables: &'t CatalogTables,
        ledger: &'t LedgerTables,
        dictionary: &'t Dictionary,
        account: Option<&'t AccountContext>,
    ) -> Self {
        let family = account.map_or(&[][..], |context| tables.chains(context.partition()));
        let mut chains: Vec<_> = family.iter().chain(&tables.chains.shared).collect();
        chains.sort_by(|a, b| a.source.cmp(&b.source));
        let caps_owner = tables.ownership.owner(Table::Caps, None, None);
        let may_cap = |chain: &&StockChain| match caps_owner {
            Some(owner) => *owner == chain.source,
            None => chain.rows.has_caps(),
        };
        let mut loaded = Self {
            tables,
            dictionary,
            account,
            contracts: Vec::new(),
            customer: Vec::new(),
            groups: Vec::new(),
            promotions: Vec::new(),
            lists: Vec::new(),
            chains,
            cap_chains: ledger.chains.iter().filter(may_cap).collect(),
            promises: &ledger.promises,
        };
        if let Some(context) = account {
            loaded.load_contracts(context);
            let own = loaded.ranked(context.account.scope, 0);
            loaded.customer.extend(own);
            for (rank, group) in context.account.groups.iter().enumerate() {
                let group = loaded.ranked(*group, rank);
                loaded.groups.extend(group);
            }
        }
        loaded.load_promotions();
        loaded.load_lists();
        loaded
    }

    /// The scopes that a level looks into. A contract that the line names is looked for among those that
    /// serve the account.
    pub(super) fn of(
        &self,
        key: CustomerKey,
        line_contract: Option<ScopeNo>,
    ) -> impl Iterator<Item = &RankedScope<'t>> {
        let flat = match key {
            CustomerKey::Customer => self.customer.as_slice(),
            CustomerKey::Group => &self.groups,
            CustomerKey::Promotion => &self.promotions,
            CustomerKey::List => &self.lists,
            CustomerKey::LineContract
            | CustomerKey::ShipToContract
            | CustomerKey::CustomerContract
            | CustomerKey::AncestorContract
            | CustomerKey::GroupContract => &[],
        };
        let contracts = self.contracts.iter().filter(move |(of, scope)| match key {
            CustomerKey::LineContract => Some(scope.no) == line_contract,
            CustomerKey::ShipToContract
            | CustomerKey::CustomerContract
            | CustomerKey::AncestorContract
            | CustomerKey::GroupContract => *of == key,
            CustomerKey::Customer | CustomerKey::Group | CustomerKey::Promotion | CustomerKey::List => false,
        });
        flat.iter().chain(contracts.map(|(_, scope)| scope))
    }

    /// The scope of a contract's name, as a line gives it.
    pub(super) fn contract(&self, name: &str) -> Option<ScopeNo> {
        let contract = ContractId::new(name).ok()?;
        self.dictionary.scope_if_known(&PriceScope::Contract(contract))
    }

    /// Notes every chain that what leads to a price may come from, found or not. `prices_owner`: whose
    /// price rows count for the line.
    pub fn note(&self, prices_owner: Option<&SourceId>, consulted: &mut Consulted) {
        let ownership = &self.tables.ownership;
        let tables = [Table::Items, Table::References, Table::Accounts, Table::Scopes];
        for chain in &self.chains {
            let counts = |owner: Option<&SourceId>| owner.is_none_or(|owner| *owner == chain.source);
            if counts(prices_owner) || tables.iter().any(|table| counts(ownership.owner(*table, None, None)))
            {
                consulted.note(&chain.status);
            }
        }
        for record in self.account.iter().flat_map(|context| [&context.account, &context.ship_to]) {
            self.note_condemned(record, consulted);
        }
    }

    fn note_condemned(&self, record: &Arc<AccountRecord>, consulted: &mut Consulted) {
        for chain in &self.tables.chains.shared {
            let is_source = || chain.rows.account(record.account).is_some_and(|it| Arc::ptr_eq(&it, record));
            let facts = || RowFacts { account: Some(record.id.as_str()), ..RowFacts::default() };
            if let Some(mode) = chain.status.condemns(record.version, facts).filter(|_| is_source()) {
                consulted.note_invalidated(mode);
            }
        }
    }

    fn load_contracts(&mut self, context: &AccountContext) {
        let has_ship_to = context.ship_to.account != context.account.account;
        let ship_to = std::iter::once(&context.ship_to).filter(|_| has_ship_to).chain(&context.between);
        let mut missing_ancestor = None;
        let top = context.ancestors.last().unwrap_or(&context.account);
        if let Some(parent) = top.parent.filter(|parent| find_account(self.tables, *parent).is_none()) {
            // A contract may serve an ancestor whose record is not there (yet).
            missing_ancestor = self.account_scope(parent);
        }
        let scope = |record: &Arc<AccountRecord>| record.scope;
        let mut members: Vec<(CustomerKey, usize, ScopeNo)> = Vec::new();
        let mut add = |key, scopes: &mut dyn Iterator<Item = ScopeNo>| {
            members.extend(scopes.enumerate().map(|(rank, scope)| (key, rank, scope)));
        };
        add(CustomerKey::ShipToContract, &mut ship_to.map(scope));
        add(CustomerKey::CustomerContract, &mut std::iter::once(context.account.scope));
        let ancestors = context.ancestors.iter().map(scope);
        add(CustomerKey::AncestorContract, &mut ancestors.chain(missing_ancestor));
        add(CustomerKey::GroupContract, &mut context.account.groups.iter().copied());
        for (key, rank, member) in members {
            for contract in self.serving(Served::ContractsOf(member)) {
                if self.contracts.iter().any(|(_, known)| known.no == contract) {
                    continue;
                }
                // Another source's header may be the one that counts, and not name the member.
                let loaded = self.ranked(contract, rank).filter(|scope| {
                    self.header(&scope.parts).is_some_and(|header| header.members.contains(&member))
                });
                self.contracts.extend(loaded.map(|scope| (key, scope)));
            }
        }
    }

    fn load_promotions(&mut self) {
        let context = self.account;
        let members = context.into_iter().flat_map(|context| {
            let below = std::iter::once(&context.ship_to).chain(&context.between).chain([&context.account]);
            below.map(|record| record.scope).chain(context.account.groups.iter().copied())
        });
        let named = members.map(|member| (Some(member), Served::PromotionsOf(member)));
        for (rank, (member, served)) in named.chain([(None, Served::Promotions)]).enumerate() {
            for promotion in self.serving(served) {
                if self.promotions.iter().any(|known| known.no == promotion) {
                    continue;
                }
                let loaded = self.ranked(promotion, rank).filter(|scope| {
                    let members = self.header(&scope.parts).map_or(&[][..], |header| &header.members);
                    member.map_or(members.is_empty(), |member| members.contains(&member))
                });
                self.promotions.extend(loaded);
            }
        }
    }

    fn load_lists(&mut self) {
        let own = self.account.map_or(&[][..], |context| &context.account.lists);
        let defaults = &self.tables.policies.defaults.lists;
        let asked: Vec<ScopeNo> = if own.is_empty() {
            let list = |list: &_| self.dictionary.scope_if_known(&PriceScope::List(Clone::clone(list)));
            defaults.iter().filter_map(list).collect()
        } else {
            own.to_vec()
        };
        for (rank, list) in asked.into_iter().enumerate() {
            let (mut next, mut multiplier) = (Some(list), Some(Exact::ONE));
            let mut span = (Timestamp::MIN, Timestamp::MAX);
            // Cycles are refused at load, but two sources can make one together.
            for depth in 0..=LIST_DEPTH_MAX {
                let (Some(list), Some(times)) = (next, multiplier) else { break };
                let Some(loaded) = self.ranked(list, rank) else { break };
                span = (span.0.max(loaded.span.0), span.1.min(loaded.span.1));
                let parent = self.header(&loaded.parts).and_then(|header| header.parent);
                next = parent.map(|(list, _)| list);
                multiplier =
                    parent.and_then(|(_, value): (_, Decimal)| times.checked_mul(Exact::from_decimal(value)));
                self.lists.push(RankedScope { depth, multiplier: times, span, ..loaded });
            }
        }
    }

    fn account_scope(&self, account: crate::dictionary::AccountNo) -> Option<ScopeNo> {
        let id = pannier_protocol::AccountId::new(self.dictionary.accounts.name(account)).ok()?;
        self.dictionary.scope_if_known(&PriceScope::Account(id))
    }

    /// What every chain has served under a key, by number.
    fn serving(&self, served: Served) -> Vec<ScopeNo> {
        let mut scopes = Vec::new();
        for chain in &self.chains {
            scopes.extend(chain.rows.serving(served).iter().flat_map(|serving| serving.iter().copied()));
        }
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    /// The scope as all chains have it; `None` where none does.
    fn ranked(&self, no: ScopeNo, rank: usize) -> Option<RankedScope<'t>> {
        let part = |chain: &&'t CatalogChain| chain.rows.scope(no).map(|scope| ScopePart { chain, scope });
        let parts: Vec<_> = self.chains.iter().filter_map(part).collect();
        let scope = parts.first()?.scope.scope.clone();
        let span =
            self.header(&parts).map_or((Timestamp::MIN, Timestamp::MAX), |header| (header.start, header.end));
        Some(RankedScope { no, scope, rank, depth: 0, multiplier: Exact::ONE, span, parts })
    }

    /// The header of the source that owns headers, else of the lowest source that has one.
    fn header<'a>(&self, parts: &'a [ScopePart<'t>]) -> Option<&'a Header> {
        let owner = self.tables.ownership.owner(Table::Scopes, None, None);
        let mut counting = parts.iter().filter(|part| owner.is_none_or(|owner| *owner == part.chain.source));
        counting.find_map(|part| part.scope.header())
    }
}
