//! Against a real nats-server.

use std::path::Path;

use pannier_protocol::change::StockSet;
use pannier_protocol::{Decimal, Encoding, ItemId, MarkId, SourceId, UomCode, WarehouseId};
use pannier_streams::Chain;
use pannier_streams::server::{Finder, LocalServer, Options};

use super::*;
use crate::broker::BrokerArgs;

async fn deployment(folder: &Path) -> (LocalServer, Broker, Streams) {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nats-server");
    let binary = Finder::from_env(cache).find().await.unwrap();
    let server = LocalServer::start(Options::new(binary, folder)).await.unwrap();
    let prefix = pannier_protocol::subject::Prefix::default();
    let args = BrokerArgs { nats: server.url(), prefix };
    let broker = args.connect("test").await.unwrap();
    let streams = pannier_streams::init(&broker, &args.prefix, 1).await.unwrap();
    (server, broker, streams)
}

async fn take(broker: &Broker, streams: &Streams, instance: &str, claim: bool) -> anyhow::Result<Held> {
    let source = SourceId::new("wms-1")?;
    let chain = Chain { subject: Subject::Stock(source.clone()), source, encoding: Encoding::MessagePack };
    Held::take(broker, streams, Taking { chain, instance: &MarkId::new(instance)?, claim }).await
}

fn stock() -> Vec<Change> {
    vec![Change::StockSet(StockSet {
        item: ItemId::new("A").unwrap(),
        warehouse: WarehouseId::new("DAL").unwrap(),
        uom: UomCode::new("EA").unwrap(),
        class: None,
        on_hand: Decimal::ONE,
        allocated: Decimal::ZERO,
        quarantine: Decimal::ZERO,
        on_hand_is_net: false,
        receipts: Vec::new(),
        reflects: None,
    })]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_continued_by_its_own_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let (server, broker, streams) = deployment(folder.path()).await;
    let mut first = take(&broker, &streams, "script", false).await.unwrap();
    let as_of = first.publish(stock(), None).await.unwrap();
    assert_eq!(as_of.to_string(), format!("{}.L2.S0.P0", streams.incarnation));

    let mut second = take(&broker, &streams, "script", false).await.unwrap();
    assert_eq!(second.point().epoch, first.point().epoch);
    second.publish(stock(), None).await.unwrap();
    assert_eq!((second.point().sequence.0, second.last().ledger.0), (2, 3));

    // Of two at once the one that comes later is refused.
    let error = first.publish(stock(), None).await.unwrap_err().to_string();
    assert!(error.contains("does not end where this command left it"), "{error}");

    let error = take(&broker, &streams, "other", false).await.err().unwrap().to_string();
    assert!(error.contains("is written by script, not by other"), "{error}");
    let third = take(&broker, &streams, "other", true).await.unwrap();
    assert_eq!(third.point().epoch.claim.0, 4);
    let error = second.publish(stock(), None).await.unwrap_err().to_string();
    assert!(error.contains("was claimed by another writer at 4"), "{error}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_get_the_next_version_once() {
    let folder = tempfile::tempdir().unwrap();
    let (server, broker, streams) = deployment(folder.path()).await;
    let documents = crate::policy::parse(crate::sample::POLICY).unwrap();
    let first = crate::policy::apply(&broker, &streams, documents.clone()).await.unwrap();
    assert_eq!(crate::policy::apply(&broker, &streams, documents).await.unwrap(), first);
    let changed = crate::policy::parse("rounding = \"half_even\"").unwrap();
    let second = crate::policy::apply(&broker, &streams, changed).await.unwrap();
    assert!(second.shared > first.shared);
    let in_force = crate::in_force::InForce::of_streams(&broker, &streams).await.unwrap().policies;
    let versions: Vec<u64> = in_force.values().map(|policy| policy.version).collect();
    assert_eq!((in_force["rounding"].version, versions.iter().sum::<u64>()), (2, 8));
    server.stop().await;
}
