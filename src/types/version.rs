//! What a server calls the versions of an object, and what it says of their bytes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// The id of one version of an object, as its server gave it; never empty. Where there
/// may be none, as in a bucket that keeps no versions, it is an `Option`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(String);

impl VersionId {
    /// What S3 calls the one version that is current where none are kept (Amazon S3 API).
    pub const NULL: &str = "null";

    /// That id; `None` for an empty one, which is none.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }

    /// The id of what is current where no versions are kept.
    pub fn null() -> Self {
        Self(Self::NULL.to_owned())
    }

    /// It stays the id of this one version. `null` is that of whatever is current.
    pub fn is_pinned(&self) -> bool {
        self.0 != Self::NULL
    }
}

impl Deref for VersionId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An id as text, empty for none: so the index, manifests, findings and logs have it.
pub fn id_text(id: &Option<VersionId>) -> &str {
    id.as_deref().unwrap_or_default()
}

/// Stores an `Option<VersionId>` as text, empty for none.
pub mod id_or_empty {
    use super::{Deserialize, VersionId, id_text};
    use serde::{Deserializer, Serializer};

    /// For `serialize_with`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(id: &Option<VersionId>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(id_text(id))
    }

    /// For `deserialize_with`.
    ///
    /// # Errors
    /// It is no text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<VersionId>, D::Error> {
        String::deserialize(from).map(VersionId::new)
    }
}

/// What a server says of an object's bytes, without quotes; empty where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// That of an answer's header.
    pub fn of_header(header: Option<&str>) -> Self {
        Self(header.unwrap_or_default().trim_matches('"').to_owned())
    }
}

impl Deref for ETag {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ETag {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for ETag {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Kept {
        #[serde(default, with = "id_or_empty", skip_serializing_if = "Option::is_none")]
        version_id: Option<VersionId>,
        #[serde(default, skip_serializing_if = "str::is_empty")]
        etag: ETag,
    }

    #[test]
    fn what_was_stored_as_text_is_read_and_stored_as_the_same_text() {
        for (kept, id, etag) in [
            (r#"{"version_id":"v1","etag":"e-2"}"#, Some("v1"), "e-2"),
            (r#"{"version_id":"null"}"#, Some("null"), ""),
            ("{}", None, ""),
        ] {
            let read: Kept = serde_json::from_str(kept).unwrap();
            assert_eq!((read.version_id.as_deref(), &*read.etag), (id, etag));
            assert_eq!(serde_json::to_string(&read).unwrap(), kept);
        }
        let empty: Kept = serde_json::from_str(r#"{"version_id":"","etag":""}"#).unwrap();
        assert_eq!(empty.version_id, None);
    }

    #[test]
    fn only_an_id_of_its_own_pins_a_version() {
        assert_eq!(VersionId::new(""), None);
        assert!(!VersionId::null().is_pinned());
        assert!(VersionId::new("v").is_some_and(|id| id.is_pinned()));
        assert_eq!(ETag::of_header(Some("\"5f-63\"")), ETag::from("5f-63"));
    }
}
