use std::time::Duration;

use pannier_streams::connect::{Broker, ConnectError, Options};
use pannier_streams::server::{FindError, Finder, LocalServer, ServerVersion, StartError};
use pannier_tests::{TestBroker, VERSION_MIN, nats_server};

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut test = TestBroker::start().await;
    let (url, pid) = (test.server.url(), test.server.pid());
    let mut link = test.broker.link();
    let connects = link.borrow().connects;
    test.server.restart().await.unwrap();
    assert_eq!(test.server.url(), url);
    assert_ne!(test.server.pid(), pid);
    let again = link.wait_for(|link| link.connected && link.connects > connects);
    tokio::time::timeout(Duration::from_secs(10), again).await.unwrap().unwrap();
    assert!(test.broker.context().query_account().await.is_ok());
    test.server.stop().await;
}

#[tokio::test]
async fn a_client_waits_for_a_server_that_starts_later() {
    let mut test = TestBroker::start().await;
    test.server.kill().await;
    let options = Options { version_min: VERSION_MIN, ..Options::new(test.server.url(), "early") };
    let early = tokio::spawn(async move { Broker::connect(&options).await.map(|_| ()) });
    test.server.start_again().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), early).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let mut test = TestBroker::start().await;
    let version_min = ServerVersion { major: 99, minor: 0, patch: 0 };
    let demanding = Options { version_min, ..Options::new(test.server.url(), "test") };
    let error = Broker::connect(&demanding).await.unwrap_err();
    assert!(matches!(error, ConnectError::TooOld { .. }) && error.to_string().contains("upgrade"), "{error}");
    test.server.kill().await;
    let wait_max = Some(Duration::from_millis(200));
    let hasty = Options { wait_max, ..Options::new(test.server.url(), "test") };
    let error = Broker::connect(&hasty).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotReached { .. }), "{error}");
}

#[tokio::test]
async fn a_named_server_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let finder = Finder { named: Some("/bin/true".into()), ..Finder::from_env(folder.path()) };
    let error = finder.find().await.unwrap_err();
    assert!(matches!(error, FindError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let test = TestBroker::start().await;
    let folder = tempfile::tempdir().unwrap();
    let options = pannier_streams::server::Options {
        port: Some(test.server.port()),
        ..pannier_streams::server::Options::new(nats_server().await, folder.path())
    };
    let error = LocalServer::start(options).await.unwrap_err();
    assert!(matches!(error, StartError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("address already in use"), "{error}");
}

/// Trap: a parent that is killed leaves its server behind, and a second server on the store destroys it.
#[tokio::test]
async fn a_store_has_one_server() {
    let mut test = TestBroker::start().await;
    let options = pannier_streams::server::Options::new(nats_server().await, test.folder.path());
    let error = LocalServer::start(options.clone()).await.unwrap_err();
    let StartError::InUse { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, test.server.pid().to_string());
    test.server.kill().await;
    LocalServer::start(options).await.unwrap();
}

#[tokio::test]
async fn a_dropped_connection_is_closed() {
    let test = TestBroker::start().await;
    let mut link = test.connect().await.link();
    // The sender lives in the connection.
    let closed = async { while link.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
}
