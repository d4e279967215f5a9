//! `pannier invalidate` and `pannier resync`: what sources said and is not to be trusted any more.

use anyhow::ensure;
use http::Method;
use pannier_protocol::api::operator::{InvalidateDryRun, InvalidateRequest, ResyncAnswer, ResyncRequest};
use pannier_protocol::change::{InvalidateMode, InvalidateScope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, ContractId, ItemId, ListId, MarkId, SourceId, WarehouseId};

use crate::cli::data;
use crate::operator::{NodeArgs, TriedActArgs, tell};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    act: TriedActArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// `soft`: served and flagged; `hard`: not served until sent anew.
    #[arg(long, env = "PANNIER_MODE", default_value = "soft")]
    mode: Mode,
    /// Of this chain alone, as in `catalog.shared.erp-1`; may be given several times. Without: of all.
    #[arg(long = "subject", env = "PANNIER_SUBJECT", value_parser = Subject::parse, value_delimiter = ',')]
    subjects: Vec<Subject>,
}

#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct ScopeArgs {
    /// Everything that the chains say.
    #[arg(long, env = "PANNIER_ALL")]
    all: bool,
    #[arg(long, env = "PANNIER_ITEM", value_parser = ItemId::new)]
    item: Option<ItemId>,
    #[arg(long, env = "PANNIER_ACCOUNT", value_parser = AccountId::new)]
    account: Option<AccountId>,
    #[arg(long, env = "PANNIER_CONTRACT", value_parser = ContractId::new)]
    contract: Option<ContractId>,
    /// A price list or promotion.
    #[arg(long, env = "PANNIER_PRICE_LIST", value_parser = ListId::new)]
    price_list: Option<ListId>,
    #[arg(long, env = "PANNIER_WAREHOUSE", value_parser = WarehouseId::new)]
    warehouse: Option<WarehouseId>,
    #[arg(long, env = "PANNIER_SOURCE", value_parser = SourceId::new)]
    source: Option<SourceId>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Mode {
    Soft,
    Hard,
}

#[derive(Debug, clap::Args)]
pub struct ResyncArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Who asks.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new)]
    by: MarkId,
    #[arg(long, env = "PANNIER_REASON")]
    reason: String,
    /// The chains, as in `ledger.stock.wms-1`.
    #[arg(env = "PANNIER_SUBJECTS", value_parser = Subject::parse, required = true, value_delimiter = ',')]
    subjects: Vec<Subject>,
}

impl ScopeArgs {
    fn scope(self) -> InvalidateScope {
        let named = self.item.map(InvalidateScope::Item);
        let named = named.or(self.account.map(InvalidateScope::Account));
        let named = named.or(self.contract.map(InvalidateScope::Contract));
        let named = named.or(self.price_list.map(InvalidateScope::PriceList));
        let named = named.or(self.warehouse.map(InvalidateScope::Warehouse));
        named.or(self.source.map(InvalidateScope::Source)).unwrap_or(InvalidateScope::All)
    }
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let mode = match args.mode {
        Mode::Soft => InvalidateMode::Soft,
        Mode::Hard => InvalidateMode::Hard,
    };
    let (by, reason) = args.act.signed()?;
    let scope = args.scope.scope();
    let request = InvalidateRequest { scope, mode, subjects: args.subjects, by, reason };
    let operator = args.act.node.open()?;
    if !args.act.dry_run {
        let answer = operator.act(Method::POST, "invalidate", args.act.key.as_ref(), &request).await?;
        return tell(&answer, args.act.json);
    }
    let tried: InvalidateDryRun = operator.try_out(Method::POST, "invalidate?dry_run=true", &request).await?;
    if args.act.json {
        return data(serde_json::to_string(&tried)?);
    }
    for chain in &tried.chains {
        let (subject, epoch, sequence) = (&chain.subject, chain.epoch, chain.sequence);
        data(format_args!("{subject}: {} rows up to {sequence} of epoch {epoch}", chain.rows_count))?;
    }
    data(format_args!("{}: {} rows; nothing was written", request.scope, tried.rows_count))
}

pub async fn resync(args: ResyncArgs) -> anyhow::Result<()> {
    let ResyncArgs { node, by, reason, subjects } = args;
    ensure!(!subjects.is_empty(), "name at least one chain");
    let request = ResyncRequest { subjects, by, reason };
    let answer: ResyncAnswer = node.open()?.try_out(Method::POST, "resync", &request).await?;
    for subject in &answer.asked {
        data(format_args!(
            "asked for {subject}; `loaded` and `suspect` in /v1/operator/sources tell what came of it"
        ))?;
    }
    Ok(())
}
