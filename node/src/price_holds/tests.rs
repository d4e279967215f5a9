use jsonwebtoken::{Header, encode};
use pannier_core::intake::Held;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const LIFETIME: Duration = Duration::from_secs(60);

fn holds(ids: &[&str]) -> PriceHolds {
    let secrets = ids.iter().map(|id| ((*id).to_owned(), format!("{id:*>32}").into_bytes()));
    PriceHolds::new(secrets.collect(), LIFETIME).unwrap()
}

fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

fn price() -> HeldPrice {
    serde_json::from_value(json!({
        "item": "BOLT", "uom": "BX", "quantity": "2", "currency": "USD", "order_unit_price": "12",
        "price": {"unit_price": "1.2", "per": "1", "uom": "EA", "extended": "24", "level": "list",
                  "row": {"source": "erp-1", "epoch": 7, "sequence": 9}},
    }))
    .unwrap()
}

fn signed(by: &PriceHolds) -> PriceHold {
    let (account, ship_to) = (account("C-1"), account("C-1-01"));
    let buyer = Buyer { account: &account, ship_to: Some(&ship_to) };
    by.sign(buyer, price(), &AsOf::parse("7f3a.L5.S6.P7").unwrap(), NOW).unwrap()
}

/// One of `in force`, `lapsed`, `foreign`, `malformed`, `unknown key`, `signature`.
fn verdict(
    of: &PriceHolds,
    token: &str,
    buyer: (&str, Option<&str>),
    life: &str,
    after_ms: i64,
) -> &'static str {
    let (account, ship_to) = (account(buyer.0), buyer.1.map(account));
    let buyer = Buyer { account: &account, ship_to: ship_to.as_ref() };
    match of.verify(token, buyer, &Incarnation::new(life).unwrap(), NOW.plus_millis(after_ms)) {
        Ok(Held::InForce(held)) if held == price() => "in force",
        Ok(Held::Lapsed(held)) if held == price() => "lapsed",
        Ok(Held::InForce(_) | Held::Lapsed(_)) => "another price",
        Ok(Held::Foreign) => "foreign",
        Err(Forged::Malformed) => "malformed",
        Err(Forged::UnknownKey { .. }) => "unknown key",
        Err(Forged::Signature) => "signature",
    }
}

const BUYER: (&str, Option<&str>) = ("C-1", Some("C-1-01"));

#[test]
fn a_token_is_of_one_buyer_one_life_of_the_ledger_and_ends_to_the_millisecond() {
    let holds = holds(&["a"]);
    let PriceHold { token, expires_at } = signed(&holds);
    assert_eq!(expires_at, NOW.plus_millis(60_000));
    let cases = [
        (BUYER, "7f3a", 0, "in force"),
        (BUYER, "7f3a", 59_999, "in force"),
        (BUYER, "7f3a", 60_000, "lapsed"),
        (BUYER, "8000", 0, "lapsed"),
        (("C-2", Some("C-1-01")), "7f3a", 0, "foreign"),
        (("C-1", Some("C-1-02")), "7f3a", 0, "foreign"),
        (("C-1", None), "7f3a", 0, "foreign"),
    ];
    for (buyer, life, after_ms, want) in cases {
        assert_eq!(verdict(&holds, &token, buyer, life, after_ms), want, "{buyer:?} {life} {after_ms}");
    }
}

#[test]
fn the_first_key_signs_and_all_verify() {
    let cases: [(&[&str], &[&str], &str); 5] = [
        (&["a"], &["a"], "in force"),
        (&["a"], &["b", "a"], "in force"),
        (&["b", "a"], &["a"], "unknown key"),
        (&["a"], &["b"], "unknown key"),
        (&["b", "a"], &["a", "b"], "in force"),
    ];
    for (signs, verifies, want) in cases {
        let token = signed(&holds(signs)).token;
        assert_eq!(verdict(&holds(verifies), &token, BUYER, "7f3a", 0), want, "{signs:?} {verifies:?}");
    }
    // The same id with another secret.
    let other = PriceHolds::new(vec![("a".to_owned(), vec![b'x'; 32])], LIFETIME).unwrap();
    assert_eq!(verdict(&other, &signed(&holds(&["a"])).token, BUYER, "7f3a", 0), "signature");
}

#[test]
fn what_no_key_signed_as_it_is_is_forged() {
    let holds = holds(&["a"]);
    let token = signed(&holds).token;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else { panic!("{token}") };
    // Every place of the token once: no bit of it may be another.
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).unwrap();
        let verdict = verdict(&holds, &tampered, BUYER, "7f3a", 0);
        assert!(matches!(verdict, "malformed" | "unknown key" | "signature"), "{at}: {verdict}");
    }
    let with = |typ: Option<&str>, algorithm, claims: Value| {
        let typ = typ.map(str::to_owned);
        let header = Header { typ, kid: Some("a".to_owned()), ..Header::new(algorithm) };
        let (key, _) = hmac::keys(format!("{:*>32}", "a").as_bytes());
        encode(&header, &claims, &key).unwrap_or_default()
    };
    let cases = [
        (String::new(), "malformed"),
        ("a.b.c".to_owned(), "malformed"),
        (format!("{head}.{claims}"), "malformed"),
        (format!("{head}.{claims}."), "signature"),
        (format!("{head}.{claims}.{signature}.{signature}"), "malformed"),
        // {"typ":"price-hold+jwt","alg":"none","kid":"a"}
        (format!("eyJ0eXAiOiJwcmljZS1ob2xkK2p3dCIsImFsZyI6Im5vbmUiLCJraWQiOiJhIn0.{claims}."), "malformed"),
        (with(Some("JWT"), Algorithm::HS256, json!({})), "malformed"),
        (with(Some(TYPE), Algorithm::HS256, json!({"account": "C-1"})), "signature"),
    ];
    for (token, want) in cases {
        assert_eq!(verdict(&holds, &token, BUYER, "7f3a", 0), want, "{token}");
    }
}

#[test]
fn a_secret_is_long_enough_and_names_what_is_wrong_and_never_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let key = config::PriceHoldKey { id: "a".to_owned(), file: Some(path.clone()), env: None };
        let config = config::PriceHolds { keys: vec![key], ..config::PriceHolds::default() };
        PriceHolds::load(&config).map(|holds| holds.is_some()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&format!("{}\n", "s".repeat(32))), Ok(true));
    assert_eq!(load(&random_secret().unwrap()), Ok(true));
    let short = load(&"s".repeat(31)).unwrap_err();
    assert!(
        short.starts_with("price_holds.keys[0].file: a secret has 32 to 1024 bytes and this one has 31"),
        "{short}"
    );
    assert!(!short.contains("sss"), "{short}");
    std::fs::remove_file(&path).unwrap();
    let key = config::PriceHoldKey { id: "a".to_owned(), file: Some(path.clone()), env: None };
    let missing = PriceHolds::load(&config::PriceHolds { keys: vec![key], ..config::PriceHolds::default() });
    assert!(missing.err().unwrap().to_string().starts_with("price_holds.keys[0].file: cannot read "));
    assert!(PriceHolds::load(&config::PriceHolds::default()).unwrap().is_none());
}
