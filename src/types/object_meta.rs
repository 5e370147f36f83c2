//! What an object's own metadata says about the file that it holds.

use super::attributes::{Attributes, Carried};
use super::content_hash::ContentHash;
use super::fingerprint::{Fingerprint, Kind};
use super::full_key::FullKey;
use super::meta_bytes::{META_BYTES_MAX, field_bytes, from_ascii, sent_bytes, to_ascii};
use super::{full_key, key_escape};
use std::collections::BTreeMap;

/// The prefix of all our user metadata, after S3's own `x-amz-meta-`.
pub const META_PREFIX: &str = "kw-";

/// Version of the object format; docs/FORMAT.md describes it.
pub const FORMAT_VERSION: u32 = 1;

/// A link's target up to this many encoded bytes is repeated in the metadata, if
/// there is room (the body always has it whole).
const SYMLINK_META_BYTES_MAX: usize = 1000;

/// The furthest modification time from 1970 that any file system holds: seconds
/// of 64 bits.
const MTIME_NS_MAX: u128 = (1 << 63) * 1_000_000_000;

/// What an object says about the file it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// File, link or folder.
    pub kind: Kind,
    /// SHA-256 of the file itself; `None` only for a large file that never rested.
    pub content: Option<ContentHash>,
    /// Size of the file itself, bytes.
    pub size_bytes: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group ids.
    pub owner: Option<(u32, u32)>,
    /// A link's target, as the operating system's bytes (short ones only).
    pub symlink_target: Option<Vec<u8>>,
    /// The file never rested; what is stored is what one reading found.
    pub is_torn: bool,
    /// The path when the object's key is shortened.
    pub full_key: Option<FullKey>,
    /// When the file was read and known to be like this, milliseconds since 1970
    /// by the clock of the computer that read it; see `history::state_time`.
    pub seen_ms: Option<i64>,
    /// Of a journal and the like (`types::companion`): the content of the file that it
    /// was read together with. With any other content of that file it is no state.
    pub beside: Option<ContentHash>,
    /// Bytes that the file took on its disk, when that was less than it has: it had
    /// holes.
    pub sparse_bytes: Option<u64>,
    /// Its attributes.
    pub attributes: Carried,
}

/// Why metadata cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetaRefused {
    /// The object was not written by Keepwatch.
    #[error("the object was not written by Keepwatch")]
    Foreign,
    /// The object was written by a newer Keepwatch.
    #[error("format version {0} is newer than this program knows ({FORMAT_VERSION})")]
    Newer(u32),
    /// A field is missing or broken.
    #[error("metadata field {0} is missing or broken")]
    Broken(&'static str),
}

impl ObjectMeta {
    /// The metadata of the file that `fingerprint` and `content` describe.
    pub fn of(fingerprint: &Fingerprint, content: Option<ContentHash>) -> Self {
        Self {
            kind: fingerprint.kind,
            content,
            size_bytes: fingerprint.size_bytes,
            mtime_ns: fingerprint.mtime_ns,
            mode: fingerprint.mode,
            owner: fingerprint.owner,
            symlink_target: None,
            is_torn: false,
            full_key: None,
            seen_ms: None,
            beside: None,
            sparse_bytes: None,
            attributes: Carried::Nothing,
        }
    }

    /// Whether this, which stands beside the file that `main` is of, was read when that
    /// file was so. `None` where it does not say which file it belongs to.
    pub fn belongs_to(&self, main: &Self) -> Option<bool> {
        let beside = self.beside?;
        Some(match main.content {
            Some(content) => content == beside,
            // A large one that never rested says no hash, but when it was read.
            None => self.seen_ms.is_some() && self.seen_ms == main.seen_ms,
        })
    }

    /// Bytes that the file needs on a disk.
    pub fn disk_bytes(&self) -> u64 {
        self.sparse_bytes
            .map_or(self.size_bytes, |bytes| bytes.min(self.size_bytes))
    }

    /// Whether its attributes fit beside all that its metadata must say.
    pub fn has_room_for_attributes(&self) -> bool {
        let headers = self.to_headers();
        self.attributes == Carried::Nothing
            || ["attributes", "attributes-sha256"]
                .iter()
                .any(|name| headers.contains_key(&format!("{META_PREFIX}{name}")))
    }

    /// As user metadata, names without S3's `x-amz-meta-`. ASCII only. What can be
    /// spared is left out where it does not fit [`META_BYTES_MAX`]: a link's target
    /// first, then attributes, then that the file had holes, then the owner.
    pub fn to_headers(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let mut put = |name: &str, value: String| out.insert(format!("{META_PREFIX}{name}"), value);
        put("format", FORMAT_VERSION.to_string());
        put(
            "kind",
            match self.kind {
                Kind::Symlink => "symlink",
                Kind::Folder => "folder",
                Kind::File | Kind::Special => "file",
            }
            .to_owned(),
        );
        if let Some(content) = self.content {
            put("sha256", content.to_hex());
        }
        put("size", self.size_bytes.to_string());
        put("mtime-ns", self.mtime_ns.to_string());
        put("mode", format!("{:04o}", self.mode));
        if self.is_torn {
            put("unrested", "1".to_owned());
        }
        match &self.full_key {
            Some(FullKey::Whole(full)) => put("key", to_ascii(full)),
            Some(FullKey::Rest(rest)) => put("key-rest", full_key::pack(rest)),
            None => None,
        };
        if let Some(seen_ms) = self.seen_ms {
            put("seen-ms", seen_ms.to_string());
        }
        if let Some(beside) = self.beside {
            put("beside", beside.to_hex());
        }
        let mut put_if_it_fits = |name: &str, value: String| {
            let name = format!("{META_PREFIX}{name}");
            if sent_bytes(&out) + field_bytes(&name, &value) <= META_BYTES_MAX {
                out.insert(name, value);
            }
        };
        if let Some((uid, gid)) = self.owner {
            put_if_it_fits("owner", format!("{uid}:{gid}"));
        }
        if let Some(bytes) = self.sparse_bytes {
            put_if_it_fits("sparse-bytes", bytes.to_string());
        }
        match &self.attributes {
            Carried::Nothing => {}
            Carried::Here(attributes) => put_if_it_fits("attributes", attributes.to_text()),
            Carried::Apart(hash) => put_if_it_fits("attributes-sha256", hash.to_hex()),
        }
        if let Some(target) = &self.symlink_target {
            let text = to_ascii(&key_escape::encode(target));
            if text.len() <= SYMLINK_META_BYTES_MAX {
                put_if_it_fits("symlink-target", text);
            }
        }
        out
    }

    /// Read [`ObjectMeta::to_headers`] back; names may be in any case.
    ///
    /// # Errors
    /// [`MetaRefused`]; `Foreign` when there is no `kw-format` at all.
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, MetaRefused> {
        let fields: BTreeMap<String, &str> = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let field = |name: &str| fields.get(&format!("{META_PREFIX}{name}")).copied();
        let number = |name: &'static str| {
            field(name)
                .and_then(|text| text.parse::<i64>().ok())
                .ok_or(MetaRefused::Broken(name))
        };
        let format = field("format").ok_or(MetaRefused::Foreign)?;
        match format.parse::<u32>() {
            Ok(FORMAT_VERSION) => {}
            Ok(newer) if newer > FORMAT_VERSION => return Err(MetaRefused::Newer(newer)),
            _ => return Err(MetaRefused::Broken("format")),
        }
        let is_torn = field("unrested").is_some();
        let content = match field("sha256") {
            Some(text) => Some(ContentHash::from_hex(text).ok_or(MetaRefused::Broken("sha256"))?),
            None if is_torn => None,
            None => return Err(MetaRefused::Broken("sha256")),
        };
        Ok(Self {
            kind: match field("kind") {
                Some("file") => Kind::File,
                Some("symlink") => Kind::Symlink,
                Some("folder") => Kind::Folder,
                _ => return Err(MetaRefused::Broken("kind")),
            },
            content,
            size_bytes: u64::try_from(number("size")?).map_err(|_| MetaRefused::Broken("size"))?,
            mtime_ns: field("mtime-ns")
                .and_then(|text| text.parse().ok())
                .filter(|ns: &i128| ns.unsigned_abs() <= MTIME_NS_MAX)
                .ok_or(MetaRefused::Broken("mtime-ns"))?,
            mode: field("mode")
                .and_then(|text| u32::from_str_radix(text, 8).ok())
                .filter(|mode| *mode <= 0o7777)
                .ok_or(MetaRefused::Broken("mode"))?,
            owner: field("owner").map(parse_owner).transpose()?,
            symlink_target: field("symlink-target")
                .map(|text| key_escape::decode(&from_ascii(text))),
            is_torn,
            full_key: parse_full_key(field("key"), field("key-rest"))?,
            // It orders versions and is needed for nothing else: a broken one is
            // none, and the server's time counts.
            seen_ms: field("seen-ms").and_then(|text| text.parse().ok()),
            // The same: what does not say whose it is is a file of its own.
            beside: field("beside").and_then(ContentHash::from_hex),
            // A broken one costs room and nothing else.
            sparse_bytes: field("sparse-bytes").and_then(|text| text.parse().ok()),
            // What cannot be read is none: the content counts.
            attributes: parse_attributes(field("attributes"), field("attributes-sha256")),
        })
    }
}

fn parse_full_key(key: Option<&str>, rest: Option<&str>) -> Result<Option<FullKey>, MetaRefused> {
    Ok(match (key, rest) {
        (Some(text), _) => Some(FullKey::Whole(from_ascii(text))),
        (None, Some(text)) => Some(FullKey::Rest(
            full_key::unpack(text).ok_or(MetaRefused::Broken("key-rest"))?,
        )),
        (None, None) => None,
    })
}

fn parse_attributes(here: Option<&str>, apart: Option<&str>) -> Carried {
    match (here, apart) {
        (Some(text), _) => Attributes::from_text(text).map_or(Carried::Nothing, Carried::Here),
        (None, Some(hash)) => ContentHash::from_hex(hash).map_or(Carried::Nothing, Carried::Apart),
        (None, None) => Carried::Nothing,
    }
}

fn parse_owner(text: &str) -> Result<(u32, u32), MetaRefused> {
    text.split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or(MetaRefused::Broken("owner"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ObjectMeta {
        ObjectMeta {
            kind: Kind::File,
            content: Some(ContentHash::of(b"x")),
            size_bytes: 5,
            mtime_ns: -1_500_000_000,
            mode: 0o640,
            owner: Some((1000, 100)),
            symlink_target: None,
            is_torn: false,
            full_key: None,
            seen_ms: Some(1_795_442_296_763),
            beside: None,
            sparse_bytes: None,
            attributes: Carried::Nothing,
        }
    }

    fn some_attributes(value_bytes: usize) -> Attributes {
        let mut all = Attributes::default();
        all.insert("user.comment".into(), vec![7; value_bytes]);
        all
    }

    fn back(meta: &ObjectMeta) -> Result<ObjectMeta, MetaRefused> {
        let headers = meta.to_headers();
        for (name, value) in &headers {
            assert!(value.is_ascii() && !value.contains(' '), "{name}: {value}");
        }
        ObjectMeta::from_headers(headers.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }

    #[test]
    fn round_trip() {
        let plain = sample();
        let odd = ObjectMeta {
            kind: Kind::Symlink,
            symlink_target: Some(b"../caf\xe9 =41/\xc3\xa9%41\n".to_vec()),
            full_key: Some(FullKey::Whole("Büro =/ %0A x".into())),
            is_torn: true,
            content: None,
            beside: Some(ContentHash::of(b"the database")),
            sparse_bytes: Some(4096),
            ..sample()
        };
        let packed = ObjectMeta {
            full_key: Some(FullKey::Rest("/ü =/ %0A x".into())),
            ..sample()
        };
        let with_attributes = ObjectMeta {
            attributes: Carried::Here(some_attributes(200)),
            ..sample()
        };
        let apart = ObjectMeta {
            attributes: Carried::Apart(ContentHash::of(b"their text")),
            ..sample()
        };
        for meta in [plain, odd, packed, with_attributes, apart] {
            assert_eq!(back(&meta), Ok(meta));
        }
    }

    #[test]
    fn a_journal_belongs_to_the_database_that_it_was_read_with() {
        let of = |content: Option<&[u8]>, beside: Option<&[u8]>, seen_ms| ObjectMeta {
            content: content.map(ContentHash::of),
            beside: beside.map(ContentHash::of),
            seen_ms,
            ..sample()
        };
        let database = of(Some(b"one"), None, Some(1));
        for (beside, want) in [
            (None, None),
            (Some(&b"one"[..]), Some(true)),
            (Some(&b"two"[..]), Some(false)),
        ] {
            let journal = of(Some(b"j"), beside, Some(9));
            assert_eq!(journal.belongs_to(&database), want);
        }
        // It says no hash: both were read at one moment, or were not.
        let torn = of(None, None, Some(7));
        for (seen_ms, want) in [(Some(7), true), (Some(8), false), (None, false)] {
            let journal = of(Some(b"j"), Some(b"one"), seen_ms);
            assert_eq!(journal.belongs_to(&torn), Some(want));
        }
        let nobody_knows = of(None, None, None);
        let journal = of(Some(b"j"), Some(b"one"), None);
        assert_eq!(journal.belongs_to(&nobody_knows), Some(false));
    }

    #[test]
    fn broken_metadata_is_named() {
        for (name, value, want) in [
            ("kw-format", "2", MetaRefused::Newer(2)),
            ("kw-format", "x", MetaRefused::Broken("format")),
            ("kw-sha256", "12", MetaRefused::Broken("sha256")),
            ("kw-size", "-1", MetaRefused::Broken("size")),
            ("kw-mode", "77777", MetaRefused::Broken("mode")),
            ("kw-owner", "root", MetaRefused::Broken("owner")),
            ("kw-kind", "device", MetaRefused::Broken("kind")),
            ("kw-key-rest", "?", MetaRefused::Broken("key-rest")),
        ] {
            let mut headers = sample().to_headers();
            headers.insert(name.into(), value.into());
            let got =
                ObjectMeta::from_headers(headers.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            assert_eq!(got, Err(want), "{name}={value}");
        }
        assert_eq!(
            ObjectMeta::from_headers([("content-type", "x")]),
            Err(MetaRefused::Foreign)
        );
    }

    #[test]
    fn a_broken_time_of_reading_is_none() {
        for text in ["", "yesterday", "1.5", "99999999999999999999"] {
            let mut headers = sample().to_headers();
            headers.insert("kw-seen-ms".into(), text.into());
            let got =
                ObjectMeta::from_headers(headers.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            assert_eq!(got.map(|meta| meta.seen_ms), Ok(None), "{text}");
        }
    }

    #[test]
    fn attributes_that_do_not_fit_are_left_out_and_that_is_known() {
        let of = |value_bytes| ObjectMeta {
            attributes: Carried::Here(some_attributes(value_bytes)),
            ..sample()
        };
        assert!(of(900).has_room_for_attributes() && sample().has_room_for_attributes());
        let large = of(2_000);
        assert!(!large.has_room_for_attributes());
        assert!(sent_bytes(&large.to_headers()) <= META_BYTES_MAX);
        assert_eq!(
            back(&large).map(|meta| meta.attributes),
            Ok(Carried::Nothing)
        );
        let mut headers = of(9).to_headers();
        headers.insert("kw-attributes".into(), "no attributes".into());
        let read = ObjectMeta::from_headers(headers.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        assert_eq!(read.map(|meta| meta.attributes), Ok(Carried::Nothing));
    }

    #[test]
    fn a_long_link_target_stays_out_of_the_metadata() {
        let meta = ObjectMeta {
            kind: Kind::Symlink,
            symlink_target: Some(vec![b'x'; 3000]),
            ..sample()
        };
        assert_eq!(back(&meta).map(|m| m.symlink_target), Ok(None));
    }
}
