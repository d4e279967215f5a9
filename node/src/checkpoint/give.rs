//! This node's state for one that starts: its newest checkpoint as it lies on disk, else the state of this moment.
//!
//! Nothing of it is held in memory: a thread reads or writes pieces, and waits while the connection has no room. Lookups and
//! changes go on meanwhile as they do while a checkpoint is written.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use bytes::Bytes;
use pannier_core::checkpoint::SinkClosed;
use pannier_protocol::frame;
use pannier_protocol::peer::{CheckpointAnswer, CheckpointRequest};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::Taken;
use super::folder::{Folder, Name};
use super::taker::Taker;
use crate::app::App;
use crate::limits::{
    CHECKPOINT_READ_BYTES, PEER_PIECES_WAITING, PEER_REQUEST_BYTES_MAX, PEER_SILENCE_MAX, PEERS_FED_MAX,
};
use crate::metrics::OfOutcome;
use crate::progress::State;

/// The state that was begun with ended: ask another node.
const BROKE: VarInt = VarInt::from_u32(1);

/// Gives this node's state, a bounded number of times at once.
pub(crate) struct Giver {
    places: Semaphore,
    /// Set once there are tables.
    pub(crate) taker: OnceLock<Taker>,
}

/// What is being given.
struct Giving {
    name: Name,
    bytes: Option<u64>,
    /// Ends with an error where what gives them did.
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
}

impl Default for Giver {
    fn default() -> Self {
        Self { places: Semaphore::new(PEERS_FED_MAX), taker: OnceLock::new() }
    }
}

impl Giver {
    /// Until the other node leaves.
    pub(crate) async fn serve(&self, app: &App, connection: &Connection) {
        while let Ok((send, receive)) = connection.accept_bi().await {
            let outcome = match timeout(PEER_SILENCE_MAX, request(receive)).await {
                Ok(Some(request)) => self.answer(app, send, &request).await,
                Ok(None) | Err(_) => "unread",
            };
            app.metrics.peers_fed.get_or_create(&OfOutcome { outcome }).inc();
        }
    }

    async fn answer(&self, app: &App, mut send: SendStream, request: &CheckpointRequest) -> &'static str {
        let Ok(_place) = self.places.try_acquire() else {
            return refuse(send, format!("it gives its state to {PEERS_FED_MAX} nodes already")).await;
        };
        let mut giving = match self.begin(app, request).await {
            Ok(giving) => giving,
            Err(reason) => return refuse(send, reason).await,
        };
        tracing::info!(name = %giving.name, bytes = giving.bytes, "giving the state of this node to another one");
        let follows = CheckpointAnswer::Follows { name: giving.name.to_string(), bytes: giving.bytes };
        if !say(&mut send, &follows).await {
            return "broken";
        }
        while let Some(piece) = giving.pieces.recv().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    tracing::error!(%error, "a state that another node takes cannot be read on");
                    let _ = send.reset(BROKE);
                    return "broken";
                }
            };
            if !matches!(timeout(PEER_SILENCE_MAX, send.write_chunk(piece)).await, Ok(Ok(()))) {
                tracing::warn!("the node that takes this one's state is gone");
                return "broken";
            }
        }
        let _ = send.finish();
        match timeout(PEER_SILENCE_MAX, send.stopped()).await {
            Ok(Ok(None)) => "given",
            Ok(Ok(Some(_)) | Err(_)) | Err(_) => "broken",
        }
    }

    /// The reason, where there is none to give, is for the other node.
    async fn begin(&self, app: &App, request: &CheckpointRequest) -> Result<Giving, String> {
        let (state, incarnation) = {
            let progress = app.progress.read();
            (progress.state, progress.incarnation.clone())
        };
        if state != State::Ready {
            return Err(format!("it is not ready but {}", state.as_str()));
        }
        if incarnation.as_ref() != Some(&request.incarnation) {
            return Err("it follows another incarnation of the ledger".to_owned());
        }
        let (folder, wanted) = (Folder::of(&app.config.checkpoint), request.clone());
        let on_disk = tokio::task::spawn_blocking(move || of_disk(&folder?, &wanted));
        if let Ok(Some(giving)) = on_disk.await {
            return Ok(giving);
        }
        let taker = self.taker.get().ok_or("it has no tables yet")?;
        let taken = taker.take().await.map_err(|error| error.to_string())?;
        let name = Name::of(&taken.head);
        if !request.is_met_by(name.ledger, name.catalog) {
            return Err(format!("its state stands at {} of the ledger", name.ledger));
        }
        Ok(of_tables(name, taken))
    }
}

/// The newest that the other node can use.
fn of_disk(folder: &Folder, wanted: &CheckpointRequest) -> Option<Giving> {
    let names = folder.list(&wanted.incarnation).ok()?.into_iter();
    let fits =
        |name: &Name| name.incarnation == wanted.incarnation && wanted.is_met_by(name.ledger, name.catalog);
    let name = names.into_iter().find(fits)?;
    // It may be pushed out meanwhile: an open file stays.
    let mut file = File::open(folder.file(&name)).ok()?;
    let bytes = file.metadata().ok()?.len();
    let (sender, pieces) = mpsc::channel(PEER_PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; CHECKPOINT_READ_BYTES];
            let read = file.read(&mut piece);
            if matches!(read, Ok(0)) {
                return;
            }
            let ended = read.is_err();
            let piece = read.map(|length| {
                piece.truncate(length);
                Bytes::from(piece)
            });
            if sender.blocking_send(piece).is_err() || ended {
                return;
            }
        }
    });
    Some(Giving { name, bytes: Some(bytes), pieces })
}

fn of_tables(name: Name, taken: Taken) -> Giving {
    let (sender, pieces) = mpsc::channel(PEER_PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let mut sink =
            |bytes: &[u8]| sender.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(|_| SinkClosed);
        if taken.frozen.write(&taken.head, &mut sink).is_err() {
            tracing::debug!("the node that took this one's state is gone");
        }
    });
    Giving { name, bytes: None, pieces }
}

async fn request(mut receive: RecvStream) -> Option<CheckpointRequest> {
    let bytes = receive.read_to_end(PEER_REQUEST_BYTES_MAX).await.ok()?;
    let head = bytes.get(frame::LENGTH_BYTES..)?;
    frame::decode_head(head).ok()
}

async fn refuse(mut send: SendStream, reason: String) -> &'static str {
    tracing::info!(reason, "another node asked for the state of this one in vain");
    if say(&mut send, &CheckpointAnswer::Refused { reason }).await {
        let _ = send.finish();
        let _ = timeout(PEER_SILENCE_MAX, send.stopped()).await;
    }
    "refused"
}

async fn say(send: &mut SendStream, answer: &CheckpointAnswer) -> bool {
    let Ok(bytes) = frame::head(answer) else { return false };
    matches!(timeout(PEER_SILENCE_MAX, send.write_all(&bytes)).await, Ok(Ok(())))
}
