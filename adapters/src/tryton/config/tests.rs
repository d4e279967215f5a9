use super::*;

const DOCUMENTED: &str = include_str!("../../../../deploy/tryton.toml");
const LEAST: &str = "backend = \"erp\"\nstate = \"s\"\nurl = \"http://127.0.0.1:8000/erp\"\ncompany = 1\n";

/// A default that changes has to change in the manual.
#[test]
fn the_documented_values_are_the_defaults() {
    let documented = TrytonConfig::parse(DOCUMENTED).unwrap();
    let least = TrytonConfig::parse(LEAST).unwrap();
    let chosen = TrytonConfig {
        source: documented.source.clone(),
        backend: documented.backend.clone(),
        state: documented.state.clone(),
        url: documented.url.clone(),
        key_file: documented.key_file.clone(),
        ..least
    };
    assert_eq!(documented, chosen);
}

#[test]
fn what_is_refused() {
    for (text, want) in [
        (LEAST.replace("backend", "backnd"), "unknown field `backnd`"),
        (LEAST.replace("backend = \"erp\"\n", ""), "neither source nor backend"),
        (LEAST.replace("company = 1\n", ""), "missing field `company`"),
        (LEAST.replace("company = 1", "company = 0"), "company: an id"),
        (LEAST.replace("/erp", ""), "no address of a Tryton database"),
        (format!("{LEAST}request_ms_max = 0\n"), "request_ms_max"),
        (format!("{LEAST}zone = \"Texas\"\n"), "no IANA time zone"),
        (format!("{LEAST}[orders]\npol_ms = 1\n"), "unknown field `pol_ms`"),
        (format!("{LEAST}[orders]\npoll_ms = 1\n"), "orders.poll_ms: at least 50 ms"),
        (format!("{LEAST}[orders]\nreconcile_ms = 1\n"), "orders.reconcile_ms: at least 50 ms"),
        (format!("{LEAST}[orders]\nagain_ms = 1\n"), "orders.again_ms: at least 1000 ms"),
        (format!("{LEAST}[orders]\nat_once = 0\n"), "orders.at_once: 1 to 256"),
        (format!("{LEAST}[orders]\nsteps_per_second = 0\n"), "orders.steps_per_second"),
        (format!("{LEAST}[orders]\nsteps_burst = 0\n"), "orders.steps_burst"),
        (format!("{LEAST}[orders]\nstep_ms_max = 0\n"), "orders.step_ms_max"),
    ] {
        let error = TrytonConfig::parse(&text).unwrap_err().to_string();
        assert!(error.contains(want), "{error}\nexpected {want:?}");
    }
}

#[test]
fn the_key_is_asked_for_and_never_shown() {
    let config = TrytonConfig::parse(LEAST).unwrap();
    assert!(config.rest().unwrap_err().to_string().contains("PANNIER_TRYTON_KEY"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "hidden-1\n").unwrap();
    for config in [
        TrytonConfig { key_file: Some(file), ..config.clone() },
        TrytonConfig { key: Some(Key("hidden-2".to_owned())), ..config.clone() },
    ] {
        let rest = config.rest().unwrap();
        assert!(!format!("{config:?} {rest:?}").contains("hidden"));
    }
    let config = TrytonConfig { key_file: Some(folder.path().join("none")), ..config };
    assert!(config.rest().unwrap_err().to_string().contains("cannot read"));
}
