//! Who this node is where it writes.

use pannier_protocol::SourceId;

use super::Config;

const NAME_BYTES_MAX: usize = 32;
/// Of a host that has no name.
const NAMELESS: &str = "node";

impl Config {
    /// The name set, else the host's made a subject token.
    pub fn node_name(&self) -> SourceId {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let set = SourceId::new(&self.node.name).ok();
        set.unwrap_or_else(|| of_host(&host()))
    }
}

/// Lower case, what no token may contain as hyphens, the end of one that is too long: hosts of one fleet differ there.
fn of_host(host: &str) -> SourceId {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '-' | '_') => letter,
        _ => '-',
    };
    let token: String = host.trim().chars().map(letter).collect();
    let end = &token[token.len().saturating_sub(NAME_BYTES_MAX)..];
    SourceId::new(end).unwrap_or_else(|_| SourceId::new(NAMELESS).expect("it is a token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_becomes_a_token() {
        for (host, want) in [
            ("Pannier-1\n", "pannier-1"),
            ("n1.eu.example", "n1-eu-example"),
            ("", "node"),
            ("kühn", "k-hn"),
            ("a-very-long-name-of-a-host-in-a-large-fleet-17", "of-a-host-in-a-large-fleet-17"),
        ] {
            let name = of_host(host);
            assert!(name.as_str().ends_with(want), "{host:?} gives {name}");
        }
    }

    #[test]
    fn a_name_that_is_set_wins() {
        let config = Config::parse("p.toml", "[node]\nname = 'east-1'", []).unwrap();
        assert_eq!(config.node_name().as_str(), "east-1");
    }
}
