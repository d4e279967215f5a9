//! `pannier adapter webhook` as a process, killed at any moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pannier::stage::{Process, Program};

use super::{Delivery, Receiver, Reply, SECRETS, check, document, has_all, place, steps};
use crate::node::Running;
use crate::node::checkout::checkout;

/// Each third delivery hangs, so that something is under way whenever the process is killed.
fn some_hang(_: &Delivery, seen: &[Delivery]) -> Reply {
    if seen.len() % 3 == 1 { Reply::Hang } else { Reply::Status(200) }
}

/// With its configuration and secrets in a new folder.
pub(super) fn program(running: &Running, receiver: &Receiver, folder: &Path) -> Program {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("webhook.toml");
    let text = document(receiver, &[&running.node], &running.test.server.url(), Path::new("state"));
    std::fs::write(&file, format!("{text}secret_files = [\"old.secret\", \"new.secret\"]\n")).unwrap();
    for (name, secret) in ["old.secret", "new.secret"].into_iter().zip(SECRETS) {
        std::fs::write(folder.join(name), format!("{secret}\n")).unwrap();
    }
    let arguments = ["adapter", "webhook", "--config", file.to_str().unwrap()].map(str::to_owned).to_vec();
    let environment = vec![("PANNIER_LOG".to_owned(), "debug".to_owned())];
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_pannier_under_test"));
    Program { binary, arguments, environment }
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_and_tells_nothing_else() {
    let (running, _wms) = checkout().await;
    let receiver = Receiver::start(some_hang).await;
    let folder = running.test.folder.path().join("webhook");
    let mut process = Process::start("webhook", program(&running, &receiver, &folder), &folder).unwrap();

    let mut expected = BTreeMap::new();
    for round in 0..6 {
        let order = place(&running, &format!("k{round}"), "web").await;
        // Something of it was told, and not all was received.
        receiver.until("it is told", |seen| seen.iter().any(|it| it.order() == order)).await;
        process.kill().await.unwrap();
        process.start_again().unwrap();
        expected.insert(order.clone(), steps(&running, &order, 2).await);
    }
    let seen = receiver.until("all is received", |seen| has_all(seen, &expected)).await;
    check(&seen, &expected);
    let log = std::fs::read_to_string(process.log_file()).unwrap();
    assert!(log.contains("delivered"), "{log}");
    for secret in SECRETS {
        assert!(!log.contains(secret.strip_prefix("whsec_").unwrap()), "no secret is logged");
    }
    assert!(process.stop().await.unwrap().success());
    running.node.stop().await.unwrap();
}
