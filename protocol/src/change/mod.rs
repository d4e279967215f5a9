//! Every kind of change that a message can carry. Externally tagged: a change is a map with one entry,
//! its kind, so an unknown kind is seen before its content is.

mod account;
pub(crate) mod check;
mod item;
mod mark;
mod policy;
mod price;
mod row;
mod stock;

use serde::{Deserialize, Serialize};

pub use account::{Account, AccountRemoved, Credit, CreditRemoved};
pub use check::InvalidChange;
pub use item::{
    Item, ItemRemoved, ItemStatus, KitComponent, Reference, ReferenceKind, ReferenceRemoved, Relation,
    RelationKind,
};
pub use mark::{
    ChainPoint, Claim, Invalidate, InvalidateMode, InvalidateScope, Part, PriceSelection,
    RuleVersionActivated, SnapshotApproved, SnapshotBegin, SnapshotEnd, SnapshotScope, Table, Tick,
    UnitBegin, UnitCommit,
};
pub use policy::{
    CustomerKey, Defaults, InDoubt, ItemKeyKind, LevelPolicy, LevelRule, Ownership, OwnershipRule,
    PastBudget, PastDue, Policy, PolicyDocument, PriceMoved, Rounding, Sourcing, SourcingMode, Staleness,
    StalenessRule, StalenessTable, WarehouseKey,
};
pub use price::{
    Break, Cap, CapBasis, CapPast, CapRemoved, Method, ParentList, PriceKey, PriceRow, PriceScope,
    PriceScopeKind, Prices, PricesRemoved, ScopeHeader, ScopeMember, ScopeRemoved,
};
pub use stock::{
    Lot, LotsSet, OversellSet, Receipt, Reflected, ReflectedLine, SafetySet, StockAdjust, StockRemoved,
    StockSet, SupplyRemoved, SupplySet,
};

use crate::Partition;
use crate::order::{Command, Decision, OrderEvent};
use crate::subject::Subject;

/// One change, or one mark of the chain that carries it. On the wire `{"stock_set": {...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    StockSet(StockSet),
    StockAdjust(StockAdjust),
    StockRemoved(StockRemoved),
    SupplySet(SupplySet),
    SupplyRemoved(SupplyRemoved),
    LotsSet(LotsSet),
    SafetySet(SafetySet),
    OversellSet(OversellSet),
    Credit(Credit),
    CreditRemoved(CreditRemoved),
    Cap(Cap),
    CapRemoved(CapRemoved),

    Item(Item),
    ItemRemoved(ItemRemoved),
    Reference(Reference),
    ReferenceRemoved(ReferenceRemoved),
    Account(Account),
    AccountRemoved(AccountRemoved),
    Scope(ScopeHeader),
    ScopeRemoved(ScopeRemoved),
    Prices(Prices),
    PricesRemoved(PricesRemoved),
    Policy(Policy),

    Claim(Claim),
    Tick(Tick),
    Invalidate(Invalidate),
    UnitBegin(UnitBegin),
    UnitCommit(UnitCommit),
    SnapshotBegin(SnapshotBegin),
    SnapshotEnd(SnapshotEnd),
    Part(Part),
    SnapshotApproved(SnapshotApproved),
    RuleVersionActivated(RuleVersionActivated),

    /// From rule version 2 on.
    Command(Box<Command>),
    /// From rule version 2 on.
    Event(Box<OrderEvent>),
    /// From rule version 2 on.
    Decision(Box<Decision>),
}

/// Where a kind of change may be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `ledger.stock.<source>`
    Stock,
    /// `catalog.shared.<source>`: what accounts of every family may need.
    Shared,
    /// `catalog.<partition>.<source>`; what is not of one family only in the shared one.
    Priced,
    /// Any chain of stock or catalog.
    Chain,
    /// `ledger.control`, or the shared catalog for catalog chains.
    Operator,
    /// `ledger.control`
    Control,
    /// `ledger.order.<node>`
    Order,
    /// `ledger.event.<backend>`
    Event,
    /// Any chain.
    Any,
}

impl Change {
    /// The kind as on the wire; of a command, an event or a decision with its own kind, as in
    /// `command.place_order`.
    pub fn kind(&self) -> &'static str {
        self.described().0
    }

    /// Whether a message on `subject` may carry this kind.
    pub fn fits(&self, subject: &Subject) -> bool {
        match self.described().1 {
            Place::Stock => matches!(subject, Subject::Stock(_)),
            Place::Shared => matches!(subject, Subject::Catalog(Partition::Shared, _)),
            Place::Priced => match subject {
                Subject::Catalog(Partition::Shared, _) => true,
                Subject::Catalog(Partition::Family(_), _) => self.is_of_one_family(),
                Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => false,
            },
            Place::Chain => matches!(subject, Subject::Stock(_) | Subject::Catalog(..) | Subject::Control),
            Place::Operator => {
                matches!(subject, Subject::Control | Subject::Catalog(Partition::Shared, _))
            }
            Place::Control => matches!(subject, Subject::Control),
            Place::Order => matches!(subject, Subject::Order(_)),
            Place::Event => matches!(subject, Subject::Event(_)),
            Place::Any => true,
        }
    }

    /// Prices of a contract or an account, which may serve one family only. Groups, promotions and lists
    /// serve all: in one family's partition the others would never see them.
    fn is_of_one_family(&self) -> bool {
        let kind = self.price_scope().map(PriceScope::kind);
        matches!(kind, Some(PriceScopeKind::Contract | PriceScopeKind::Account))
    }

    /// Marks that open, close or take over a chain share their message with nothing.
    pub fn stands_alone(&self) -> bool {
        matches!(
            self,
            Self::Claim(_)
                | Self::UnitBegin(_)
                | Self::UnitCommit(_)
                | Self::SnapshotBegin(_)
                | Self::SnapshotEnd(_)
        )
    }

    /// The table that this change writes a row of; `None` for marks.
    pub fn table(&self) -> Option<Table> {
        self.described().2
    }

    fn described(&self) -> (&'static str, Place, Option<Table>) {
        match self {
            Self::StockSet(_) => ("stock_set", Place::Stock, Some(Table::Stock)),
            Self::StockAdjust(_) => ("stock_adjust", Place::Stock, Some(Table::Stock)),
            Self::StockRemoved(_) => ("stock_removed", Place::Stock, Some(Table::Stock)),
            Self::SupplySet(_) => ("supply_set", Place::Stock, Some(Table::Supply)),
            Self::SupplyRemoved(_) => ("supply_removed", Place::Stock, Some(Table::Supply)),
            Self::LotsSet(_) => ("lots_set", Place::Stock, Some(Table::Lots)),
            Self::SafetySet(_) => ("safety_set", Place::Stock, Some(Table::Safety)),
            Self::OversellSet(_) => ("oversell_set", Place::Stock, Some(Table::Safety)),
            Self::Credit(_) => ("credit", Place::Stock, Some(Table::Credit)),
            Self::CreditRemoved(_) => ("credit_removed", Place::Stock, Some(Table::Credit)),
            Self::Cap(_) => ("cap", Place::Stock, Some(Table::Caps)),
            Self::CapRemoved(_) => ("cap_removed", Place::Stock, Some(Table::Caps)),
            Self::Item(_) => ("item", Place::Shared, Some(Table::Items)),
            Self::ItemRemoved(_) => ("item_removed", Place::Shared, Some(Table::Items)),
            Self::Reference(_) => ("reference", Place::Shared, Some(Table::References)),
            Self::ReferenceRemoved(_) => ("reference_removed", Place::Shared, Some(Table::References)),
            Self::Account(_) => ("account", Place::Shared, Some(Table::Accounts)),
            Self::AccountRemoved(_) => ("account_removed", Place::Shared, Some(Table::Accounts)),
            Self::Scope(_) => ("scope", Place::Priced, Some(Table::Scopes)),
            Self::ScopeRemoved(_) => ("scope_removed", Place::Priced, Some(Table::Scopes)),
            Self::Prices(_) => ("prices", Place::Priced, Some(Table::Prices)),
            Self::PricesRemoved(_) => ("prices_removed", Place::Priced, Some(Table::Prices)),
            Self::Policy(_) => ("policy", Place::Shared, Some(Table::Policies)),
            Self::Claim(_) => ("claim", Place::Any, None),
            Self::Tick(_) => ("tick", Place::Any, None),
            Self::Invalidate(_) => ("invalidate", Place::Chain, None),
            Self::UnitBegin(_) => ("unit_begin", Place::Chain, None),
            Self::UnitCommit(_) => ("unit_commit", Place::Chain, None),
            Self::SnapshotBegin(_) => ("snapshot_begin", Place::Chain, None),
            Self::SnapshotEnd(_) => ("snapshot_end", Place::Chain, None),
            Self::Part(_) => ("part", Place::Chain, None),
            Self::SnapshotApproved(_) => ("snapshot_approved", Place::Operator, None),
            Self::RuleVersionActivated(_) => ("rule_version_activated", Place::Control, None),
            Self::Command(command) => (command.full_kind(), Place::Order, None),
            Self::Event(event) => (event.full_kind(), Place::Event, None),
            Self::Decision(decision) => (decision.full_kind(), Place::Control, None),
        }
    }
}
