use std::collections::BTreeSet;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check_refused(text: &str, want: &str) {
    let error = Config::parse("p.toml", text, []).unwrap_err().to_string();
    assert!(error.starts_with(want), "{text:?} gives\n  {error}\nnot\n  {want}");
}

#[track_caller]
fn check_variable_refused(name: &str, value: &str, want: &str) {
    let error = Config::parse("p.toml", "", environment(&[(name, value)])).unwrap_err().to_string();
    assert!(error.starts_with(want), "{name}={value} gives\n  {error}\nnot\n  {want}");
}

/// Keys as in `http.listen`, and their values.
fn keys(table: &toml::Table) -> Vec<(String, toml::Value)> {
    let sections = table.iter().map(|(section, keys)| (section, keys.as_table().unwrap()));
    sections
        .flat_map(|(section, keys)| keys.iter().map(move |(key, v)| (format!("{section}.{key}"), v.clone())))
        .collect()
}

#[test]
fn every_wrong_key_is_named() {
    check_refused("[nats", "p.toml is no TOML: ");
    check_refused("[tls]\n", "tls: unknown field `tls`, expected one of ");
    check_refused("nats = 1", "nats: invalid type: integer `1`, expected ");
    check_refused(
        "[nats]\nserver = []",
        "nats.server: unknown field `server`, expected `servers` or `prefix`",
    );
    check_refused("[node]\nname = 'East.1'", "node.name: source \"East.1\" is not 1 to 32 of a-z");
    check_refused("[nats]\nservers = 'x'", "nats.servers: invalid type: string \"x\", expected a sequence");
    check_refused("[nats]\nservers = []", "nats.servers: empty; give at least one URL");
    check_refused("[nats]\nservers = ['a b']", "nats.servers: \"a b\" is no NATS URL: ");
    check_refused("[nats]\nprefix = 'A.b'", "nats.prefix: prefix \"A.b\" is not 1 to 4 tokens of ");
    check_refused("[http]\nlisten = 'localhost'", "http.listen: invalid socket address syntax");
    check_refused(
        "[http]\nlisten = '0.0.0.0:80'",
        "http.listen: 0.0.0.0:80 can be reached from other machines",
    );
    // The two listeners are trusted apart.
    check_refused(
        "[http]\ninsecure_listen = true\n[operator]\nlisten = '0.0.0.0:81'",
        "operator.listen: 0.0.0.0:81 can be reached from other machines",
    );
    check_refused(
        "[http]\ninsecure_listen = 1",
        "http.insecure_listen: invalid type: integer `1`, expected a boolean",
    );
    check_refused("[http]\nconnections = 0", "http.connections: 0 is not 1 to 65536");
    check_refused(
        "[http]\nconnections = -1",
        "http.connections: invalid value: integer `-1`, expected usize",
    );
    check_refused("[http]\nheader_timeout_ms = 0", "http.header_timeout_ms: 0 is not 1 to 600000");
    check_refused("[http]\nbody_timeout_ms = 600001", "http.body_timeout_ms: 600001 is not 1 to 600000");
    check_refused(
        "[http]\nbody_timeout_ms = '1s'",
        "http.body_timeout_ms: invalid type: string \"1s\", expected u64",
    );
    check_refused(
        "[http]\nanyone_scopes = ['root']",
        "http.anyone_scopes[0]: unknown variant `root`, expected `explain`",
    );
    check_refused("[lookup]\nin_flight = 65537", "lookup.in_flight: 65537 is not 1 to 65536");
    check_refused("[lookup]\nin_flight = 8\nbulk_in_flight = 9", "lookup.bulk_in_flight: 9 is not 1 to 8");
    check_refused("[lookup]\nat_least_wait_ms = 30001", "lookup.at_least_wait_ms: 30001 is not 1 to 30000");
    check_refused("[ask]\nwait_ms = 5001", "ask.wait_ms: 5001 is not 1 to 5000");
    check_refused("[ask]\nin_flight = 0", "ask.in_flight: 0 is not 1 to 1024");
    check_refused("[orders]\ngroup_commands = 0", "orders.group_commands: 0 is not 1 to 1024");
    check_refused(
        "[price_holds]\nlifetime_ms = 86400001",
        "price_holds.lifetime_ms: 86400001 is not 1 to 86400000",
    );
    check_refused(
        "[[price_holds.keys]]\nid = 'a'",
        "price_holds.keys[0].file: a key has either a file or an env",
    );
    check_refused(
        "[[price_holds.keys]]\nid = 'a'\nfile = 'x'\nenv = 'X'",
        "price_holds.keys[0].file: a key has either a file or an env",
    );
    check_refused(
        "[[price_holds.keys]]\nid = ''\nenv = 'X'",
        "price_holds.keys[0].id: 1 to 64 bytes name a key",
    );
    check_refused(
        "[price_holds]\nkeys = [{ id = 'a', env = 'X' }, { id = 'a', env = 'Y' }]",
        "price_holds.keys[1].id: \"a\" names another key too",
    );
    check_refused("[stop]\ngrace_ms = 0", "stop.grace_ms: 0 is not 1 to 600000");
}

#[test]
fn every_wrong_variable_is_named() {
    check_variable_refused(
        "PANNIER_HTTP__LISTN",
        "x",
        "environment variable PANNIER_HTTP__LISTN names no key",
    );
    check_variable_refused("PANNIER_X__Y", "x", "environment variable PANNIER_X__Y names no key");
    check_variable_refused("PANNIER_HTTP__LISTEN", "x", "http.listen: invalid socket address syntax");
    check_variable_refused(
        "PANNIER_STOP__GRACE_MS",
        "x",
        "environment variable PANNIER_STOP__GRACE_MS: not a whole number",
    );
    check_variable_refused(
        "PANNIER_HTTP__INSECURE_LISTEN",
        "yes",
        "environment variable PANNIER_HTTP__INSECURE_LISTEN: neither true nor false",
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = environment(&[
        ("PANNIER_NATS__SERVERS", "nats://a:1, nats://b:2"),
        ("PANNIER_HTTP__LISTEN", "[::1]:0"),
        ("PANNIER_HTTP__ANYONE_SCOPES", ""),
        ("PANNIER_LOOKUP__IN_FLIGHT", "512"),
        ("PANNIER_CONFIG", "not ours: one underscore"),
        ("PATH", "/bin"),
    ]);
    let config =
        Config::parse("p.toml", "[lookup]\nin_flight = 600\nbulk_in_flight = 500", variables).unwrap();
    assert_eq!(config.nats.servers, ["nats://a:1", "nats://b:2"]);
    assert_eq!(config.http.listen.to_string(), "[::1]:0");
    assert_eq!(config.http.anyone_scopes, BTreeSet::new());
    assert_eq!((config.lookup.in_flight, config.lookup.bulk_in_flight), (512, 500));
}

#[test]
fn every_key_of_the_defaults_can_be_set_by_the_environment() {
    for (key, value) in keys(&toml::Table::try_from(Config::default()).unwrap()) {
        let name = format!("PANNIER_{}", key.replacen('.', "__", 1).to_uppercase());
        let text = match value {
            toml::Value::Array(parts) => {
                parts.iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(",")
            }
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            odd @ (toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_)) => {
                panic!("{key} is of a type that no key has: {odd}")
            }
        };
        assert_eq!(Config::parse("", "", [(name.clone(), text)]).unwrap(), Config::default(), "{name}");
    }
}

#[test]
fn the_documented_file_is_the_defaults_and_names_every_key() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/pannier.toml");
    assert_eq!(Config::load(Some(&path), []).unwrap(), Config::default());
    let text = std::fs::read_to_string(&path).unwrap();
    let documented: toml::Table = text.parse().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(keys(&documented), keys(&defaults));
}
