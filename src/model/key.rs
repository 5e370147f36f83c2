//! How a path becomes an object's key, and how a key gives its path back.
//!
//! Invariants: no two paths share a key; every key made here gives exactly its
//! path back; a key made elsewhere is recognised as foreign and never turned
//! into a path. docs/FORMAT.md has the rule for people.

use crate::model::hash::ContentHash;
use crate::model::path::RelPath;
use serde::{Deserialize, Serialize};
use std::fmt;

/// S3's limit on a key: 1,024 bytes of UTF-8 (Amazon S3 User Guide, "Naming objects").
pub const KEY_BYTES_MAX: usize = 1024;

/// What stands between the readable part of a shortened key and its hash.
pub const SHORTENED_MARK: &str = "~kw-";

/// Hex digits of the path's SHA-256 that end a shortened key: 128 bits, so that
/// two paths of one folder do not meet.
const SHORTENED_HEX_DIGITS: usize = 32;

/// The longest encoded path whose full form fits the object's metadata. S3
/// allows 2 KB of user metadata in all; the other fields take under 450 bytes.
pub const LONG_PATH_BYTES_MAX: usize = 1500;

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
    NotAPath(#[from] crate::model::path::PathRefused),
    /// Encoding its path again gives another key.
    #[error("it is not written the way Keepwatch writes keys")]
    NotCanonical,
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
        if is_shortened(key) {
            return Err(ForeignKey::Shortened);
        }
        Self::parse_full(key)
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
            return Err(ForeignKey::NotAPath(crate::model::path::PathRefused::Empty));
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
    /// when the whole would exceed [`KEY_BYTES_MAX`].
    pub fn in_bucket(&self, prefix: &str) -> BucketKey {
        let full_len = prefix.len() + self.0.len();
        if full_len <= KEY_BYTES_MAX && !is_shortened(&self.0) {
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
        let room = KEY_BYTES_MAX.saturating_sub(prefix.len() + tail.len());
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
    /// Prefix included; at most [`KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// True when the metadata must carry the full path.
    pub shortened: bool,
}

/// The name of the folder that Keepwatch keeps its own objects in, below the prefix.
pub const OWN_FOLDER: &str = ".keepwatch";

/// True for a key of Keepwatch's own, at whatever prefix: one that lies in a
/// folder called [`OWN_FOLDER`].
pub fn is_own(key: &str) -> bool {
    key.match_indices(OWN_FOLDER).any(|(at, name)| {
        let begins = at == 0 || key.as_bytes().get(at - 1) == Some(&b'/');
        begins && key[at + name.len()..].starts_with('/')
    })
}

/// True for a key that ends like a shortened one. A short path that happens to
/// end so is shortened too, hence the mark is never ambiguous.
pub fn is_shortened(key: &str) -> bool {
    let body = key.strip_suffix('/').unwrap_or(key);
    body.rsplit_once(SHORTENED_MARK).is_some_and(|(_, tail)| {
        tail.len() == SHORTENED_HEX_DIGITS && tail.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Characters that a key must not carry as they are: XML 1.0 has no way to
/// write most controls, and parsers fold the others (CR, LF, tab) into spaces.
fn needs_escape(c: char) -> bool {
    c.is_ascii_control()
        || ('\u{80}'..='\u{9f}').contains(&c)
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Percent-escape what a key cannot carry; everything else stays readable.
///
/// Works name by name, so a folder's key begins the keys of what is in it.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for (number, name) in bytes.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        encode_name(name, &mut out);
    }
    out
}

/// A name that is its own key, as nearly all are.
fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && match name.is_ascii() {
            true => name
                .bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b'%'),
            false => !name.contains(|c: char| needs_escape(c) || c == '%'),
        }
        && !name.trim().is_empty()
}

fn encode_name(bytes: &[u8], out: &mut String) {
    if let Some(plain) = std::str::from_utf8(bytes).ok().filter(|n| is_plain_name(n)) {
        out.push_str(plain);
        return;
    }
    // The SDK takes a key of nothing but white space for none at all.
    let is_blank = std::str::from_utf8(bytes).is_ok_and(|text| text.trim().is_empty());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let len = c.len_utf8();
            let is_percent_trap = c == '%'
                && bytes
                    .get(at + 1..at + 3)
                    .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
            if is_blank || needs_escape(c) || is_percent_trap {
                for byte in &bytes[at..at + len] {
                    out.push_str(&format!("%{byte:02X}"));
                }
            } else {
                out.push(c);
            }
            at += len;
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
            at += 1;
        }
    }
}

/// Undo [`encode`]. Never fails: a `%` without two hex digits is itself.
pub fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|two| {
                let mut byte = [0u8];
                hex::decode_to_slice(two, &mut byte).ok().map(|()| byte[0])
            });
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(bytes: &[u8]) -> RelPath {
        RelPath::from_bytes(bytes).unwrap()
    }

    #[test]
    fn odd_names_and_their_keys() {
        for (path, key) in [
            (&b"a/b.csv"[..], "a/b.csv"),
            ("Büro/Rechnung 1.pdf".as_bytes(), "Büro/Rechnung 1.pdf"),
            (b"caf\xe9", "caf%E9"),
            (b"a\nb", "a%0Ab"),
            (b"tab\there", "tab%09here"),
            (b"100%", "100%"),
            (b"100%25", "100%2525"),
            (b"%zz", "%zz"),
            (b"%%41", "%%2541"),
            (b"%\xff", "%%FF"),
            ("\u{ffff}".as_bytes(), "%EF%BF%BF"),
            (b"a\\b", "a\\b"),
            (b" ", "%20"),
            (b" / a/  ", "%20/ a/%20%20"),
            ("\u{3000}/x".as_bytes(), "%E3%80%80/x"),
        ] {
            let made = RelKey::of_file(&p(path));
            assert_eq!(made.as_str(), key);
            assert_eq!(RelKey::parse(key).unwrap().path().as_bytes(), path);
        }
    }

    #[test]
    fn keys_of_others_are_foreign() {
        for key in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "../x",
            "a/../../x",
            "a%41",
            "%2e%2e/x",
            "a%00",
            "a/./b",
            "%2F",
            "caf%e9",
        ] {
            assert!(RelKey::parse(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_folder_and_a_file_of_one_name_have_two_keys() {
        let path = p(b"a/b");
        assert_eq!(RelKey::of_folder(&path).as_str(), "a/b/");
        assert_eq!(RelKey::of_folder(&path).path(), path);
        assert!(RelKey::of_folder(&path).is_folder());
        assert_ne!(RelKey::of_folder(&path), RelKey::of_file(&path));
    }

    #[test]
    fn a_long_key_is_shortened_and_says_so() {
        let long = p(format!("{}/ü{}", "d".repeat(200), "x".repeat(1200)).as_bytes());
        let a = RelKey::of_file(&long).in_bucket("office/");
        assert!(
            a.shortened && a.key.len() <= KEY_BYTES_MAX,
            "{}",
            a.key.len()
        );
        assert!(is_shortened(&a.key) && a.key.starts_with("office/ddd"));
        assert_eq!(
            RelKey::parse(a.key.strip_prefix("office/").unwrap()),
            Err(ForeignKey::Shortened)
        );
        let folder = RelKey::of_folder(&long).in_bucket("office/");
        assert!(folder.key.ends_with('/') && folder.key.len() <= KEY_BYTES_MAX);
        // A short path that looks shortened is shortened too: never ambiguous.
        let fake = p(format!("a{SHORTENED_MARK}{}", "0".repeat(32)).as_bytes());
        assert!(RelKey::of_file(&fake).in_bucket("").shortened);
    }

    proptest! {
        #[test]
        fn every_path_comes_back_and_none_share_a_key(
            a in proptest::collection::vec(any::<u8>(), 1..40),
            b in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            if let (Ok(a), Ok(b)) = (RelPath::from_bytes(a), RelPath::from_bytes(b)) {
                let (ka, kb) = (RelKey::of_file(&a), RelKey::of_file(&b));
                prop_assert_eq!(&RelKey::parse_full(ka.as_str()).unwrap().path(), &a);
                prop_assert_eq!(a == b, ka == kb);
                prop_assert!(!ka.as_str().chars().any(needs_escape));
            }
        }

        #[test]
        fn a_child_of_a_folder_has_the_key_of_its_path(
            name in proptest::collection::vec(any::<u8>(), 1..9),
        ) {
            let folder = p(b"a%41/\xff");
            if let Ok(path) = folder.join(&name) {
                let child = RelKey::of_folder(&folder).child(&encode(&name));
                prop_assert_eq!(&child, &RelKey::of_file(&path));
                prop_assert_eq!(RelKey::parse_full(child.as_str()), Ok(child));
            }
        }

        #[test]
        fn hex_traps_come_back(text in "[%0-9a-fA-FzÄ\u{1}/.]{1,30}") {
            if let Ok(path) = RelPath::from_bytes(text.clone()) {
                prop_assert_eq!(RelKey::parse_full(RelKey::of_file(&path).as_str()).unwrap().path(), path);
            }
        }

        #[test]
        fn any_key_either_is_foreign_or_gives_its_path(text in "\\PC{0,40}") {
            if let Ok(key) = RelKey::parse(&text) {
                let again = if key.is_folder() { RelKey::of_folder(&key.path()) } else { RelKey::of_file(&key.path()) };
                prop_assert_eq!(again, key);
            }
        }
    }
}
