//! File names: `*`, `?`, and `{cut}` for the instant that an exporter writes into the name.

use crate::limits::PATTERN_STARS_MAX;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamePattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `{cut}`: digits and `-`, `:`, `T`.
    Cut,
}

/// What a matching name says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NameMatch {
    pub cut: Option<String>,
}

impl NamePattern {
    /// `None` when it is empty, has a path in it, too many `*`, more than one `{cut}` or another brace.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{cut}") {
                tokens.push(Token::Cut);
                rest = after;
                continue;
            }
            tokens.push(match first {
                '*' => Token::Any,
                '?' => Token::One,
                '/' | '\\' | '{' | '}' => return None,
                other => Token::Char(other),
            });
            rest = &rest[first.len_utf8()..];
        }
        let cuts = tokens.iter().filter(|token| **token == Token::Cut).count();
        let stars = tokens.iter().filter(|token| **token == Token::Any).count();
        (!tokens.is_empty() && cuts <= 1 && stars <= PATTERN_STARS_MAX).then_some(Self(tokens))
    }

    pub(super) fn has_cut(&self) -> bool {
        self.0.contains(&Token::Cut)
    }

    pub(super) fn matches(&self, name: &str) -> Option<NameMatch> {
        let name: Vec<char> = name.chars().collect();
        let mut found = NameMatch::default();
        step(&self.0, &name, &mut found).then_some(found)
    }
}

fn step(tokens: &[Token], name: &[char], found: &mut NameMatch) -> bool {
    let Some((token, tokens)) = tokens.split_first() else { return name.is_empty() };
    match token {
        Token::Char(want) => name.first() == Some(want) && step(tokens, &name[1..], found),
        Token::One => !name.is_empty() && step(tokens, &name[1..], found),
        Token::Any => (0..=name.len()).any(|taken| step(tokens, &name[taken..], found)),
        Token::Cut => {
            let longest =
                name.iter().take_while(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T')).count();
            (1..=longest).rev().any(|taken| {
                let fits = step(tokens, &name[taken..], found);
                if fits {
                    found.cut = Some(name[..taken].iter().collect());
                }
                fits
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, want: Option<Option<&str>>) {
        let got = NamePattern::parse(pattern).unwrap().matches(name).map(|found| found.cut);
        assert_eq!(got.as_ref().map(Option::as_deref), want, "{pattern} {name}");
    }

    #[test]
    fn names_match_whole() {
        check("STOCK_*.csv", "STOCK_DAL.csv", Some(None));
        check("STOCK_*.csv", "STOCK_DAL.csv.tmp", None);
        check("STOCK_?.csv", "STOCK_12.csv", None);
        check("ITEMS_{cut}.txt", "ITEMS_20261123T0600.txt", Some(Some("20261123T0600")));
        check("ITEMS_{cut}_*.txt", "ITEMS_20261123_1.txt", Some(Some("20261123")));
        check("ITEMS_{cut}.txt", "ITEMS_.txt", None);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "*a*b*c*d*e", "a/b", "{cut}{cut}", "{x}", "a\\b"] {
            assert_eq!(NamePattern::parse(bad), None, "{bad:?}");
        }
    }
}
