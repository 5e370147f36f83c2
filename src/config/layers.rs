//! Merges the layers: defaults, file, environment, flags.
//!
//! figment merges them and remembers where each value came from. It stops reading at the first
//! wrong key. So we note a wrong key, remove it, and read the rest again: all wrong keys are
//! reported at once.

use super::environment;
use super::environment::{Environment, variable_of};
use super::given::Overrides;
use super::key::Key;
use super::problem::{Problem, credential_refused};
use super::problems::{Problems, ValueOrigin, nearest};
use super::raw::{RawConfig, Shape, TABLES, keys_of};
use crate::types::printable;
use figment::error::{Actual, Kind};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

/// After so many wrong keys the file is something else; the rest is not read.
const WRONG_KEYS_MAX: usize = 100;

/// The name of the flags' layer in figment's metadata.
const FLAGS_LAYER: &str = "command line";

/// All layers merged.
pub(super) struct Layers {
    figment: Figment,
    merged: Value,
}

impl Layers {
    /// Merge the file's text, the environment and the flags.
    pub(super) fn merge(
        text: &str,
        environment: Environment,
        overrides: &Overrides,
    ) -> Result<Self, Problem> {
        let figment = Figment::from(Toml::string(text))
            .merge(environment)
            .merge(overrides);
        let merged = figment.find_value("").map_err(|error| {
            Problem::new(
                type_error(&error.kind),
                "compare the file with the commented examples",
            )
        })?;
        Ok(Self { figment, merged })
    }

    /// Which layer the value at `key` came from.
    pub(super) fn origin(&self, key: &Key) -> ValueOrigin {
        let tag = find(&self.merged, &key.0).map(Value::tag);
        match tag.and_then(|tag| self.figment.get_metadata(tag)) {
            Some(layer) if layer.name == environment::LAYER => {
                ValueOrigin::Variable(variable_of(key))
            }
            Some(layer) if layer.name == FLAGS_LAYER => ValueOrigin::Flag(flag_of(key)),
            _ => ValueOrigin::File,
        }
    }

    /// True when any layer sets this key.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        find(&self.merged, &key.0).is_some()
    }

    /// The raw configuration without its wrong keys, which are noted.
    pub(super) fn extract(&self, problems: &mut Problems) -> RawConfig {
        let mut value = self.merged.clone();
        for _ in 0..WRONG_KEYS_MAX {
            match value.deserialize::<RawConfig>() {
                Ok(raw) => return raw,
                Err(error) => {
                    let key = Key(error.path.clone());
                    let wrong = explain(&key, &error, problems);
                    problems.add(self.origin(&key), key.clone(), wrong);
                    if !take_out(&mut value, &key.0) {
                        break;
                    }
                }
            }
        }
        RawConfig::default()
    }
}

/// The flags as a layer.
impl Provider for Overrides {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAGS_LAYER)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut tables = Dict::new();
        if let Some(level) = &self.log_level {
            let log = Dict::from([("level".to_owned(), Value::from(level.as_str()))]);
            tables.insert("log".into(), Value::from(log));
        }
        Ok(Map::from([(Profile::Default, tables)]))
    }
}

fn flag_of(key: &Key) -> &'static str {
    match key.leaf() {
        "level" => "--log-level",
        _ => FLAGS_LAYER,
    }
}

fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(value);
    };
    match value {
        Value::Dict(_, table) => find(table.get(first)?, rest),
        Value::Array(_, list) => find(list.get(first.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

/// Take the value at `path` out. An element of `source` is emptied instead, so
/// that the ones after it keep their number.
fn take_out(value: &mut Value, path: &[String]) -> bool {
    match (value, path) {
        (Value::Dict(_, table), [last]) => table.remove(last).is_some(),
        (Value::Dict(_, table), [first, rest @ ..]) => table
            .get_mut(first)
            .is_some_and(|inner| take_out(inner, rest)),
        (Value::Array(_, list), [last]) => {
            let Some(index) = last.parse().ok().filter(|index| *index < list.len()) else {
                return false;
            };
            if matches!(list.get(index), Some(Value::Dict(..))) {
                return false;
            }
            if list.iter().any(|other| matches!(other, Value::Dict(..))) {
                list[index] = Value::Dict(Tag::Default, Dict::new());
            } else {
                list.remove(index);
            }
            true
        }
        (Value::Array(_, list), [first, rest @ ..]) => first
            .parse::<usize>()
            .ok()
            .and_then(|index| list.get_mut(index))
            .is_some_and(|inner| take_out(inner, rest)),
        _ => false,
    }
}

fn explain(key: &Key, error: &Error, problems: &mut Problems) -> Problem {
    match &error.kind {
        Kind::UnknownField(name, expected) => unknown_key(key, name, expected, problems),
        kind => Problem::new(type_error(kind), example(key)),
    }
}

fn unknown_key(key: &Key, name: &str, expected: &[&str], problems: &mut Problems) -> Problem {
    if let Some(wrong) = credential_refused(name) {
        return wrong;
    }
    let what = if key.0.len() == 1 {
        format!("there is no table or key `{}` here", printable(name))
    } else {
        format!("there is no key `{}` in this table", printable(name))
    };
    if let Some(meant) = nearest(name, expected.iter().copied()) {
        let mut right = key.clone();
        if let Some(last) = right.0.last_mut() {
            *last = meant.to_owned();
        }
        problems.excuse(right);
        let written = match (key.0.len(), meant) {
            (1, "source") => "[[source]]".to_owned(),
            (1, table) => format!("[{table}]"),
            _ => format!("`{meant}`"),
        };
        return Problem::new(what, format!("did you mean {written}?"));
    }
    let elsewhere = TABLES
        .iter()
        .find(|(_, keys)| keys.iter().any(|(known, ..)| *known == name));
    let remedy = match elsewhere {
        Some(("source", _)) => "it belongs under a [[source]]".to_owned(),
        Some((table, _)) => format!("it belongs under [{table}]"),
        None => format!("remove it; possible here: {}", expected.join(", ")),
    };
    Problem::new(what, remedy)
}

fn type_error(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("{} is expected, not {}", wanted(expected), met(found))
        }
        // Every other kind names the shape of the file, never a value of it.
        other => printable(&other.to_string()),
    }
}

fn wanted(expected: &str) -> &'static str {
    match expected {
        "a string" => "text in quotes",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ => "a table of keys",
    }
}

/// What was found, without its value.
fn met(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a number",
        Actual::Float(_) => "a number with a point",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table (or a time without quotes)",
        _ => "what stands here",
    }
}

/// How the key is written rightly.
fn example(key: &Key) -> String {
    let Some(table) = key.0.first() else {
        return "compare the file with the commented examples".into();
    };
    if table == "source" && key.0.len() <= 2 {
        return "begin each folder with [[source]] in two brackets, its keys below it".into();
    }
    if key.0.len() == 1 {
        return format!(
            "write [{}] on a line of its own, its keys below it",
            printable(table)
        );
    }
    let row = keys_of(table).iter().find(|(name, ..)| *name == key.leaf());
    match row {
        Some((name, Shape::List, text)) => format!("write for example {name} = {text}"),
        Some((name, _, text)) => format!("write it like {name} = {text}"),
        None => "compare the file with the commented examples".into(),
    }
}
