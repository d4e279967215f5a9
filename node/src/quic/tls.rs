//! Certificate, key and transport of the listener.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use pannier_protocol::{frame, peer};
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::QuicError;
use crate::config::Quic;
use crate::limits::{
    QUIC_CONNECTION_BYTES, QUIC_HANDSHAKES_MAX, QUIC_IDLE_MAX, QUIC_STREAM_BYTES, QUIC_STREAMS_MAX,
};

pub(super) fn server(config: &Quic) -> Result<ServerConfig, QuicError> {
    let file = |key, file: &Path, error: &dyn Display| QuicError::File {
        key,
        file: file.to_owned(),
        reason: error.to_string(),
    };
    let (certificate, key) = (&config.certificate, &config.key);
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| file("certificate", certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| file("key", key, &error))?;
    let tls = |error: &dyn Display| QuicError::Tls { reason: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let mut alpn = vec![frame::ALPN.to_vec()];
    let mut verifier = WebPkiClientVerifier::no_client_auth();
    if !config.authority.as_os_str().is_empty() {
        alpn.push(peer::ALPN.to_vec());
        verifier = nodes(&config.authority, Arc::clone(&provider))
            .map_err(|error| file("authority", &config.authority, &error))?;
    }
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, secret)
        .map_err(|error| tls(&error))?;
    server.alpn_protocols = alpn;
    // No 0-RTT: whoever saw it can send it again.
    server.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(server).map_err(|error| tls(&error))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(transport())).max_incoming(QUIC_HANDSHAKES_MAX);
    Ok(server)
}

/// Other nodes show a certificate of this authority; checkout need not show any.
fn nodes(authority: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.allow_unauthenticated().build().map_err(|error| error.to_string())
}

/// Whether it is of another node: it asked as one, and showed a certificate, which was verified.
pub(super) fn is_peer(connection: &Connection) -> bool {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let asked = data.is_some_and(|data| data.protocol.as_deref() == Some(peer::ALPN));
    asked && connection.peer_identity().is_some()
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(QUIC_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(QUIC_STREAM_BYTES))
        .receive_window(VarInt::from_u32(QUIC_CONNECTION_BYTES))
        .send_window(u64::from(QUIC_CONNECTION_BYTES))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(VarInt::from_u32(QUIC_IDLE_MAX).into()));
    transport
}
