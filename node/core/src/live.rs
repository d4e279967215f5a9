//! What sources say when they are asked (policy `ask`): for one reply, in place of what their chains say.
//!
//! The problem: a table past its budget is to be answered from the source itself, but what a source says outside of
//! its chain has no sequence, so no gate can tell whether it is older than what was applied meanwhile. Rejected:
//! writing it into the table, where it would outlive the reply, and nodes would come to have different tables. So
//! the rows stand beside the tables while one basket is answered, with a status of their own that names the chain in
//! whose place they are, and go with it.

use std::sync::Arc;

use pannier_protocol::SourceId;
use pannier_protocol::ask::{Asked, LiveRows};

use crate::dictionary::{Dictionary, ItemNo};
use crate::freshness::ChainStatus;
use crate::ledger::{ItemStock, LedgerTables, StockChain};
use crate::rows::RowVersion;

/// What a basket would have to ask to be answered within its budgets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiveQuestion {
    pub source: SourceId,
    pub asked: Asked,
}

/// What came back to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAnswer {
    pub question: LiveQuestion,
    /// Nothing but rows of what was asked.
    pub rows: LiveRows,
}

/// All answers that one basket uses.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) stock: Vec<LiveStock>,
}

/// One item's stock as its source says it.
pub struct LiveStock {
    pub(crate) item: ItemNo,
    /// The chain's own rows, with the status of the answer.
    pub(crate) chain: StockChain,
    pub(crate) stock: Arc<ItemStock>,
}

impl Live {
    /// An answer is left out where the chain has caught up meanwhile: its table is the younger one.
    pub(crate) fn of(answers: &[Arc<LiveAnswer>], ledger: &LedgerTables, dictionary: &Dictionary) -> Self {
        let stock = answers.iter().filter_map(|answer| live_stock(answer, ledger, dictionary));
        Self { stock: stock.collect() }
    }
}

fn live_stock(answer: &LiveAnswer, ledger: &LedgerTables, dictionary: &Dictionary) -> Option<LiveStock> {
    let LiveAnswer { question: LiveQuestion { source, asked }, rows } = answer;
    let Asked::Stock(asked) = asked else { return None };
    let item = dictionary.items.get(asked.item.as_str())?;
    let at = ledger.chains.binary_search_by(|chain| chain.source.cmp(source)).ok()?;
    let chain = &ledger.chains[at];
    let status = status(&chain.status, rows)?;
    let stock = ItemStock::said(&rows.changes, version(&chain.status), dictionary);
    let chain = StockChain { status: Arc::new(status), ..chain.clone() };
    Some(LiveStock { item, chain, stock: Arc::new(stock) })
}

fn status(chain: &Arc<ChainStatus>, rows: &LiveRows) -> Option<ChainStatus> {
    let is_younger = chain.load().caught_up_to.is_none_or(|at| at < rows.read_at);
    is_younger.then(|| ChainStatus::live(chain, rows.read_at))
}

/// The rows have no place in their chain; they are later than all that is there.
fn version(chain: &ChainStatus) -> RowVersion {
    let state = chain.load();
    let epoch_number = u16::try_from(state.epochs.len().saturating_sub(1)).unwrap_or(u16::MAX);
    RowVersion::new(epoch_number, state.sequence.0.min(RowVersion::SEQUENCE_MAX))
}
