//! A node as a process, at one address for all its lives.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use pannier_client::{HttpClient, Options};
use pannier_protocol::api::operator::ClusterShown;
use tokio::time::{Instant, sleep};

use super::process::{Process, Program};

const READY_POLL: Duration = Duration::from_millis(50);
/// Nodes say what they are once a second.
const SAID_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct NodeProcess {
    process: Process,
    http: HttpClient,
    operator: String,
}

impl NodeProcess {
    /// `pannier` is the program; `environment` holds further keys of the node's configuration.
    pub fn start(
        name: &str,
        pannier: &Path,
        nats: &str,
        environment: &[(&str, &str)],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_as(name, (pannier, vec!["node".to_owned()]), nats, environment, folder)
    }

    /// The same, on one core of the machine where one is named.
    pub fn start_with(
        name: &str,
        (pannier, core): (&Path, Option<&str>),
        nats: &str,
        environment: &[(&str, &str)],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let Some(core) = core else { return Self::start(name, pannier, nats, environment, folder) };
        let pannier = pannier.display().to_string();
        let arguments = ["-c", core, &pannier, "node"].map(str::to_owned).to_vec();
        Self::start_as(name, (Path::new("taskset"), arguments), nats, environment, folder)
    }

    fn start_as(
        name: &str,
        (binary, arguments): (&Path, Vec<String>),
        nats: &str,
        environment: &[(&str, &str)],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let (port, operator_port) = (free_port()?, free_port()?);
        let own = [
            ("PANNIER_NODE__NAME", name.to_owned()),
            ("PANNIER_NATS__SERVERS", nats.to_owned()),
            ("PANNIER_HTTP__LISTEN", format!("127.0.0.1:{port}")),
            ("PANNIER_OPERATOR__LISTEN", format!("127.0.0.1:{operator_port}")),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let more = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = own.into_iter().chain(more).collect();
        let program = Program { binary: binary.to_owned(), arguments, environment };
        let http = HttpClient::new(&format!("http://127.0.0.1:{port}"), Options::default())?;
        let operator = format!("http://127.0.0.1:{operator_port}");
        Ok(Self { process: Process::start(name, program, folder)?, http, operator })
    }

    /// Of checkout.
    pub fn socket(&self) -> anyhow::Result<SocketAddr> {
        let address = self.address();
        let address = address.strip_prefix("http://").unwrap_or(address);
        address.parse().with_context(|| format!("{address} is an address"))
    }

    /// As in `http://127.0.0.1:34705`; the same after it was started again.
    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// The same of the operators' listener.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Where it answers QUIC, once it has said so to the others.
    pub(crate) async fn quic(&self) -> anyhow::Result<String> {
        let http = HttpClient::new(&self.operator, Options::default())?;
        let deadline = Instant::now() + SAID_MAX;
        loop {
            let cluster = http.get("/v1/operator/cluster").await?;
            let cluster: ClusterShown = serde_json::from_slice(cluster.body())?;
            let own = cluster.members.into_iter().find(|shown| shown.member.node == cluster.asked);
            if let Some(address) = own.and_then(|shown| shown.member.quic) {
                return Ok(address);
            }
            if Instant::now() >= deadline {
                bail!("{} does not say where it answers QUIC", self.process.name());
            }
            sleep(READY_POLL).await;
        }
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.process.id()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Until it has caught up with the streams.
    pub async fn ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let Err(error) = self.http.readyz().await else { return Ok(()) };
            let (name, log) = (self.process.name().to_owned(), self.process.log_file().display().to_string());
            if let Some(status) = self.process.ended() {
                bail!("{name} ended ({status}); see {log}");
            }
            if Instant::now() >= deadline {
                return Err(error)
                    .with_context(|| format!("{name} was not ready within {within:?}; see {log}"));
            }
            sleep(READY_POLL).await;
        }
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        let log = self.process.log_file().display().to_string();
        let status = self.process.stop().await?;
        anyhow::ensure!(status.success(), "a node ended with {status}; see {log}");
        Ok(())
    }
}

/// One that was free a moment ago: a node keeps its address when it is started again, so it cannot be left to choose.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}
