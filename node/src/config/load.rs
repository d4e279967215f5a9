//! File and environment to a checked [`Config`].

use std::path::Path;

use toml::{Table, Value};

use super::Config;

const ENVIRONMENT_PREFIX: &str = "PANNIER_";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is no TOML: {reason}")]
    Syntax { path: String, reason: String },
    /// `key` as in `http.listen`.
    #[error("{key}: {reason}")]
    Value { key: String, reason: String },
    #[error("environment variable {name} names no key; deploy/pannier.toml documents them all")]
    UnknownVariable { name: String },
    #[error("environment variable {name}: {reason}")]
    Variable { name: String, reason: String },
}

impl Config {
    /// The defaults, overridden by the file (if one is given), overridden by the environment (pass
    /// `std::env::vars()`), and checked.
    pub fn load<E>(path: Option<&Path>, environment: E) -> Result<Self, ConfigError>
    where
        E: IntoIterator<Item = (String, String)>,
    {
        let Some(path) = path else { return Self::parse("the defaults", "", environment) };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&shown, &text, environment)
    }

    /// As [`Config::load`], from the text of a file called `path`.
    pub fn parse<E>(path: &str, text: &str, environment: E) -> Result<Self, ConfigError>
    where
        E: IntoIterator<Item = (String, String)>,
    {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        overlay(&mut table, environment)?;
        let config: Self = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let key = error.path().to_string();
            ConfigError::Value { key, reason: error.into_inner().message().to_owned() }
        })?;
        config.validate()?;
        Ok(config)
    }
}

/// Puts the variables into the table, each as the type that the default of its key has.
fn overlay<E>(table: &mut Table, environment: E) -> Result<(), ConfigError>
where
    E: IntoIterator<Item = (String, String)>,
{
    let known = Table::try_from(Config::default())
        .map_err(|error| ConfigError::Value { key: ".".into(), reason: error.to_string() })?;
    for (name, text) in environment {
        let Some((section, key)) =
            name.strip_prefix(ENVIRONMENT_PREFIX).and_then(|rest| rest.split_once("__"))
        else {
            continue;
        };
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        let Some(default) = known.get(&section).and_then(|keys| keys.get(&key)) else {
            return Err(ConfigError::UnknownVariable { name });
        };
        let value =
            typed(default, &text).map_err(|reason| ConfigError::Variable { name, reason: reason.into() })?;
        // A section that is no table is left for the check that names it.
        if let Value::Table(keys) = table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
            keys.insert(key, value);
        }
    }
    Ok(())
}

fn typed(default: &Value, text: &str) -> Result<Value, &'static str> {
    match default {
        Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| "not a whole number"),
        Value::Boolean(_) => text.parse().map(Value::Boolean).map_err(|_| "neither true nor false"),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        Value::String(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            Ok(Value::String(text.to_owned()))
        }
    }
}
