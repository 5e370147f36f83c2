//! Which manifests this computer wrote, as its index remembers them.

use super::listing::Listing;
use crate::types::ETag;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest manifest of a source that this computer wrote, as its index
/// remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Full key.
    pub key: String,
    /// What the bucket answered; empty while it is on its way.
    pub etag: ETag,
    /// Those that this computer wrote before it and that tell of a later moment:
    /// its clock was ahead then. The newest [`AHEAD_MAX`].
    #[serde(default)]
    pub ahead: Vec<Earlier>,
    /// What it says besides its moment, as a hash; `None` while it is on its way, of
    /// one that was disturbed, or where nobody has noted it.
    #[serde(default)]
    pub says: Option<String>,
}

/// One that was written before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Full key.
    pub key: String,
    /// What the bucket answered; empty when no answer came.
    pub etag: ETag,
}

/// Manifests remembered of the time when the clock was ahead: a month of days.
const AHEAD_MAX: usize = 32;

impl Written {
    /// Under which name the index has it.
    pub const NAME: &str = "newest-manifest";

    /// The one that is written now, after `before`.
    pub fn after(before: Option<Self>, key: String, etag: ETag) -> Self {
        let mut ahead = Vec::new();
        if let Some(before) = before {
            ahead = before.ahead;
            ahead.push(Earlier {
                key: before.key,
                etag: before.etag,
            });
        }
        ahead.retain(|earlier| earlier.key > key);
        let too_many = ahead.len().saturating_sub(AHEAD_MAX);
        ahead.drain(..too_many);
        Self {
            key,
            etag,
            ahead,
            says: None,
        }
    }

    /// This computer wrote it while its clock was ahead.
    pub fn was_ahead(&self, one: &Listing) -> bool {
        let is_it = |earlier: &Earlier| {
            earlier.key == one.key && (earlier.etag.is_empty() || earlier.etag == one.etag)
        };
        self.ahead.iter().any(is_it)
    }

    /// As the index keeps it.
    pub fn to_value(&self) -> Value {
        serde_json::json!({ "key": self.key, "etag": self.etag, "ahead": self.ahead, "says": self.says })
    }

    /// Read it back; `None` for what is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}
