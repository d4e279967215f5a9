//! Where the broker is and which deployment on it is meant: the flags that most commands share.

use std::time::Duration;

use anyhow::Context;
use pannier_protocol::Timestamp;
use pannier_protocol::subject::Prefix;
use pannier_streams::{Broker, Streams, connect};

/// A person waits: a broker that is not there is told soon.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, clap::Args)]
pub struct BrokerArgs {
    /// NATS URLs of one cluster, with commas between.
    #[arg(long, env = "PANNIER_NATS", default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    /// Of all subjects; names the deployment.
    #[arg(long, env = "PANNIER_PREFIX", default_value = "pna.v1", value_parser = Prefix::new)]
    pub prefix: Prefix,
}

impl BrokerArgs {
    /// `name` is what operators see in the server's list of connections.
    pub async fn connect(&self, name: &str) -> anyhow::Result<Broker> {
        let options = connect::Options::new(&self.nats, name);
        let options = connect::Options { wait_max: Some(CONNECT_WAIT_MAX), ..options };
        Ok(Broker::connect(&options).await?)
    }

    /// Connects, and checks that the streams are what they must be.
    pub async fn open(&self, name: &str) -> anyhow::Result<(Broker, Streams)> {
        let broker = self.connect(name).await?;
        let streams = pannier_streams::open(&broker, &self.prefix).await?;
        Ok((broker, streams))
    }
}

/// This machine's clock: what messages are stamped with, and what day it is.
#[expect(clippy::disallowed_methods, reason = "the clock module of these tools")]
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    let now = jiff::Timestamp::now().as_millisecond();
    (now > 0).then_some(Timestamp::from_millis(now)).context("this machine's clock is before 1970")
}
