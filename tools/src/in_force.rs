//! What is in force of what operators publish: as a node says it, or read off the streams where these go back to their
//! first entry. A deployment without a node has policies too, and one whose streams forget has nodes.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use async_nats::jetstream::message::StreamMessage;
use pannier_protocol::api::operator::{ClusterShown, PoliciesShown};
use pannier_protocol::change::{Policy, PolicyDocument};
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::order::Decision;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Partition, SourceId, StreamSequence};
use pannier_streams::held::OPERATOR;
use pannier_streams::stored::{CONTENT_TYPE, stream_info};
use pannier_streams::{Broker, Streams};

use crate::operator::Operator;
use crate::walk;

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct InForceArgs {
    /// The operators' listener of a running node, to be asked what is in force. Without: that is read off the streams,
    /// which must hold everything from their first entry on.
    #[arg(long, env = "PANNIER_NODE")]
    node: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InForce {
    /// By name, the last version of each document.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// The ownership that a handover decided, where no document is newer.
    pub(crate) handed_over: Option<Policy>,
    pub(crate) rules: Rules,
}

/// The rules of the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Rules {
    pub(crate) version: u32,
    /// The entry that activated it; 0: none did, every ledger begins with it. Nodes do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<StreamSequence>,
}

impl InForceArgs {
    pub(crate) async fn read(&self, broker: &Broker, streams: &Streams) -> anyhow::Result<InForce> {
        match &self.node {
            Some(node) => Ok(Operator::new(node)?.get::<PoliciesShown>("policies").await?.into()),
            None => InForce::of_streams(broker, streams).await,
        }
    }

    /// Refuses rules that some node does not know; says nothing without one to ask.
    pub(crate) async fn knows_rules(&self, version: u32) -> anyhow::Result<()> {
        let Some(node) = &self.node else { return Ok(()) };
        let cluster: ClusterShown = Operator::new(node)?.get("cluster").await?;
        for shown in cluster.members.iter().filter(|shown| !shown.silent) {
            let member = &shown.member;
            ensure!(
                member.rules_known >= version,
                "node {} knows rule versions up to {}, and would stop at {version}: upgrade it first",
                member.node,
                member.rules_known
            );
        }
        Ok(())
    }
}

impl From<PoliciesShown> for InForce {
    fn from(shown: PoliciesShown) -> Self {
        let (handed_over, documents): (Vec<_>, Vec<_>) =
            shown.policies.into_iter().partition(|it| it.of_handover);
        let named = documents.into_iter().map(|it| (it.policy.document.name().to_owned(), it.policy));
        Self {
            policies: named.collect(),
            handed_over: handed_over.into_iter().next().map(|it| it.policy),
            rules: Rules { version: shown.rules, position: None },
        }
    }
}

impl InForce {
    /// What the streams say, from their first entry on.
    pub(crate) async fn of_streams(broker: &Broker, streams: &Streams) -> anyhow::Result<Self> {
        for stream in [&streams.ledger, &streams.catalog] {
            let first = stream_info(broker, stream).await.context("read the stream's state")?.first;
            ensure!(
                first <= StreamSequence(1),
                "{stream} keeps entries from {first} on, so what was published before is in nodes alone: \
                 name one with --node"
            );
        }
        let rules = Rules { version: 1, position: Some(StreamSequence(0)) };
        let mut in_force = Self { policies: BTreeMap::new(), handed_over: None, rules };
        let policies = Subject::Catalog(Partition::Shared, SourceId::new(OPERATOR)?);
        for (stream, subject) in [(&streams.catalog, policies), (&streams.ledger, Subject::Control)] {
            let full = streams.prefix.full(&subject);
            walk::messages(broker, stream, &full, |message| {
                let at = StreamSequence(message.sequence);
                changes(&message).into_iter().for_each(|change| in_force.take(change, at));
                Ok(())
            })
            .await?;
        }
        Ok(in_force)
    }

    fn take(&mut self, change: Change, at: StreamSequence) {
        if let Change::Policy(policy) = change {
            self.policies.insert(policy.document.name().to_owned(), policy);
        } else if let Change::RuleVersionActivated(activated) = change {
            if activated.version > self.rules.version {
                self.rules = Rules { version: activated.version, position: Some(at) };
            }
        } else if let Change::Decision(decision) = change
            && let Decision::Handover(handover) = *decision
        {
            let version = handover.replaces.saturating_add(1);
            if self.handed_over.as_ref().is_none_or(|last| last.version < version) {
                let document = PolicyDocument::Ownership(handover.ownership);
                self.handed_over = Some(Policy { version, document });
            }
        }
    }
}

/// None of what is no message: that is poison for every node alike.
fn changes(message: &StreamMessage) -> Vec<Change> {
    let content_type = message.headers.get(CONTENT_TYPE).map(|value| value.as_str());
    let envelope =
        Encoding::of_content_type(content_type).and_then(|of| decode_envelope(of, &message.payload));
    envelope.map(|envelope| envelope.changes).unwrap_or_default()
}
