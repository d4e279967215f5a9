//! Where one field's text stands in a record, and how it is cleaned before it is read.

use std::borrow::Cow;

use super::config::{Case, ColumnKeys, DateRules, FileConfig, NumberRules, Trim, Words};

/// One column, with the file's rules and its own merged.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) place: Place,
    pub(super) keys: ColumnKeys,
    pub(super) trim: Trim,
    pub(super) case: Case,
    pub(super) numbers: NumberRules,
    pub(super) dates: DateRules,
    pub(super) words: Words,
    /// The header's name, once resolved to a number.
    pub(super) shown: Option<String>,
}

/// Where a text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By header name.
    Named(String),
    /// By number, from 0.
    Number(usize),
    /// Characters, from 0.
    Slice { at: usize, width: usize },
    /// In no column: the same in every row.
    Constant(String),
}

impl Field {
    /// `keys` have passed the mapping's check of places.
    pub(super) fn new(file: &FileConfig, keys: &ColumnKeys) -> Self {
        let place = match (&keys.value, &keys.name, keys.number, keys.at, keys.width) {
            (Some(value), ..) => Place::Constant(value.clone()),
            (None, Some(name), ..) => Place::Named(name.clone()),
            (None, None, Some(number), ..) => Place::Number(number.saturating_sub(1) as usize),
            (None, None, None, at, width) => Place::Slice {
                at: at.unwrap_or(1).saturating_sub(1) as usize,
                width: width.unwrap_or(0) as usize,
            },
        };
        let numbers = NumberRules {
            decimal_mark: keys.decimal_mark.unwrap_or(file.numbers.decimal_mark),
            thousands_mark: keys.thousands_mark.or(file.numbers.thousands_mark),
            implied_decimals: keys.implied_decimals.or(file.numbers.implied_decimals),
            sign: keys.sign.unwrap_or(file.numbers.sign),
        };
        let dates = DateRules {
            pattern: keys.pattern.clone().unwrap_or_else(|| file.dates.pattern.clone()),
            end: keys.end.unwrap_or(file.dates.end),
            none: file.dates.none.clone(),
        };
        Self {
            place,
            keys: keys.clone(),
            trim: keys.trim.unwrap_or(file.ids.trim),
            case: keys.case.unwrap_or(file.ids.case),
            numbers,
            dates,
            words: file.words.clone(),
            shown: None,
        }
    }

    /// As a reject names it: the header, the number or the characters.
    pub(super) fn shown(&self) -> String {
        if let Some(name) = &self.shown {
            return name.clone();
        }
        match &self.place {
            Place::Named(name) => name.clone(),
            Place::Number(number) => (number + 1).to_string(),
            Place::Slice { at, width } => format!("{}-{}", at + 1, at + width),
            Place::Constant(_) => "constant".to_owned(),
        }
    }

    /// Trimmed, defaulted and translated; blank is empty. The error is a word that `map` lacks.
    pub(super) fn clean<'a>(&'a self, raw: &'a str) -> Result<Cow<'a, str>, String> {
        let text = match self.trim {
            Trim::Both => raw.trim(),
            Trim::Left => raw.trim_start(),
            Trim::Right => raw.trim_end(),
            Trim::Neither => raw,
        };
        let text = match &self.keys.default {
            Some(default) if text.trim().is_empty() => default,
            Some(_) | None => text,
        };
        match &self.keys.map {
            Some(map) if !text.is_empty() => {
                let word = map.get(text).ok_or_else(|| {
                    let known: Vec<_> = map.keys().map(String::as_str).collect();
                    format!("{:?} is not in the mapping's map ({})", shorten(text), known.join(", "))
                })?;
                Ok(Cow::Borrowed(word))
            }
            Some(_) | None => Ok(Cow::Borrowed(text)),
        }
    }

    /// An id's text: case, stripped and padded, with its prefix. Blank stays blank.
    pub(super) fn id_text(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let mut id = match self.case {
            Case::Keep => text.to_owned(),
            Case::Upper => text.to_uppercase(),
            Case::Lower => text.to_lowercase(),
        };
        if let Some(strip) = self.keys.strip {
            let rest = id.trim_start_matches(strip);
            id = if rest.is_empty() { strip.to_string() } else { rest.to_owned() };
        }
        if let Some(pad) = self.keys.pad {
            let missing = (pad.to as usize).saturating_sub(id.chars().count());
            id.insert_str(0, &String::from(pad.with).repeat(missing));
        }
        match &self.keys.prefix {
            Some(prefix) => format!("{prefix}{id}"),
            None => id,
        }
    }
}

/// The first characters of a text that an error shows.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
