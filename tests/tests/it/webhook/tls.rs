//! Deliveries over TLS, to whom the certificates of the system name and to nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier::stage::Process;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::processes::program;
use super::{Receiver, Reply, check, has_all, place, steps};
use crate::node::checkout::checkout;
use pannier::stage::{Authority, Issued};

/// A server that is known by this name.
fn server(authority: &Authority, name: &str) -> TlsAcceptor {
    let Issued { certificate, key } = authority.issue(name).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = config.with_single_cert(vec![certificate.der().clone()], key.into()).unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn only_a_receiver_with_a_trusted_certificate_of_its_name_is_told() {
    let (running, _wms) = checkout().await;
    let order = place(&running, "tls", "web").await;
    let expected = BTreeMap::from([(order.clone(), steps(&running, &order, 2).await)]);
    let (trusted, other) = (Authority::new("trusted").unwrap(), Authority::new("other").unwrap());
    for (at, (authority, name, refusal)) in [
        (&trusted, "127.0.0.1", None),
        (&other, "127.0.0.1", Some("invalid peer certificate: UnknownIssuer")),
        (&trusted, "localhost", Some("invalid peer certificate: certificate not valid for name")),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = running.test.folder.path().join(format!("webhook-{at}"));
        let receiver = Receiver::start_tls(|_, _| Reply::Status(200), server(authority, name)).await;
        let mut program = program(&running, &receiver, &folder);
        let certificates = folder.join("trusted.pem");
        std::fs::write(&certificates, trusted.pem()).unwrap();
        let certificates = certificates.to_str().unwrap().to_owned();
        program.environment.push(("SSL_CERT_FILE".to_owned(), certificates));
        let process = Process::start("webhook", program, &folder).unwrap();
        match refusal {
            None => {
                let seen = receiver.until("both steps", |seen| has_all(seen, &expected)).await;
                check(&seen, &expected);
            }
            Some(_) => receiver.until_refused().await,
        }
        let log = process.log_file().to_owned();
        assert!(process.stop().await.unwrap().success());
        if let Some(refusal) = refusal {
            assert_eq!(receiver.seen(), [], "{refusal}");
            let log = std::fs::read_to_string(log).unwrap();
            assert!(log.contains(refusal), "{log}");
        }
    }
    running.node.stop().await.unwrap();
}
