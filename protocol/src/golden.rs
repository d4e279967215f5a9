//! Holds the code against `WIRE.md` and against yesterday's bytes in `fixtures/v1`. The documents are the
//! contract: where a test here fails, the code changed the wire, and that needs a new envelope version.
//!
//! `PANNIER_BLESS=1 cargo test -p pannier-protocol golden` writes a fixture's MessagePack that is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::{
    ErrorCode, HoldAnswer, LookupAnswer, LookupRequest, OrderAnswer, Problem, decode_answer, decode_hold,
    decode_lookup, decode_order,
};
use crate::ask::{Asked, Question, Reply, Says};
use crate::codec::{decode, decode_envelope, encode, encode_envelope};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::order::{Command, Dispatch};
use crate::subject::Subject;
use crate::{
    AccountId, Change, DateEdge, DecodeError, Encoding, Envelope, Fingerprint, HoldId, IdempotencyKey,
    OrderId, Partition, frame,
};

const WIRE: &str = include_str!("../WIRE.md");

/// The fenced blocks of `WIRE.md`: their info string and text, in order.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = WIRE.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a fence line ends")).collect()
}

fn blocks_of(info: &str) -> impl Iterator<Item = &'static str> {
    let info = info.to_owned();
    blocks().into_iter().filter(move |(found, _)| *found == info).map(|(_, text)| text)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes the block, and finds what it says, no more and no less, when it is encoded again.
#[track_caller]
fn check_example<T: Serialize + DeserializeOwned>(text: &str) -> T {
    let value: T = decode(Encoding::Json, text.as_bytes(), MESSAGE_BYTES_MAX).expect(text);
    let told: Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), told);
    value
}

#[test]
fn every_kind_of_change_has_an_example_that_holds() {
    let mut kinds = BTreeSet::new();
    for text in blocks_of("json change") {
        let change: Change = check_example(text);
        assert_eq!(change.check(), Ok(()), "{text}");
        kinds.insert(change.kind().to_owned());
    }
    let in_fixtures = fixtures();
    let in_fixtures = in_fixtures.iter().flat_map(|f| f.envelope.changes.iter().map(Change::kind));
    assert_eq!(kinds, in_fixtures.map(str::to_owned).collect());
    assert_eq!(kinds, all_kinds());
}

/// Every kind, as serde names them when it meets one that is none; those of commands, events and decisions
/// stand for the three that hold them.
fn all_kinds() -> BTreeSet<String> {
    let named = |json: &str| -> Vec<String> {
        let error = serde_json::from_str::<Change>(json).unwrap_err().to_string();
        error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    };
    let mut kinds: BTreeSet<_> = named(r#"{"no_such_kind":{}}"#).into_iter().collect();
    for holder in ["command", "event", "decision"] {
        assert!(kinds.remove(holder), "{holder}");
        let inner = named(&format!(r#"{{"{holder}":{{"no_such_kind":{{}}}}}}"#));
        kinds.extend(inner.iter().map(|kind| format!("{holder}.{kind}")));
    }
    kinds
}

#[test]
fn every_kind_says_its_name_in_wire_md() {
    assert!(all_kinds().len() > 45, "{:?}", all_kinds());
    for kind in all_kinds() {
        assert!(WIRE.contains(&format!("**`{kind}`**")), "WIRE.md does not describe {kind}");
    }
}

#[test]
fn every_error_code_stands_in_wire_md() {
    for code in ErrorCode::ALL {
        let row = format!("| `{}` | {} | {} |", code.as_str(), code.status(), code.title());
        assert!(WIRE.contains(&row), "WIRE.md lacks {row}");
    }
}

#[test]
fn other_examples_hold() {
    blocks_of("json edge").for_each(|text| drop(check_example::<DateEdge>(text)));
    let requests: Vec<_> = blocks_of("json lookup").map(check_example::<LookupRequest>).collect();
    let answers: Vec<_> = blocks_of("json answer").map(check_example::<LookupAnswer>).collect();
    assert_eq!((requests.len(), answers.len()), (1, 1));
}

/// A lookup and its answer on a QUIC stream: heads and bodies as they are told beside the bytes.
#[test]
fn streams_carry_what_is_told() {
    fn check_stream<H: Serialize + DeserializeOwned, B: Serialize + DeserializeOwned>(name: &str) {
        let text = |part: &str| blocks_of(&format!("{part} {name}")).next().unwrap();
        let (bytes, head) = (hex(text("hex")), check_example::<H>(text("json head of")));
        let body = encode(Encoding::MessagePack, &check_example::<B>(text("json body of"))).unwrap();
        let told = [frame::before_body(&head, body.len()).unwrap(), body].concat();
        assert_eq!(to_hex(&told), to_hex(&bytes), "{name}");
        assert!(frame::read::<H>(&bytes, MESSAGE_BYTES_MAX).is_ok(), "{name}");
    }
    check_stream::<frame::RequestHead, LookupRequest>("quic request");
    check_stream::<frame::AnswerHead, Problem>("quic refusal");
    assert!(WIRE.contains(&format!("`{}`", str::from_utf8(frame::ALPN).unwrap())));
}

#[test]
fn bytes_are_those_of_the_envelope_before_them() {
    let mut envelope: Option<Envelope> = None;
    let mut compared = 0;
    for (info, text) in blocks() {
        match info {
            "json envelope" => envelope = Some(check_example(text)),
            "hex envelope" => {
                let (envelope, bytes) = (envelope.take().expect("JSON stands before"), hex(text));
                assert_eq!(decode_envelope(Encoding::MessagePack, &bytes).as_ref(), Ok(&envelope));
                let encoded = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
                assert_eq!(to_hex(&encoded), to_hex(&bytes));
                compared += 1;
            }
            _ => {}
        }
    }
    assert_eq!(compared, 4);
}

#[test]
fn partitions_are_as_listed() {
    let vectors = blocks_of("partition").next().unwrap();
    for line in vectors.lines() {
        let [partition, crc, root] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(Partition::of_root(&AccountId::new(root).unwrap()).to_string(), partition);
        assert_eq!(format!("{:08x}", crc32fast::hash(root.as_bytes())), crc);
    }
    assert!(vectors.lines().count() >= 8);
}

#[test]
fn a_snapshot_ends_with_the_hash_of_its_parts() {
    let text = blocks_of("json snapshot").next().unwrap();
    let messages: Vec<Envelope> =
        text.lines().map(|line| decode_envelope(Encoding::Json, line.as_bytes()).unwrap()).collect();
    let subject = Subject::parse("ledger.stock.wms-1").unwrap();
    messages.iter().for_each(|message| assert_eq!(message.check(&subject), Ok(())));
    let [Change::SnapshotEnd(end)] = &messages[2].changes[..] else { panic!("{messages:?}") };
    assert_eq!(end.hash, to_hex(&Sha256::digest(text.lines().nth(1).unwrap())));
    assert_eq!(end.rows, 1);
}

#[test]
fn the_digest_is_of_the_bytes_shown() {
    let mut lines = blocks_of("digest").next().unwrap().lines();
    let (bytes, digest) = (lines.next().unwrap(), lines.next().unwrap());
    let envelope: Envelope = check_example(blocks_of("json envelope").next().unwrap());
    let covered = (&envelope.epoch, envelope.sequence, envelope.position, &envelope.changes);
    assert_eq!(to_hex(&rmp_serde::to_vec_named(&covered).unwrap()), bytes);
    assert_eq!(format!("{:032x}", envelope.digest().0), digest);
    assert_eq!(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&hex(bytes))), digest);
}

struct Fixture {
    path: PathBuf,
    json: Vec<u8>,
    envelope: Envelope,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

/// Every committed change message.
fn fixtures() -> Vec<Fixture> {
    let entries = fs::read_dir(folder().join("changes")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let json = fs::read(&path).unwrap();
        let envelope = decode_envelope(Encoding::Json, &json)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Fixture { path, json, envelope }
    };
    paths.into_iter().map(read).collect()
}

/// The MessagePack beside a JSON fixture.
fn packed(json: &Path, today: &[u8]) -> Vec<u8> {
    let path = json.with_extension("msgpack");
    if !path.exists() && std::env::var_os("PANNIER_BLESS").is_some() {
        fs::write(&path, today).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn yesterdays_messages_are_todays() {
    for Fixture { path, json, envelope } in fixtures() {
        let name = path.display();
        assert_eq!(encode_envelope(Encoding::Json, &envelope).as_ref(), Ok(&json), "{name}");
        let today = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
        let bytes = packed(&path, &today);
        assert_eq!(decode_envelope(Encoding::MessagePack, &bytes), Ok(envelope), "{name}");
        assert_eq!(to_hex(&today), to_hex(&bytes), "{name}");
    }
}

#[test]
fn yesterdays_digests_are_todays() {
    let path = folder().join("digests.txt");
    let line = |fixture: &Fixture| {
        let name = fixture.path.file_stem().unwrap().to_string_lossy();
        format!("{:032x} {name}\n", fixture.envelope.digest().0)
    };
    let today: String = fixtures().iter().map(line).collect();
    if !path.exists() && std::env::var_os("PANNIER_BLESS").is_some() {
        fs::write(&path, &today).unwrap();
    }
    assert_eq!(today, fs::read_to_string(path).unwrap());
}

#[test]
fn every_fixture_may_stand_on_a_subject() {
    for Fixture { path, envelope, .. } in fixtures() {
        let places = ["ledger.stock", "ledger.order", "ledger.event", "catalog.shared", "catalog.09"];
        let mut subjects: Vec<_> =
            places.iter().map(|place| format!("{place}.{}", envelope.source)).collect();
        subjects.push("ledger.control".to_owned());
        let allowed = |text: &String| envelope.check(&Subject::parse(text).unwrap()).is_ok();
        assert!(subjects.iter().any(allowed), "{}", path.display());
    }
}

/// A fixture of the API or of a work queue, and its MessagePack.
#[track_caller]
fn check_fixture<T: Serialize + PartialEq + Debug>(
    name: &str,
    decode: impl Fn(Encoding, &[u8]) -> Result<T, DecodeError>,
) {
    let path = folder().join(name).with_extension("json");
    let json = fs::read(&path).unwrap();
    let value = decode(Encoding::Json, &json).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(encode(Encoding::Json, &value).as_ref(), Ok(&json), "{name}");
    let today = encode(Encoding::MessagePack, &value).unwrap();
    let bytes = packed(&path, &today);
    assert_eq!(decode(Encoding::MessagePack, &bytes), Ok(value), "{name}");
    assert_eq!(to_hex(&today), to_hex(&bytes), "{name}");
}

fn decode_any<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T, DecodeError> {
    decode(encoding, bytes, MESSAGE_BYTES_MAX)
}

#[test]
fn yesterdays_requests_and_answers_are_todays() {
    check_fixture("lookup_request", decode_lookup);
    check_fixture("lookup_answer", |encoding, bytes| decode_answer(encoding, bytes, MESSAGE_BYTES_MAX));
    check_fixture("order_request", decode_order);
    check_fixture("order_answer", decode_any::<OrderAnswer>);
    check_fixture("hold_request", decode_hold);
    check_fixture("hold_answer", decode_any::<HoldAnswer>);
    check_fixture("dispatch", decode_any::<Dispatch>);
    check_fixture("question", Question::decode);
    check_fixture("question_prices", Question::decode);
    check_fixture("reply", decode_any::<Reply>);
    check_fixture("reply_nothing", decode_any::<Reply>);
}

/// The reply shown is one to the question shown.
#[test]
fn the_reply_shown_answers_the_question_shown() {
    let question: Question = check_example(blocks_of("json question").next().unwrap());
    let text = blocks_of("json reply").next().unwrap();
    let reply: Reply = decode(Encoding::Json, text.as_bytes(), MESSAGE_BYTES_MAX).unwrap();
    let says = Reply::decode(Encoding::Json, text.as_bytes(), &reply.source, &question.about);
    assert_eq!(says.as_ref(), Ok(&reply.says));
    let Says::Rows(rows) = reply.says else { panic!("{text}") };
    assert_eq!(rows.changes.len(), 1);
    assert!(matches!(question.about, Asked::Stock(_)));
}

#[test]
fn ids_and_fingerprints_are_as_listed() {
    let vectors = blocks_of("ids").next().unwrap();
    for line in vectors.lines() {
        let [kind, id, key, account] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (account, key) = (AccountId::new(account).unwrap(), IdempotencyKey::new(key).unwrap());
        let derived = match kind {
            "order" => OrderId::derive(&account, &key).to_string(),
            "hold" => HoldId::derive(&account, &key).to_string(),
            other => panic!("{other}"),
        };
        assert_eq!(derived, id, "{line}");
    }
    assert!(vectors.lines().count() >= 4);

    let text = blocks_of("json order").next().unwrap();
    let fingerprint = blocks_of("fingerprint").next().unwrap().trim().to_owned();
    let request = decode_order(Encoding::Json, text.as_bytes()).unwrap();
    assert_eq!(Fingerprint::of(&request).to_string(), fingerprint);
    // However it is encoded, and in whatever order its fields stand, it is one request.
    let packed = encode(Encoding::MessagePack, &request).unwrap();
    let again = decode_order(Encoding::MessagePack, &packed).unwrap();
    assert_eq!(Fingerprint::of(&again).to_string(), fingerprint);
    let sorted = serde_json::from_str::<BTreeMap<String, Value>>(text).unwrap();
    let again = decode_order(Encoding::Json, &serde_json::to_vec(&sorted).unwrap()).unwrap();
    assert_eq!(Fingerprint::of(&again).to_string(), fingerprint);
}

/// The dispatch shown is the order shown: an adapter's author compares the two.
#[test]
fn the_dispatch_shown_is_of_the_command_shown() {
    let dispatch: Dispatch = check_example(blocks_of("json dispatch").next().unwrap());
    let shown = blocks_of("json change").find(|text| text.contains("place_order")).unwrap();
    let Change::Command(command) = check_example::<Change>(shown) else { panic!("{shown}") };
    let Command::PlaceOrder(place) = *command else { panic!("{shown}") };
    assert_eq!((dispatch.order, &dispatch.account), (place.order, &place.keyed.account));
    assert_eq!((dispatch.facts, dispatch.total), (place.facts, place.total));
    assert_eq!(dispatch.lines[0].price, *place.lines[0].price.as_ref().unwrap());
    let text = fs::read(folder().join("dispatch.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Dispatch>(&text).unwrap().order, place.order);
}
