//! What operators said, where the streams have forgotten it.

use pannier_protocol::StreamSequence;
use pannier_streams::stored::next_message;
use serde_json::json;

use super::*;
use crate::node::checkout::checkout_with;
use crate::node::handover::apply;
use crate::node::operators::operators;

async fn shown(run: &Running, path: &str) -> Value {
    let answer = operators(&run.node).get(&format!("/v1/operator/{path}")).await.unwrap();
    serde_json::from_slice(answer.body()).unwrap()
}

/// The tenant's document of that name, as the node has it in force.
async fn policy(run: &Running, name: &str) -> Value {
    let shown = shown(run, "policies").await;
    let mut policies = shown["policies"].as_array().unwrap().iter().map(|it| it["policy"].clone());
    policies.find(|policy| policy["document"].get(name).is_some()).unwrap_or_default()
}

#[tokio::test]
async fn policies_are_repeated_and_go_on_when_the_streams_have_forgotten_them() {
    let (own, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, ..) = checkout_with(keeping("n1", own.path())).await;
    let file = files.path().join("policy.toml");
    fs::write(&file, "rounding = \"half_even\"\n").unwrap();
    apply(&run, &file, &[]).await.unwrap();
    at_the_end(&run, &[own.path()]).await;

    run.node.handle().stop();
    age_out(&run).await;
    let refused = apply(&run, &file, &[]).await.unwrap_err();
    assert!(refused.contains("name one with --node"), "{refused}");
    let run = restart(run, keeping("n1", own.path())).await;
    assert!(run.node.handle().ready().await, "{}", run.node.handle().progress().borrow().detail);
    let subject = "pna.v1.catalog.shared.operator";
    let repeated = async {
        while next_message(&run.test.broker, &run.streams.catalog, subject, StreamSequence(1))
            .await
            .unwrap()
            .is_none()
        {
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, repeated).await.expect("a node repeats the policies");
    assert_eq!(policy(&run, "rounding").await, json!({"version": 1, "document": {"rounding": "half_even"}}));

    let node = format!("http://{}", run.node.operator_addr());
    fs::write(&file, "rounding = \"half_away\"\n").unwrap();
    let at = apply(&run, &file, &["--node", &node]).await.unwrap();
    assert!(run.line(&at).await.starts_with("ok"));
    assert_eq!(policy(&run, "rounding").await, json!({"version": 2, "document": {"rounding": "half_away"}}));
    let sources = shown(&run, "sources").await;
    let chains = sources["chains"].as_array().unwrap();
    let operators = chains.iter().find(|chain| chain["subject"] == "catalog.shared.operator").unwrap();
    assert_eq!((&operators["suspect"], &operators["loaded"]), (&Value::Null, &json!(true)), "{operators}");
    run.node.stop().await.unwrap();
}
