//! A QUIC connection to a node whose certificate is of an authority that both know.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, TransportConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{AddressError, SendError};
use crate::limits::KEEP_ALIVE_INTERVAL;

/// Who is trusted, and what is spoken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tls<'t> {
    /// PEM; without it there is no QUIC.
    pub(crate) authority: Option<&'t [u8]>,
    /// PEM of a certificate and its key, for who has to show one.
    pub(crate) identity: Option<(&'t [u8], &'t [u8])>,
    pub(crate) alpn: &'static [u8],
}

/// Knows an address and how to connect to it.
#[derive(Debug)]
pub(crate) struct Dialer {
    /// As it was given.
    address: String,
    /// Whose certificate is expected.
    host: String,
    port: u16,
    config: ClientConfig,
}

#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    /// Goes with it.
    _endpoint: Endpoint,
}

impl Dialer {
    /// `address` as in `quic://pannier-1:8443`.
    pub(crate) fn new(address: &str, tls: &Tls<'_>) -> Result<Self, AddressError> {
        let error = || AddressError { text: address.chars().take(128).collect() };
        let uri: http::Uri = address.parse().map_err(|_| error())?;
        let (host, port) = (uri.host().ok_or_else(error)?, uri.port_u16().ok_or_else(error)?);
        if uri.scheme_str() != Some("quic") || !matches!(uri.path(), "" | "/") {
            return Err(error());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let config = config(tls).ok_or_else(error)?;
        Ok(Self { address: address.trim_end_matches('/').to_owned(), host, port, config })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn dial(&self) -> Result<Connected, SendError> {
        let unreachable = |source| SendError::Unreachable { address: self.address.clone(), source };
        self.connect().await.map_err(unreachable)
    }

    async fn connect(&self) -> Result<Connected, Box<dyn std::error::Error + Send + Sync>> {
        let mut found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let remote = found.next().ok_or("the name has no address")?;
        let any = match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Endpoint::client(any)?;
        let connection = endpoint.connect_with(self.config.clone(), remote, &self.host)?.await?;
        Ok(Connected { connection, _endpoint: endpoint })
    }
}

/// `None` where there is no authority, or what is given is none.
fn config(tls: &Tls<'_>) -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(tls.authority?) {
        roots.add(certificate.ok()?).ok()?;
    }
    if roots.is_empty() {
        return None;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .ok()?
        .with_root_certificates(roots);
    let mut crypto = match tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>().ok()?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key).ok()?).ok()?
        }
    };
    crypto.alpn_protocols = vec![tls.alpn.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto).ok()?));
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE_INTERVAL));
    config.transport_config(Arc::new(transport));
    Some(config)
}
