//! Whether paths are unprotected, and how often a path has failed.

use super::entries::from_json;
use super::handle::Index;
use super::keys::Space;
use super::types::{SourceId, Unprotected};
use crate::types::{Fault, RelKey};

impl Index {
    /// Whether any path of the source is unprotected. Reads nothing.
    pub fn has_unprotected(&self, source: SourceId) -> bool {
        self.ledger()
            .sources
            .get(&source)
            .is_some_and(|source| source.unprotected > 0)
    }

    /// How often the path has failed since it was last protected; 0 when it is.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn unprotected_attempts(&self, source: SourceId, key: &RelKey) -> Result<u32, Fault> {
        let engine = self.engine()?;
        let found = engine.get(&Space::Unprotected.key(source, key.as_str().as_bytes()))?;
        Ok(match found {
            Some(value) => from_json::<Unprotected>(&engine, &value)?.attempts,
            None => 0,
        })
    }
}
