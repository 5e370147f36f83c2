//! The environment as a layer: `KEEPWATCH_LIMITS__WORKERS=8`.
//!
//! The variables come in as an argument; the process environment is never read
//! here. Values are text unless the key wants a number or true/false, so that
//! a profile called `123` stays a profile.

use super::key::Key;
use super::problem::Problem;
use super::problem::credential_refused;
use super::problems::{Problems, ValueOrigin, nearest};
use super::raw::{Shape, TABLES, keys_of};
use crate::types::printable;
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use std::ffi::OsString;

/// What the names of our variables begin with.
const PREFIX: &str = "KEEPWATCH_";

/// Not a key: the command line reads it.
const CONFIG_VARIABLE: &str = "KEEPWATCH_CONFIG";

/// The name of this layer in figment's metadata.
pub(super) const LAYER: &str = "environment";

/// The variables that concern us, as tables.
#[derive(Debug, Default)]
pub(super) struct Environment {
    tables: Dict,
}

/// The variable that sets a key; those that set keys of a table.
pub(super) fn variable_of(key: &Key) -> String {
    let rest = if key.0.len() == 1 { "__…" } else { "" };
    format!("{PREFIX}{}{rest}", key.0.join("__").to_uppercase())
}

impl Environment {
    /// Sort out the variables that begin with `KEEPWATCH_`; an empty one counts
    /// as not set.
    pub(super) fn read(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Problems,
    ) -> Self {
        let mut environment = Self::default();
        let mut ours: Vec<(String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .filter(|(name, _)| name != CONFIG_VARIABLE)
            .collect();
        ours.sort();
        for (name, value) in ours {
            let path: Vec<String> = name[PREFIX.len()..]
                .to_lowercase()
                .split("__")
                .map(str::to_owned)
                .collect();
            let key = Key(path);
            if let Err(wrong) = environment.take(&key, value) {
                // Under its own name, so that a table in the file keeps its own problems.
                problems.add(ValueOrigin::Variable(name.clone()), Key(vec![name]), wrong);
            }
        }
        environment
    }

    fn take(&mut self, key: &Key, value: OsString) -> Result<(), Problem> {
        let [table, leaf] = key.0.as_slice() else {
            return Err(self.refused(key));
        };
        let row = keys_of(table).iter().find(|(name, ..)| name == leaf);
        let Some((_, shape, _)) = row.filter(|_| table != "source") else {
            return Err(self.refused(key));
        };
        let text = value.into_string().map_err(|_| {
            Problem::new(
                "its value is not text in UTF-8",
                "set it again, or put the value into the configuration file",
            )
        })?;
        let value = match shape {
            Shape::Number => match (text.trim().parse::<i64>(), text.trim().parse::<f64>()) {
                (Ok(whole), _) => Value::from(whole),
                (_, Ok(number)) if number.is_finite() => Value::from(number),
                _ => Value::from(text),
            },
            Shape::Switch => text
                .trim()
                .parse::<bool>()
                .map_or(Value::from(text), Value::from),
            Shape::Text | Shape::List => Value::from(text),
        };
        let tables = self
            .tables
            .entry(table.clone())
            .or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, table) = tables {
            table.insert(leaf.clone(), value);
        }
        Ok(())
    }

    fn refused(&self, key: &Key) -> Problem {
        if let Some(wrong) = credential_refused(key.0.last().map_or("", String::as_str)) {
            return wrong;
        }
        if key.0.first().is_some_and(|table| table == "source") {
            return Problem::new(
                "sources cannot be given in the environment",
                "write them into the configuration file, one [[source]] for each folder",
            );
        }
        let known: Vec<String> = TABLES
            .iter()
            .filter(|(table, _)| *table != "source")
            .flat_map(|(table, keys)| keys.iter().map(move |(leaf, ..)| Key::of(table, leaf)))
            .map(|key| variable_of(&key))
            .collect();
        let written = format!("{PREFIX}{}", key.0.join("__").to_uppercase());
        let meant = nearest(&written, known.iter().map(String::as_str));
        Problem::new(
            "there is no such setting",
            match meant {
                Some(meant) => format!("did you mean {meant}? Correct it, or unset it"),
                None => format!(
                    "unset it; variables are named {PREFIX}<TABLE>__<KEY>, for example {}",
                    printable(&variable_of(&Key::of("limits", "workers")))
                ),
            },
        )
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(LAYER)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.tables.clone())]))
    }
}
