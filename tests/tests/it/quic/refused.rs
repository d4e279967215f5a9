//! What is no request, and what is no node.

use std::sync::Arc;

use pannier_node::{Node, StartError};
use pannier_protocol::api::Problem;
use pannier_protocol::codec;
use pannier_protocol::frame::{self, ALPN, AnswerHead, RequestHead};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::*;
use crate::node::config;

fn client(certified: &Certified, alpn: &[u8]) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let pem = certified.authority.pem();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider);
    let tls = tls.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_early_data = true;
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

async fn dial(run: &Running, certified: &Certified, alpn: &[u8]) -> Result<(Endpoint, Connection), String> {
    let config = client(certified, alpn);
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(config, run.node.quic_addr().unwrap(), NAME).unwrap();
    let connection = connecting.await.map_err(|error| error.to_string())?;
    Ok((endpoint, connection))
}

/// What is answered to the bytes of a stream.
async fn answered(connection: &Connection, bytes: &[u8]) -> (AnswerHead, Problem) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    // A refusal may come before all is sent.
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    let bytes = receive.read_to_end(1 << 20).await.unwrap();
    let (head, body) = frame::read::<AnswerHead>(&bytes, 1 << 20).unwrap();
    (head, codec::decode(Encoding::MessagePack, body, 1 << 20).unwrap())
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let (_endpoint, connection) = dial(&run, &certified, ALPN).await.unwrap();
    let head =
        RequestHead { method: "GET".to_owned(), path: "/v1/orders/x".to_owned(), ..RequestHead::default() };
    let whole = frame::before_body(&head, 0).unwrap();
    let spaced = RequestHead { path: "no path".to_owned(), ..head.clone() };
    let late = [whole.as_slice(), b"x"].concat();
    let large = [frame::before_body(&head, 700_000).unwrap(), vec![0; 700_000]].concat();
    for (bytes, status, detail) in [
        (&whole[..], 404, "no order or hold of this id is known"),
        (&[], 400, "the stream: the stream ended within the head"),
        (&whole[..9], 400, "the stream: the stream ended within the head"),
        (&late, 400, "the stream: bytes follow the body"),
        (&[0xff; 12], 400, "the stream: a head of 4294967295 bytes"),
        (&[0, 0, 0, 1, 0xc0, 0, 0, 0, 0], 400, "the stream: head: "),
        (&frame::before_body(&spaced, 0).unwrap(), 400, "the head of the stream: invalid uri character"),
        (&large, 413, "the body is larger than 655360 bytes"),
    ] {
        let (head, problem) = answered(&connection, bytes).await;
        assert_eq!(head.status, status, "{problem:?}");
        assert!(problem.detail.starts_with(detail), "{}", problem.detail);
        assert_eq!((problem.status, problem.correlation_id), (status, head.correlation_id));
    }
    assert!(run.metrics().await.contains("pannier_quic_refused_total{reason=\"frame\"} 7"));
    assert_eq!(answered(&connection, &whole).await.0.status, 404, "the connection is as good as before");
    run.node.stop().await.unwrap();
}

/// Its session is taken up again, and its first bytes wait for the handshake all the same.
#[tokio::test]
async fn nothing_is_taken_before_the_handshake() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let (config, address) = (client(&certified, ALPN), run.node.quic_addr().unwrap());
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let head =
        RequestHead { method: "GET".to_owned(), path: "/v1/orders/x".to_owned(), ..RequestHead::default() };
    let whole = frame::before_body(&head, 0).unwrap();
    for _ in 0..3 {
        let connecting = endpoint.connect_with(config.clone(), address, NAME).unwrap();
        let connection = match connecting.into_0rtt() {
            Ok(_) => panic!("the node offers to take early data"),
            Err(connecting) => connecting.await.unwrap(),
        };
        // With the answer the ticket of the session has come too.
        assert_eq!(answered(&connection, &whole).await.0.status, 404);
        connection.close(0_u32.into(), b"");
    }
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_not_spoken() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let error = dial(&run, &certified, b"h3").await.unwrap_err();
    assert!(error.contains("peer doesn't support any known protocol"), "{error}");
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_without_a_readable_certificate_does_not_start() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(|_| {}).await;
    assert_eq!(run.node.quic_addr(), None, "off without a certificate");
    let missing = certified.key.with_extension("missing");
    for (certificate, key, want) in [
        (&missing, &certified.key, "quic.certificate"),
        (&certified.certificate, &missing, "quic.key"),
        (&certified.key, &certified.key, "quic.certificate and quic.key do not make a server"),
        (&certified.certificate, &certified.certificate, "quic.key"),
    ] {
        let mut config = config(&run.test.server.url());
        certified.listening()(&mut config);
        (config.quic.certificate, config.quic.key) = (certificate.clone(), key.clone());
        let Err(error) = Node::start(config).await else { panic!("{want}") };
        assert!(matches!(&error, StartError::Quic { reason } if reason.starts_with(want)), "{error}");
    }
    run.node.stop().await.unwrap();
}
