//! Nodes that start from the state of another one, which goes on serving.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use pannier_client::{PeerClient, TakeError};
use pannier_protocol::StreamSequence;
use pannier_protocol::peer::CheckpointRequest;
use serde_json::json;
use tokio::net::UdpSocket;

use super::*;
use crate::node::checkout::checkout_with;
use crate::node::stock;
use crate::quic::Certified;
use pannier::stage::Authority;

const LOCAL: &str = "127.0.0.1";
/// More than a handshake, less than the state that is given.
const CUT_BYTES: usize = 48 * 1024;

/// A node of that name without a folder.
fn peering(certified: &Certified, name: &'static str) -> impl FnOnce(&mut Config) + use<> {
    let peering = certified.peering();
    move |config| {
        peering(config);
        config.node.name = name.to_owned();
    }
}

/// Whatever the streams have lost, the second node has the first one's tables, and both go on alike.
async fn takes_over(giver: impl FnOnce(&mut Config), certified: &Certified) {
    let (run, mut wms, mut erp, at) = checkout_with(giver).await;
    let first = place(&run, "k1", "2").await;
    age_out(&run).await;
    let own = tempfile::tempdir().unwrap();
    let (peering, keeping) = (peering(certified, "n2"), keeping("n2", own.path()));
    let node = start(&run.test, |config| {
        peering(config);
        keeping(config);
    })
    .await;
    assert!(node.handle().ready().await, "{}", node.handle().progress().borrow().detail);
    let given = "pannier_checkpoint_given_total{outcome=\"given\"}";
    assert_eq!(metric(&run, given).await, 1);
    let giver = run.node;
    let run = Running { http: client(&node), node, ..run };
    assert_eq!(source(&run).await, "peer");
    assert_eq!(place(&run, "k1", "2").await["order"], first["order"], "its key is remembered");
    let ledger = wms.send(json!([stock("7")])).await;
    let shared = erp.send(json!([{"item": {"item": "SKU-2", "base_uom": "EA"}}])).await;
    let at = run.as_of(ledger.max(at.ledger), shared);
    let line = run.line(&at).await;
    let other = Running { http: client(&giver), node: giver, ..run };
    assert_eq!(other.line(&at).await, line);
    assert!(at_the_end(&other, &[own.path()]).await.len() == 1, "it has a checkpoint of its own now");
    run.node.stop().await.unwrap();
    other.node.stop().await.unwrap();
}

#[tokio::test]
async fn the_checkpoint_of_another_node_is_taken() {
    let (certified, folder) = (Certified::of(LOCAL), tempfile::tempdir().unwrap());
    let (peering, keeping) = (peering(&certified, "n1"), keeping("n1", folder.path()));
    let giver = |config: &mut Config| {
        peering(config);
        keeping(config);
    };
    Box::pin(takes_over(giver, &certified)).await;
}

#[tokio::test]
async fn the_tables_of_a_node_without_a_folder_are_taken() {
    let certified = Certified::of(LOCAL);
    Box::pin(takes_over(peering(&certified, "n1"), &certified)).await;
}

/// Forwards datagrams to a node that is named later, and to the first client no more than [`CUT_BYTES`].
async fn cut(socket: UdpSocket, target: SocketAddr) {
    let (socket, mut clients) = (Arc::new(socket), HashMap::<SocketAddr, Arc<UdpSocket>>::new());
    let mut datagram = vec![0; 65_536];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut datagram).await else { continue };
        let is_first = clients.is_empty();
        if let Entry::Vacant(new) = clients.entry(client) {
            let onward = Arc::new(UdpSocket::bind((LOCAL, 0)).await.unwrap());
            onward.connect(target).await.unwrap();
            new.insert(Arc::clone(&onward));
            let socket = Arc::clone(&socket);
            tokio::spawn(async move {
                let (mut datagram, mut passed) = (vec![0; 65_536], 0);
                while let Ok(length) = onward.recv(&mut datagram).await {
                    passed += length;
                    if is_first && passed > CUT_BYTES {
                        return;
                    }
                    socket.send_to(&datagram[..length], client).await.unwrap();
                }
            });
        }
        // Where the way back is cut, what is sent is lost too.
        let _ = clients[&client].send(&datagram[..length]).await;
    }
}

#[tokio::test]
async fn a_transfer_that_dies_half_way_begins_again() {
    let certified = Certified::of(LOCAL);
    let between = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let (peering_1, advertised) = (peering(&certified, "n1"), between.local_addr().unwrap().to_string());
    let (run, _, mut erp, at) = checkout_with(|config| {
        peering_1(config);
        config.quic.advertise = advertised;
    })
    .await;
    tokio::spawn(cut(between, run.node.quic_addr().unwrap()));
    let mut shared = at.shared;
    for part in 0..10 {
        // Names that do not compress well.
        let name =
            |at: usize| format!("SKU-{:x}", (part * 1_000 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let items: Vec<_> =
            (0..1_000).map(|at| json!({"item": {"item": name(at), "base_uom": "EA"}})).collect();
        shared = erp.send(json!(items)).await;
    }
    let at = run.as_of(at.ledger, shared);
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    age_out(&run).await;
    let node = start(&run.test, peering(&certified, "n2")).await;
    let ready = node.handle();
    let becoming = tokio::spawn(async move { ready.ready().await });
    // The one that gives goes on.
    while !becoming.is_finished() {
        assert_eq!(run.line(&at).await, "ok 10.00 10");
        sleep(LOOK).await;
    }
    assert!(becoming.await.unwrap(), "{}", node.handle().progress().borrow().detail);
    let other = Running { http: client(&node), node, ..run };
    assert_eq!(metric(&other, "pannier_checkpoint_refused_total{reason=\"unread\"}").await, 1);
    assert_eq!(source(&other).await, "peer");
    assert_eq!(other.line(&at).await, "ok 10.00 10");
    other.node.stop().await.unwrap();
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn only_nodes_are_given_the_state() {
    let certified = Certified::of(LOCAL);
    let (run, ..) = checkout_with(peering(&certified, "n1")).await;
    let address = format!("quic://{}", run.node.quic_addr().unwrap());
    let authority = certified.authority.pem().into_bytes();
    let wanted = CheckpointRequest {
        incarnation: run.streams.incarnation.clone(),
        ledger_first: StreamSequence(1),
        catalog_first: StreamSequence(1),
        ledger_before: None,
    };
    let stranger = Authority::new("other").unwrap().issue(LOCAL).unwrap();
    let ours = certified.authority.issue(LOCAL).unwrap();
    for (issued, is_given) in [(stranger, false), (ours, true)] {
        let (certificate, key) = (issued.certificate_pem().into_bytes(), issued.key_pem().into_bytes());
        let client = PeerClient::new(&address, &authority, (&certificate, &key), PATIENCE).unwrap();
        let taken = client.take(&wanted).await;
        assert_eq!(taken.is_ok(), is_given, "{taken:?}");
        if is_given {
            let other = CheckpointRequest { ledger_before: Some(StreamSequence(1)), ..wanted.clone() };
            let refused = client.take(&other).await.unwrap_err();
            assert!(matches!(&refused, TakeError::Refused { .. }), "{refused:?}");
        }
    }
    // Whoever shows none is treated as checkout is: there is no such request.
    let options = pannier_client::Options { authority: Some(authority), ..Default::default() };
    let checkout = pannier_client::QuicClient::new(&address, options).unwrap();
    let asked = serde_json::from_value(json!({"account": "C-1", "lines": []})).unwrap();
    let refused = checkout.lookup(&asked).await.unwrap_err();
    assert!(refused.to_string().starts_with("invalid_request"), "{refused}");
    run.node.stop().await.unwrap();
}
