//! Nodes that run, for one that starts: who they are, and their state as bytes.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;

use pannier_client::{Given, PeerClient, TakeError};
use pannier_protocol::SourceId;
use pannier_protocol::peer::CheckpointRequest;
use pannier_streams::members::MembersError;
use pannier_streams::{Broker, Streams};
use tokio::runtime::Handle;

use crate::app::App;
use crate::limits::{PEER_ROUNDS, PEER_SILENCE_MAX};
use crate::members;

/// Those that may be asked still, the one that is ahead first.
pub(super) struct Peers {
    queue: VecDeque<(SourceId, PeerClient)>,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeersError {
    #[error("no peers")]
    Off,
    #[error("the other nodes are not known: {0}")]
    Members(#[from] MembersError),
    #[error("{file} cannot be read: {source}")]
    File { file: String, source: io::Error },
}

impl Peers {
    /// Each is in the queue as often as it may fail half way.
    pub(super) async fn find(app: &App, broker: &Broker, streams: &Streams) -> Result<Self, PeersError> {
        let config = &app.config.quic;
        if config.authority.as_os_str().is_empty() {
            return Err(PeersError::Off);
        }
        let [authority, certificate, key] =
            [file(&config.authority)?, file(&config.certificate)?, file(&config.key)?];
        let ready = members::ready(app, broker, streams).await?;
        let mut queue = VecDeque::new();
        for _ in 0..PEER_ROUNDS {
            for member in &ready {
                let Some(address) = &member.quic else { continue };
                let address = format!("quic://{address}");
                match PeerClient::new(&address, &authority, (&certificate, &key), PEER_SILENCE_MAX) {
                    Ok(client) => queue.push_back((member.node.clone(), client)),
                    Err(error) => tracing::error!(node = %member.node, %error, "a node that cannot be asked"),
                }
            }
        }
        Ok(Self { queue })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Asks the next one; `None` when there is none left.
    pub(super) async fn next(
        &mut self,
        wanted: &CheckpointRequest,
    ) -> Option<(SourceId, Result<Taking, TakeError>)> {
        let (node, client) = self.queue.pop_front()?;
        tracing::info!(%node, "asking another node for its state");
        let given = client.take(wanted).await;
        Some((node, given.map(|given| Taking { given, runtime: Handle::current() })))
    }
}

/// A checkpoint on its way from a peer, to be read on a thread that may block.
pub(super) struct Taking {
    given: Given,
    runtime: Handle,
}

impl Taking {
    pub(super) fn name(&self) -> &str {
        &self.given.name
    }

    pub(super) fn bytes_total(&self) -> Option<u64> {
        self.given.bytes_total
    }
}

impl Read for Taking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.given.read(buffer)).map_err(io::Error::other)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, PeersError> {
    std::fs::read(path).map_err(|source| PeersError::File { file: path.display().to_string(), source })
}
