//! The name of a configuration key.

use crate::types::printable;
use std::fmt;

/// Where a key stands: table, position in a list, key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Key(pub(super) Vec<String>);

impl Key {
    /// The key `leaf` in the table `table`.
    pub(super) fn of(table: &str, leaf: &str) -> Self {
        Self(vec![table.to_owned(), leaf.to_owned()])
    }

    /// A whole table.
    pub(super) fn table(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// The key `leaf` of the source at `index` (from 0).
    pub(super) fn source(index: usize, leaf: &str) -> Self {
        Self(vec!["source".into(), index.to_string(), leaf.to_owned()])
    }

    /// One element of the list at this key.
    pub(super) fn item(&self, index: usize) -> Self {
        let mut key = self.clone();
        key.0.push(index.to_string());
        key
    }

    /// The last name that is not a position.
    pub(super) fn leaf(&self) -> &str {
        let names = self.0.iter().rev();
        let mut named = names.filter(|part| part.parse::<usize>().is_err());
        named.next().map_or("", String::as_str)
    }

    pub(crate) fn is_under(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

/// `source[2].bucket`: people count from 1.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            match part.parse::<usize>() {
                Ok(index) if at > 0 => write!(f, "[{}]", index + 1)?,
                _ if at > 0 => write!(f, ".{}", printable(part))?,
                _ => f.write_str(&printable(part))?,
            }
        }
        Ok(())
    }
}
