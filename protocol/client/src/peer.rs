//! The state of a node that runs, for one that starts (`pannier_protocol::peer`).

use std::time::Duration;

use pannier_protocol::frame::{self, FrameError, LENGTH_BYTES};
use pannier_protocol::peer::{ALPN, CheckpointAnswer, CheckpointRequest};
use quinn::RecvStream;
use tokio::time::timeout;

use crate::dial::{Connected, Dialer, Tls};
use crate::error::{AddressError, SendError};

/// Why a node gives no state.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("{address} gives none: {reason}")]
    Refused { address: String, reason: String },
    #[error("the answer of {address} cannot be read: {source}; is it of another build?")]
    Answer { address: String, source: FrameError },
}

/// A node that other nodes may ask for its state. Nothing is sent yet.
#[derive(Debug)]
pub struct PeerClient {
    dialer: Dialer,
    silence_max: Duration,
}

/// A checkpoint on its way.
#[derive(Debug)]
pub struct Given {
    /// As the giver names it.
    pub name: String,
    pub bytes_total: Option<u64>,
    address: String,
    receive: RecvStream,
    silence_max: Duration,
    _connected: Connected,
}

impl PeerClient {
    /// `address` as in `quic://pannier-1:8443`; PEM: the authority of both nodes, certificate and key of the one that asks. A node
    /// from which nothing comes for `silence_max` has gone.
    pub fn new(
        address: &str,
        authority: &[u8],
        identity: (&[u8], &[u8]),
        silence_max: Duration,
    ) -> Result<Self, AddressError> {
        let tls = Tls { authority: Some(authority), identity: Some(identity), alpn: ALPN };
        Ok(Self { dialer: Dialer::new(address, &tls)?, silence_max })
    }

    /// Asks; the bytes are to be read then.
    pub async fn take(&self, request: &CheckpointRequest) -> Result<Given, TakeError> {
        match timeout(self.silence_max, self.ask(request)).await {
            Ok(given) => given,
            Err(_) => Err(SendError::Deadline { address: self.address(), limit: self.silence_max }.into()),
        }
    }

    async fn ask(&self, request: &CheckpointRequest) -> Result<Given, TakeError> {
        let broken = |source| SendError::Broken { address: self.address(), source };
        let head = frame::head(request).map_err(|error| broken(Box::new(error)))?;
        let connected = self.dialer.dial().await?;
        let stream = connected.connection.open_bi().await;
        let (mut send, mut receive) = stream.map_err(|error| broken(Box::new(error)))?;
        send.write_all(&head).await.map_err(|error| broken(Box::new(error)))?;
        let _ = send.finish();
        let unread = |source| TakeError::Answer { address: self.address(), source };
        let mut length = [0; LENGTH_BYTES];
        receive.read_exact(&mut length).await.map_err(|error| broken(Box::new(error)))?;
        let mut head = vec![0; frame::head_bytes(length).map_err(unread)?];
        receive.read_exact(&mut head).await.map_err(|error| broken(Box::new(error)))?;
        match frame::decode_head(&head).map_err(unread)? {
            CheckpointAnswer::Refused { reason } => {
                Err(TakeError::Refused { address: self.address(), reason })
            }
            CheckpointAnswer::Follows { name, bytes } => {
                let silence_max = self.silence_max;
                let address = self.address();
                Ok(Given { name, bytes_total: bytes, address, receive, silence_max, _connected: connected })
            }
        }
    }

    fn address(&self) -> String {
        self.dialer.address().to_owned()
    }
}

impl Given {
    /// How many bytes of `buffer` are the next ones; 0 at the end.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SendError> {
        let address = || self.address.clone();
        match timeout(self.silence_max, self.receive.read(buffer)).await {
            Ok(Ok(count)) => Ok(count.unwrap_or(0)),
            Ok(Err(error)) => Err(SendError::Broken { address: address(), source: Box::new(error) }),
            Err(_) => Err(SendError::Deadline { address: address(), limit: self.silence_max }),
        }
    }
}
