//! The whole of `pannier up` against a real nats-server.

use std::path::Path;

use clap::Parser;
use futures_util::StreamExt;
use pannier_client::{HttpClient, Options};
use pannier_protocol::api::{LineStatus, LookupAnswer, LookupRequest, RequestedQuantity};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Decimal, Encoding, MarkId, StreamSequence};

use super::*;
use crate::sample::requests::difference;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(folder: &Path, more: &[&str]) -> Args {
    let folder = folder.to_str().unwrap();
    let always = ["up", "--http", "127.0.0.1:0", "--items", "0", "--dir", folder];
    Line::parse_from(always.iter().chain(more)).args
}

async fn up(folder: &Path, more: &[&str]) -> (Home, Running) {
    let args = args(folder, more);
    let mut home = Home::open(args.dir.as_deref(), "x", args.fresh).unwrap();
    // Beside the build, so that a server is fetched once and not once a test.
    home.cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nats-server");
    let running = start(&home, &args).await.unwrap();
    (home, running)
}

fn client(running: &Running) -> HttpClient {
    HttpClient::new(&format!("http://{}", running.node.http_addr()), Options::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_request_has_its_documented_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (_home, running) = up(folder.path(), &[]).await;
    let client = client(&running);
    client.readyz().await.unwrap();
    let requests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sample/requests");
    let mut wrong = Vec::new();
    for documented in Documented::read_all(&requests).unwrap() {
        let difference = match check::ask(&client, &documented).await {
            Ok(answer) => difference(&documented.answer, &answer)
                .map(|difference| format!("{difference}\n    {answer}")),
            Err(error) => Some(format!("{error:#}")),
        };
        wrong.extend(difference.map(|difference| format!("{}: {difference}", documented.name)));
    }
    running.stop().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn messagepack_has_the_same_answer_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let (_home, running) = up(folder.path(), &[]).await;
    let body = Documented::first().unwrap().body().unwrap();
    let options = Options { encoding: Encoding::MessagePack, ..Options::default() };
    let packed = HttpClient::new(client(&running).address(), options).unwrap().lookup(&body).await.unwrap();
    let json = client(&running).lookup(&body).await.unwrap();
    assert_eq!(packed.lines[0].availability, json.lines[0].availability);
    let unit_price = |answer: &LookupAnswer| answer.lines[0].price.as_ref().unwrap().unit_price.to_string();
    assert_eq!((unit_price(&packed), unit_price(&json)), ("0.12".to_owned(), "0.12".to_owned()));
    assert_eq!(packed.total.extended.amount, json.total.extended.amount);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_day_moves_the_dates() {
    let folder = tempfile::tempdir().unwrap();
    let (home, running) = up(folder.path(), &[]).await;
    let today = home.loaded().unwrap().unwrap().as_of;
    running.stop().await.unwrap();
    drop(home);
    let tomorrow = today.plus_days(1).unwrap().to_string();
    let (_home, running) = up(folder.path(), &["--as-of", &tomorrow]).await;
    let mut request = Documented::first().unwrap().body().unwrap();
    request.lines[0].item = "SKU-4735".into();
    request.lines[0].quantity = RequestedQuantity::Valid(Decimal::parse("10").unwrap());
    request.lines[0].uom = None;
    let answer = client(&running).lookup(&request).await.unwrap();
    let covered = answer.lines[0].availability.as_ref().unwrap().earliest_full_date;
    assert_eq!(covered, today.plus_days(6));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_goes_on_with_the_first_ones_data() {
    let folder = tempfile::tempdir().unwrap();
    let (home, running) = up(folder.path(), &[]).await;
    assert!(running.banner.contains("loaded through the file adapter"), "{}", running.banner);
    assert_eq!(running.banner.lines().count(), 10);
    running.stop().await.unwrap();
    drop(home);
    let (home, running) = up(folder.path(), &[]).await;
    assert!(running.banner.contains("since an earlier run"), "{}", running.banner);
    let documented = Documented::first().unwrap();
    let answer = check::ask(&client(&running), &documented).await.unwrap();
    assert_eq!(difference(&documented.answer, &answer), None);
    running.stop().await.unwrap();
    drop(home);
    let home = Home::open(Some(folder.path()), "x", false).unwrap();
    let other = args(folder.path(), &["--seed", "2"]);
    let error = start(&home, &other).await.err().unwrap();
    assert!(format!("{error:#}").contains("start over with --fresh"), "{error:#}");
}

/// Asks for one of an item's base unit, for an anonymous visitor.
fn one_of(item: &str, at_least: Option<AsOf>) -> LookupRequest {
    let text = format!(r#"{{"lines":[{{"line":"1","item":"{item}","quantity":"1"}}]}}"#);
    LookupRequest { at_least, ..serde_json::from_str(&text).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_list_that_shrank_waits_for_an_operator() {
    let folder = tempfile::tempdir().unwrap();
    let (home, running) = up(folder.path(), &[]).await;
    let prefix = Config::default().nats.prefix;
    let args = BrokerArgs { nats: running.server.url(), prefix };
    let (broker, streams) = args.open("test").await.unwrap();
    let mut reviews = broker.client().subscribe(streams.prefix.review_entry("snapshot", "*")).await.unwrap();
    broker.client().flush().await.unwrap();

    let erp = home.sample().join("erp");
    let whole = std::fs::read_to_string(erp.join("done/LISTPRC.TXT")).unwrap();
    let shrunk: Vec<&str> = whole.lines().take(5).collect();
    std::fs::write(erp.join(".LISTPRC"), shrunk.join("\r\n")).unwrap();
    std::fs::rename(erp.join(".LISTPRC"), erp.join("LISTPRC.TXT")).unwrap();

    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), reviews.next()).await;
    let review: serde_json::Value = serde_json::from_slice(&waited.unwrap().unwrap().payload).unwrap();
    let (_, command) = review["reason"].as_str().unwrap().split_once("pannier snapshot approve ").unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let [subject, claim, id] = words.as_slice() else { panic!("{command}") };

    let client = client(&running);
    let before = client.lookup(&one_of("SKU-4746", None)).await.unwrap();
    assert_eq!(before.lines[0].status, LineStatus::Ok);
    let (subject, claim) = (Subject::parse(subject).unwrap(), StreamSequence(claim.parse().unwrap()));
    let id = MarkId::new(id).unwrap();
    let as_of = crate::snapshot::publish(&broker, &streams, subject, claim, id).await.unwrap();
    let after = client.lookup(&one_of("SKU-4746", Some(as_of))).await.unwrap();
    assert_eq!(after.lines[0].status, LineStatus::NoPrice);
    running.stop().await.unwrap();
}
