//! How a path becomes an object's key, and how a key gives its path back.
//!
//! Invariants: no two paths share a key; every key made here gives exactly its
//! path back; a key made elsewhere is recognised as foreign and never turned
//! into a path. docs/FORMAT.md has the rule for people.

use super::content_hash::ContentHash;
use super::key_escape::{OWN_FOLDER, OWN_FOLDER_ESCAPED, decode, encode, is_plain_name};
use super::rel_path::RelPath;
use serde::{Deserialize, Serialize};
use std::fmt;

/// S3's limit on a key: 1,024 bytes of UTF-8 (Amazon S3 User Guide, "Naming objects").
pub const KEY_BYTES_MAX: usize = 1024;

/// The longest key that is made: Swift keeps older versions under names that are
/// 18 bytes longer, and takes 1,024 in all (`Differs::ShorterKeys`). Earlier versions of Keepwatch made keys
/// of [`KEY_BYTES_MAX`]; see [`RelKey::older`].
pub const NEW_KEY_BYTES_MAX: usize = 1_006;

/// AWS takes no object of this key (Amazon S3 User Guide, "Naming objects").
const REFUSED_KEY: &str = "soap";

/// What stands between the readable part of a shortened key and its hash.
pub const SHORTENED_MARK: &str = "~kw-";

/// Hex digits of the path's SHA-256 that end a shortened key: 128 bits, so that
/// two paths of one folder do not meet.
const SHORTENED_HEX_DIGITS: usize = 32;

/// What manifests are below, in [`OWN_FOLDER`].
pub const MANIFESTS: &str = "manifests/";

/// What every manifest's name ends with.
pub const MANIFEST_END: &str = ".jsonl.gz";

/// What objects of attributes are below, in [`OWN_FOLDER`]: each is called by the
/// SHA-256 of its text.
pub const ATTRIBUTES: &str = "attributes/";

/// The record of whose the destination is, in [`OWN_FOLDER`].
pub const OWNER_RECORD: &str = "owner.json";

/// What the right to write is tried with, in [`OWN_FOLDER`]. It never becomes an
/// object.
pub const WRITE_TRIAL: &str = "check";

/// A path in key form, relative to the source's prefix and never shortened:
/// `folder/file.csv` for a file or link, `folder/` for a folder.
///
/// It is the index's key, and its byte order is the order of a bucket listing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelKey(String);

/// Why a key in the bucket is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignKey {
    /// It decodes to something that is not a path inside a source.
    #[error("it is not the name of a file in a folder: {0}")]
    NotAPath(#[from] crate::types::rel_path::PathRefused),
    /// Encoding its path again gives another key.
    #[error("it is not written the way Keepwatch writes keys")]
    NotCanonical,
    /// Keepwatch's own: a manifest, say. Nobody's file, and nothing foreign either.
    #[error("it is one of Keepwatch's own objects")]
    Own,
    /// The file of this key, as versions of Keepwatch stored it that knew no
    /// folder of their own (a name in it is [`OWN_FOLDER`], unescaped), or that
    /// shortened it later or not at all.
    #[error("it is the key that earlier versions of Keepwatch gave a file")]
    Older(RelKey),
    /// It was shortened: the full path is in the object's metadata.
    #[error("it is shortened, its full path is in the object's metadata")]
    Shortened,
}

impl RelKey {
    /// The key of the file or link at `path`.
    pub fn of_file(path: &RelPath) -> Self {
        Self(encode(path.as_bytes()))
    }

    /// The key of the folder at `path` (used when the folder is empty); the
    /// root's is the empty string.
    pub fn of_folder(path: &RelPath) -> Self {
        let mut key = encode(path.as_bytes());
        if !key.is_empty() {
            key.push('/');
        }
        Self(key)
    }

    /// Take a key as found in a listing, without the prefix.
    ///
    /// # Errors
    /// [`ForeignKey`] when no path has this key, or when it is shortened.
    pub fn parse(key: &str) -> Result<Self, ForeignKey> {
        if is_own(key) {
            return Err(ForeignKey::Own);
        }
        if is_shortened(key) {
            return Err(ForeignKey::Shortened);
        }
        Self::parse_full(key).map_err(|why| older(key).map_or(why, ForeignKey::Older))
    }

    /// The same, with the prefix that stands before it: that decides which keys
    /// are shortened.
    ///
    /// # Errors
    /// As [`RelKey::parse`].
    pub fn parse_at(key: &str, prefix: &str) -> Result<Self, ForeignKey> {
        let key = Self::parse(key)?;
        match key.is_refused(prefix) {
            true => Err(ForeignKey::Older(key)),
            false => Ok(key),
        }
    }

    /// The key in the bucket that earlier versions of Keepwatch stored this path
    /// under, prefix included, where that is another.
    pub fn older(&self, prefix: &str) -> Option<String> {
        if let Some(older) = older_form(&self.0) {
            return Some(format!("{prefix}{older}"));
        }
        let older = || self.made(prefix, is_shortened(&self.0), KEY_BYTES_MAX).key;
        self.is_refused(prefix)
            .then(older)
            .filter(|older| *older != self.in_bucket(prefix).key)
    }

    /// The keys that the object of this path may have, shortest prefix first: of
    /// `prefix` and the path, no one knows how much is the source's own prefix,
    /// and a shortened key's hash is of what comes after that.
    pub fn places(&self, prefix: &str) -> Vec<String> {
        let own = self.in_bucket(prefix);
        if !own.shortened {
            return vec![own.key];
        }
        let ends = self.0.match_indices('/').map(|(slash, _)| slash + 1);
        std::iter::once(0)
            .chain(ends)
            .filter(|end| *end < self.0.len())
            .map(|end| {
                let own_prefix = format!("{prefix}{}", &self.0[..end]);
                Self(self.0[end..].to_owned()).in_bucket(&own_prefix).key
            })
            .collect()
    }

    /// S3, or Swift, does not take the key as it is.
    fn is_refused(&self, prefix: &str) -> bool {
        let bytes = prefix.len() + self.0.len();
        bytes > NEW_KEY_BYTES_MAX
            || (bytes == REFUSED_KEY.len()
                && REFUSED_KEY.starts_with(prefix)
                && REFUSED_KEY.ends_with(&self.0))
    }

    /// True where the object of this path may stand in another place of a listing
    /// than its path: by a shortened key, or by the one of earlier versions.
    pub fn may_be_elsewhere(&self, prefix: &str) -> bool {
        self.in_bucket(prefix).shortened || self.older(prefix).is_some()
    }

    /// The key of what stands in this folder under a name that [`encode`] has
    /// written; a folder's name ends with its `/`.
    pub fn child(&self, encoded: &str) -> Self {
        let mut key = String::with_capacity(self.0.len() + encoded.len());
        key.push_str(&self.0);
        key.push_str(encoded);
        Self(key)
    }

    /// Take a key in its full form (from metadata or the index).
    ///
    /// # Errors
    /// [`ForeignKey`] when no path has this key.
    pub fn parse_full(key: &str) -> Result<Self, ForeignKey> {
        let body = key.strip_suffix('/').unwrap_or(key);
        if body.split('/').all(is_plain_name) {
            return Ok(Self(key.to_owned()));
        }
        let path = RelPath::from_bytes(decode(body))?;
        if path.is_root() {
            return Err(ForeignKey::NotAPath(
                crate::types::rel_path::PathRefused::Empty,
            ));
        }
        if encode(path.as_bytes()) != body {
            return Err(ForeignKey::NotCanonical);
        }
        Ok(Self(key.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for a folder's key.
    pub fn is_folder(&self) -> bool {
        self.0.is_empty() || self.0.ends_with('/')
    }

    /// The path this key stands for.
    pub fn path(&self) -> RelPath {
        let body = self.0.strip_suffix('/').unwrap_or(&self.0);
        // Every constructor has made sure that this decodes.
        RelPath::from_bytes(decode(body)).unwrap_or_default()
    }

    /// The object's key in the bucket: prefix and key, shortened with a hash
    /// when the whole would exceed [`NEW_KEY_BYTES_MAX`], or AWS refuses it.
    pub fn in_bucket(&self, prefix: &str) -> BucketKey {
        let is_to_shorten = is_shortened(&self.0) || self.is_refused(prefix);
        self.made(prefix, is_to_shorten, NEW_KEY_BYTES_MAX)
    }

    fn made(&self, prefix: &str, is_to_shorten: bool, bytes_max: usize) -> BucketKey {
        if !is_to_shorten && prefix.len() + self.0.len() <= bytes_max {
            return BucketKey {
                key: format!("{prefix}{}", self.0),
                shortened: false,
            };
        }
        let hash = ContentHash::of(self.0.as_bytes()).to_hex();
        let tail = format!(
            "{SHORTENED_MARK}{}{}",
            &hash[..SHORTENED_HEX_DIGITS],
            if self.is_folder() { "/" } else { "" }
        );
        let room = bytes_max.saturating_sub(prefix.len() + tail.len());
        let body = self.0.strip_suffix('/').unwrap_or(&self.0);
        let mut end = room.min(body.len());
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        BucketKey {
            key: format!("{prefix}{}{tail}", body[..end].trim_end_matches('/')),
            shortened: true,
        }
    }
}

impl fmt::Debug for RelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`", self.0)
    }
}

/// An object's key as the bucket has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketKey {
    /// Prefix included; at most [`NEW_KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// True when the metadata must carry the full path.
    pub shortened: bool,
}

/// True for a key that ends like a shortened one. A short path that happens to
/// end so is shortened too, hence the mark is never ambiguous.
pub fn is_shortened(key: &str) -> bool {
    let body = key.strip_suffix('/').unwrap_or(key);
    body.rsplit_once(SHORTENED_MARK).is_some_and(|(_, tail)| {
        tail.len() == SHORTENED_HEX_DIGITS && tail.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// What a shortened key has of its path: all before the mark.
pub fn shortened_begin(key: &str) -> &str {
    key.rsplit_once(SHORTENED_MARK)
        .map_or(key, |(begin, _)| begin)
}

/// True for a key of Keepwatch's own, at whatever prefix: a manifest, attributes, or
/// the record of its owner. Whatever else is to lie in [`OWN_FOLDER`] one day must be named
/// here.
pub fn is_own(key: &str) -> bool {
    key.match_indices(OWN_FOLDER).any(|(at, name)| {
        let begins = at == 0 || key.as_bytes().get(at - 1) == Some(&b'/');
        let below = key[at + name.len()..].strip_prefix('/');
        begins && below.is_some_and(is_own_name)
    })
}

fn is_own_name(below: &str) -> bool {
    let is_manifest = below.strip_prefix(MANIFESTS).is_some_and(|name| {
        let is_dated = name.starts_with(|first: char| first.is_ascii_digit());
        is_dated && name.ends_with(MANIFEST_END) && !name.contains('/')
    });
    let is_attributes = below
        .strip_prefix(ATTRIBUTES)
        .is_some_and(|name| ContentHash::from_hex(name).is_some());
    is_manifest || is_attributes || below == WRITE_TRIAL || below == OWNER_RECORD
}

/// The key that takes the place of one of earlier versions.
fn older(key: &str) -> Option<RelKey> {
    let names = key.split('/').map(|name| match name {
        OWN_FOLDER => OWN_FOLDER_ESCAPED,
        name => name,
    });
    let new = names.collect::<Vec<_>>().join("/");
    RelKey::parse_full(&new).ok().filter(|_| new != key)
}

/// A key, or the beginning of one, as earlier versions wrote it, where that is
/// another.
pub fn older_form(key: &str) -> Option<String> {
    let names = key.split('/').map(|name| match name {
        OWN_FOLDER_ESCAPED => OWN_FOLDER,
        name => name,
    });
    let old = names.collect::<Vec<_>>().join("/");
    (old != key).then_some(old)
}

#[cfg(test)]
#[path = "object_key_tests.rs"]
mod tests;
