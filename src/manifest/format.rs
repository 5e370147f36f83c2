//! The manifest: a whole source as the bucket has it at one moment, a line a path.
//!
//! JSON lines: a [`Header`], then one [`ManifestEntry`] a path in key order, then a
//! [`Trailer`] with the counts and the SHA-256 of all lines before it.
//! docs/FORMAT.md has the rule for people. Invariants: what is written is read
//! back the same; a manifest that was cut, altered or put in another order is
//! never taken for a whole one; one line is held at a time, however many.

pub(crate) mod proof;

use crate::types::{
    Attributes, ContentHash, ETag, Fingerprint, Kind, Look, MANIFEST_END as NAME_END, MANIFESTS,
    OWN_FOLDER, Record, RelKey, VersionId, WallMs, id_or_empty, key_escape,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Version of the manifest's format.
pub const MANIFEST_VERSION: u32 = 1;

/// The longest line: a path of 32 KiB and a link's target of 96 KiB, each
/// byte of which is written with up to six characters.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A moment as a manifest's name has it: sorts like the moment.
const NAME_TIME: &str = "%Y-%m-%dT%H-%M-%S%.3fZ";

/// Where a source's manifests are: the beginning of their keys.
pub fn folder(prefix: &str) -> String {
    format!("{prefix}{OWN_FOLDER}/{MANIFESTS}")
}

/// The key of the manifest of a moment (milliseconds since 1970).
pub fn key(prefix: &str, moment_ms: WallMs) -> String {
    let at = moment_ms.timestamp().unwrap_or_default();
    let name = TimeZone::UTC.to_datetime(at).strftime(NAME_TIME);
    format!("{}{name}{NAME_END}", folder(prefix))
}

/// The moment of the manifest with this key; `None` when it is none of ours.
pub fn moment_of(prefix: &str, bucket_key: &str) -> Option<WallMs> {
    let name = bucket_key.strip_prefix(&folder(prefix))?;
    let text = name.strip_suffix(NAME_END)?;
    let wall = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S%.fZ", text).ok()?;
    let at = wall.to_zoned_datetime(TimeZone::UTC).ok()?;
    let moment_ms = WallMs::from(at.timestamp());
    // Another way to write it would be another object.
    (key(prefix, moment_ms) == bucket_key).then_some(moment_ms)
}

/// The first line: whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Format version.
    pub keepwatch_manifest: u32,
    /// The source's name.
    pub source: String,
    /// Its folder on the computer that is backed up.
    pub root: String,
    /// The bucket.
    pub bucket: String,
    /// What its keys begin with.
    pub prefix: String,
    /// The moment, for people (UTC).
    pub moment: String,
    /// The moment, milliseconds since 1970.
    pub moment_ms: WallMs,
    /// The computer's name.
    pub host: String,
    /// The version of Keepwatch that wrote it.
    pub keepwatch: String,
    /// Files and links known when it was begun; the trailer counts exactly.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How the source is backed up.
    #[serde(default)]
    pub settings: Settings,
}

/// What a new computer needs to go on as the old one did; never a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Patterns of files that are stored compressed.
    pub compress: Vec<String>,
    /// gzip level.
    pub compress_level: u32,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Deletions are marked.
    pub marks_deletions: bool,
    /// A marker is kept in the folder.
    pub sentinel: bool,
    /// Least time between two versions of a file, milliseconds.
    pub min_version_interval_ms: u64,
    /// Versions of a file an hour.
    pub versions_per_hour_max: u32,
    /// Where the digest goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_arn: Option<String>,
    /// The server that the digest goes through, when it is another than AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_endpoint_url: Option<String>,
    /// What the bucket demands of every request, where it demands anything.
    #[serde(skip_serializing_if = "Demands::is_nothing")]
    pub s3: Demands,
}

/// What a bucket demands, under the names that the configuration has for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demands {
    /// How objects are to be encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<String>,
    /// Under which key of KMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The storage class of new versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// Who asks pays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requester_pays: bool,
    /// The account that the bucket must belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<String>,
}

impl Demands {
    /// Nothing is demanded.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The path in key form, never shortened; a folder's ends in `/`.
    pub path: String,
    /// The object's key below the prefix, only where it is shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `file`, `symlink` or `folder`.
    pub kind: String,
    /// The version; empty for a folder that is not empty, which has no object,
    /// and where the bucket keeps no versions.
    #[serde(default, with = "id_or_empty", skip_serializing_if = "Option::is_none")]
    pub version_id: Option<VersionId>,
    /// Its ETag, without quotes; empty where there is no object.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub etag: ETag,
    /// SHA-256 of the file's content (of a link: its target).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Size of the file's content.
    pub size: u64,
    /// Bytes that the object takes.
    pub stored_bytes: u64,
    /// It is stored compressed, as far as its two sizes tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gzip: bool,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Permission bits, octal.
    pub mode: String,
    /// User and group id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A link's target in key form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The attributes of a folder that is not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// Which attributes the object has: the first 16 hex digits of the SHA-256 of
    /// their text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes_id: Option<String>,
    /// When S3 acknowledged the version, milliseconds since 1970, by the clock
    /// of the computer that is backed up; 0 where there is no object.
    #[serde(default)]
    pub stored_at_ms: WallMs,
}

/// The last line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Paths.
    pub lines: u64,
    /// Regular files among them.
    pub files: u64,
    /// Links.
    pub links: u64,
    /// Folders.
    pub folders: u64,
    /// Bytes of the files' and links' contents.
    pub bytes: u64,
    /// Bytes that their objects take.
    pub stored_bytes: u64,
    /// When the last path was read from the index, milliseconds since 1970.
    pub ended_ms: WallMs,
    /// Nothing was stored or marked deleted between moment and end: it is
    /// exactly the moment's tree. Otherwise lines with a `stored_at_ms` after
    /// the moment are younger, and what was deleted meanwhile is missing.
    pub quiet: bool,
    /// SHA-256 of all lines before this one, line ends included.
    pub sha256: String,
}

impl ManifestEntry {
    /// The line of an object that the index has verified; `None` for what is
    /// only known from a listing. `target` is a link's.
    pub fn of(rel: &RelKey, record: &Record, prefix: &str, target: Option<&[u8]>) -> Option<Self> {
        let content = record.content?;
        let object = rel.in_bucket(prefix);
        let then = &record.fingerprint;
        Some(Self {
            key: object
                .shortened
                .then(|| object.key[prefix.len()..].to_owned()),
            version_id: record.version_id.clone(),
            etag: record.etag.clone(),
            sha256: Some(content.to_hex()),
            stored_bytes: record.stored_bytes,
            // A compressed object is kept only where it is smaller; of large
            // ones, two equal sizes would be an accident.
            gzip: then.kind == Kind::File && record.stored_bytes != then.size_bytes,
            target: target.map(key_escape::encode),
            attributes_id: record.attributes.map(|id| format!("{id:016x}")),
            stored_at_ms: record.stored_at_ms,
            ..Self::without_object(rel, then)
        })
    }

    /// The line of a folder that is not empty.
    pub fn without_object(rel: &RelKey, seen: &Fingerprint) -> Self {
        Self {
            path: rel.as_str().to_owned(),
            key: None,
            kind: kind_text(seen.kind).to_owned(),
            version_id: None,
            etag: ETag::default(),
            sha256: None,
            size: match seen.kind {
                Kind::Folder => 0,
                _ => seen.size_bytes,
            },
            stored_bytes: 0,
            gzip: false,
            mtime_ns: seen.mtime_ns,
            mode: format!("{:04o}", seen.mode),
            owner: seen.owner.map(|(uid, gid)| format!("{uid}:{gid}")),
            target: None,
            attributes: None,
            attributes_id: None,
            stored_at_ms: WallMs::default(),
        }
    }

    /// The same line with a folder's attributes.
    #[must_use]
    pub fn with_attributes(self, attributes: &Attributes) -> Self {
        let attributes = (!attributes.is_empty()).then(|| attributes.to_text());
        Self { attributes, ..self }
    }

    /// A folder's attributes; none where they cannot be read.
    pub fn attributes(&self) -> Attributes {
        let text = self.attributes.as_deref();
        text.and_then(Attributes::from_text).unwrap_or_default()
    }

    /// True when the bucket has an object of it.
    pub fn has_object(&self) -> bool {
        self.sha256.is_some()
    }

    /// The path; `None` when no path is written so.
    pub fn rel_key(&self) -> Option<RelKey> {
        RelKey::parse_full(&self.path).ok()
    }

    /// The object's key in the bucket.
    pub fn bucket_key(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.key.as_deref().unwrap_or(&self.path))
    }

    /// What stood there, as far as the line says; neither inode nor change time.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let owner = match self.owner.as_deref().map(|text| text.split_once(':')) {
            None => None,
            Some(Some((uid, gid))) => Some((uid.parse().ok()?, gid.parse().ok()?)),
            Some(None) => return None,
        };
        Some(Fingerprint {
            kind: match self.kind.as_str() {
                "file" => Kind::File,
                "symlink" => Kind::Symlink,
                "folder" => Kind::Folder,
                _ => return None,
            },
            size_bytes: self.size,
            mtime_ns: self.mtime_ns,
            ctime_ns: 0,
            inode: 0,
            mode: u32::from_str_radix(&self.mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)?,
            owner,
        })
    }

    /// The index's record of the object, where what stands on the disk is what
    /// the line says; to be hashed at the next scan. `other_accounts`: the line
    /// was written on another computer, whose numbers of owners mean nothing here;
    /// they count all the same where what says them is no fixed version.
    pub fn record(&self, disk: &Fingerprint, other_accounts: bool) -> Option<Record> {
        let then = self.fingerprint()?;
        // Whose it is counts below.
        let here = Fingerprint {
            owner: disk.owner,
            ..then
        };
        let content = self.content().filter(|_| here.has_same_meta(disk))?;
        let record = Record {
            fingerprint: here,
            content: Some(content),
            version_id: self.version_id.clone(),
            etag: self.etag.clone(),
            stored_bytes: self.stored_bytes,
            stored_at_ms: self.stored_at_ms,
            racy: then.kind != Kind::Folder,
            look: Look::Unknown,
            attributes: self
                .attributes_id
                .as_deref()
                .and_then(|id| u64::from_str_radix(id, 16).ok()),
        };
        let is_owned = then.owner == disk.owner || (other_accounts && record.is_pinned());
        is_owned.then_some(record)
    }

    /// The content's hash.
    pub fn content(&self) -> Option<ContentHash> {
        ContentHash::from_hex(self.sha256.as_deref()?)
    }
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Symlink => "symlink",
        Kind::Folder => "folder",
        Kind::File | Kind::Special => "file",
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
