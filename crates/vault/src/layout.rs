//! Names every place in a vault's folder.
//!
//! ```text
//! FOLDER/<bucket>/…                      the newest version of each object, as a plain file
//! FOLDER/.keepwatch-vault/README.txt     says what this is
//! FOLDER/.keepwatch-vault/format.json    the format's version
//! FOLDER/.keepwatch-vault/lock           held by the one process that writes
//! FOLDER/.keepwatch-vault/tmp/           bodies on their way in; garbage after a crash
//! FOLDER/.keepwatch-vault/slots/NN       the key that each lock stripe last worked on
//! FOLDER/.keepwatch-vault/set-aside/     files changed by hand that a backup had to replace
//! FOLDER/.keepwatch-vault/buckets/b-<bucket>/
//!     bucket.json                        created when, versioning
//!     keys/d-<folder>/…/k-<name>.log     one record log per key
//!     bodies/<xx>/<body id>              versions that have no plain place
//!     uploads/<upload id>/               multipart uploads under way
//! ```
//!
//! Pure: nothing here touches the disk. Names beneath the hidden folder are
//! lower-case ASCII, so that two of them never meet on a disk that ignores
//! case or rewrites Unicode.

use sha2::{Digest as _, Sha256};
use std::path::{Component, Path, PathBuf};

/// Everything but the plain files lies beneath this folder.
pub(super) const HIDDEN: &str = ".keepwatch-vault";

/// The longest encoded name: ext4, NTFS, APFS and exFAT all end at 255.
const NAME_BYTES_MAX: usize = 200;

/// The longest encoded path of a key's log, so that folder, bucket and path
/// stay under macOS's 1,024 bytes.
const PATH_BYTES_MAX: usize = 700;

/// The longest name a plain file may have on every disk we know.
const PLAIN_NAME_BYTES_MAX: usize = 255;

/// Hex digits of the hash that stands for a name that is too long.
const HASH_HEX_DIGITS: usize = 40;

/// True where `\` separates folders: Windows, whose names are restricted more.
const WINDOWS_NAMES: bool = std::path::MAIN_SEPARATOR == '\\';

/// The paths of one vault.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) hidden: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            hidden: root.join(HIDDEN),
        }
    }

    pub(super) fn format(&self) -> PathBuf {
        self.hidden.join("format.json")
    }

    /// Whether there is a vault. A folder that may not be read is an error, not absent.
    pub(super) fn is_there(&self) -> std::io::Result<bool> {
        match self.format().try_exists() {
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
            found => found,
        }
    }

    pub(super) fn readme(&self) -> PathBuf {
        self.hidden.join("README.txt")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.hidden.join("lock")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.hidden.join("tmp")
    }

    /// A fresh name for something on its way in.
    pub(super) fn new_tmp(&self) -> PathBuf {
        self.tmp().join(random_id())
    }

    pub(super) fn slots(&self) -> PathBuf {
        self.hidden.join("slots")
    }

    pub(super) fn set_aside(&self) -> PathBuf {
        self.hidden.join("set-aside")
    }

    pub(super) fn buckets(&self) -> PathBuf {
        self.hidden.join("buckets")
    }

    /// The prefix keeps a bucket named `con` or `aux` from being a device on Windows.
    pub(super) fn bucket(&self, bucket: &str) -> PathBuf {
        self.buckets().join(format!("b-{bucket}"))
    }

    pub(super) fn bucket_record(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("bucket.json")
    }

    pub(super) fn keys(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("keys")
    }

    pub(super) fn uploads(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("uploads")
    }

    /// The hidden place of a body.
    pub(super) fn body(&self, bucket: &str, body: &str) -> PathBuf {
        let shelf = body.get(..2).unwrap_or("xx");
        self.bucket(bucket).join("bodies").join(shelf).join(body)
    }

    pub(super) fn log(&self, bucket: &str, key: &str) -> PathBuf {
        let place = KeyPlace::of(key);
        let mut path = self.keys(bucket);
        path.extend(place.folders);
        path.push(place.file);
        path
    }

    /// The folder that holds the plain files of a bucket.
    pub(super) fn plain_root(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    /// The plain place of a key, or `None` when no disk could carry that name
    /// or when it would lie outside the bucket's folder.
    pub(super) fn plain(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let fits = |name: &str| {
            !name.is_empty()
                && name != "."
                && name != ".."
                && name.len() <= PLAIN_NAME_BYTES_MAX
                && !name.contains('\0')
                && !(WINDOWS_NAMES && refused_by_windows(name))
        };
        if !key.split('/').all(fits) || (WINDOWS_NAMES && refused_by_windows(bucket)) {
            return None;
        }
        let mut path = self.plain_root(bucket);
        for name in key.split('/') {
            // Belt and braces: one name must be exactly one ordinary component.
            let mut parts = Path::new(name).components();
            match (parts.next(), parts.next()) {
                (Some(Component::Normal(_)), None) => path.push(name),
                _ => return None,
            }
        }
        Some(path)
    }
}

/// Names that Windows refuses or takes for something else (devices, streams).
fn refused_by_windows(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_lowercase();
    let is_device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    is_device
        || name.ends_with(['.', ' '])
        || name
            .chars()
            .any(|c| c < ' ' || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\\'))
}

/// Where a key's log lies beneath the bucket's `keys` folder.
///
/// Folders mirror the key's, so that one folder's keys can be listed in order
/// by reading one folder. Where a name or the path would be too long, the rest
/// of the key is hashed; its text is then in the log's first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPlace {
    pub(super) folders: Vec<String>,
    pub(super) file: String,
}

impl KeyPlace {
    pub(super) fn of(key: &str) -> Self {
        let mut folders = Vec::new();
        let mut used = 0;
        let mut rest = key;
        while let Some((name, tail)) = rest.split_once('/') {
            let folder = format!("d-{}", encode(name));
            used += folder.len() + 1;
            // The decision depends on this folder's own path alone: it is the same for all
            // keys beneath, which keeps listings in order.
            if folder.len() > NAME_BYTES_MAX || used > PATH_BYTES_MAX {
                return Self {
                    folders,
                    file: hashed(rest),
                };
            }
            folders.push(folder);
            rest = tail;
        }
        let file = format!("k-{}.log", encode(rest));
        let is_too_long = file.len() > NAME_BYTES_MAX;
        Self {
            folders,
            file: if is_too_long { hashed(rest) } else { file },
        }
    }
}

fn hashed(rest: &str) -> String {
    let hex = hex::encode(Sha256::digest(rest.as_bytes()));
    format!("kh-{}.log", &hex[..HASH_HEX_DIGITS])
}

/// What a name beneath `keys` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A folder; the name ends with `/`.
    Folder(String),
    /// A key with this name.
    Key(String),
    /// A key whose name is in its log's first line.
    Hashed,
}

impl Name {
    /// `None` for anything that the vault did not put there.
    pub(super) fn parse(file: &str) -> Option<Self> {
        if let Some(name) = file.strip_prefix("d-") {
            return Some(Self::Folder(format!("{}/", decode(name)?)));
        }
        let stem = file.strip_suffix(".log")?;
        if let Some(name) = stem.strip_prefix("k-") {
            return Some(Self::Key(decode(name)?));
        }
        stem.starts_with("kh-").then_some(Self::Hashed)
    }
}

/// Lower-case ASCII that gives the name back: `^a` is `A`, `+` a space, `%2f` a byte.
fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let last = name.len().saturating_sub(1);
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            // Windows drops a dot at the end of a name.
            b'.' if at != last => out.push('.'),
            b'A'..=b'Z' => {
                out.push('^');
                out.push(char::from(byte.to_ascii_lowercase()));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'^' => out.push(bytes.next()?.to_ascii_uppercase()),
            b'+' => out.push(b' '),
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                let mut one = [0];
                hex::decode_to_slice(pair, &mut one).ok()?;
                out.push(one[0]);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

/// 128 random bits in hex: bodies, uploads, files on their way in.
pub(super) fn random_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_on_disk() {
        for (key, folders, file) in [
            ("a.txt", &[][..], "k-a.txt.log"),
            (
                "Büro/Rechnung 1.PDF",
                &["d-^b%c3%bcro"],
                "k-^rechnung+1.^p^d^f.log",
            ),
            ("a/", &["d-a"], "k-.log"),
            ("a//b", &["d-a", "d-"], "k-b.log"),
            ("./..", &["d-%2e"], "k-.%2e.log"),
            ("+%^", &[], "k-%2b%25%5e.log"),
        ] {
            let place = KeyPlace::of(key);
            assert_eq!(place.folders, folders, "{key}");
            assert_eq!(place.file, file, "{key}");
        }
    }

    #[test]
    fn long_names_are_hashed_and_fit_every_disk() {
        for key in [
            "x".repeat(1024),
            format!("{}/b", "Ä".repeat(500)),
            "É/".repeat(341),
            "d/".repeat(512),
        ] {
            let place = KeyPlace::of(&key);
            let all: usize = place.folders.iter().map(|f| f.len() + 1).sum();
            assert!(all <= PATH_BYTES_MAX && place.file.len() <= NAME_BYTES_MAX);
            assert!(place.folders.iter().all(|f| f.len() <= NAME_BYTES_MAX));
            assert!(place.file.starts_with("kh-"), "{}", place.file);
        }
    }

    #[test]
    fn plain_places_stay_inside_the_bucket() {
        let layout = Layout::new(Path::new("/v"));
        for key in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "a/",
            ".",
            "a/./b",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert_eq!(layout.plain("b", key), None, "{key}");
        }
        assert_eq!(
            layout.plain("b", "Büro/a b.txt"),
            Some(PathBuf::from("/v/b/Büro/a b.txt"))
        );
        let odd = layout.plain("b", "Büro/a:b?.txt");
        let want = PathBuf::from("/v/b/Büro/a:b?.txt");
        assert_eq!(odd, (!cfg!(windows)).then_some(want));
    }

    #[test]
    fn windows_names() {
        for bad in [
            "con", "NUL.txt", "com1", "a:b", "a\\b", "a.", "a ", "a|b", "\u{1}",
        ] {
            assert!(refused_by_windows(bad), "{bad}");
        }
        for good in ["console", "com", "a.b", ".a", "Büro 1"] {
            assert!(!refused_by_windows(good), "{good}");
        }
    }

    proptest! {
        #[test]
        fn no_two_names_meet_even_where_case_is_ignored(a in "\\PC{0,20}", b in "\\PC{0,20}") {
            prop_assert_eq!(decode(&encode(&a)), Some(a.clone()));
            prop_assert_eq!(a == b, encode(&a).to_lowercase() == encode(&b).to_lowercase());
            prop_assert!(encode(&a).is_ascii());
        }

        #[test]
        fn every_short_key_is_read_back_from_its_name(key in "[a-zA-Z0-9 ./%^+äß-]{1,60}") {
            let place = KeyPlace::of(&key);
            let mut text = String::new();
            for folder in &place.folders {
                match Name::parse(folder) {
                    Some(Name::Folder(name)) => text.push_str(&name),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            match Name::parse(&place.file) {
                Some(Name::Key(name)) => text.push_str(&name),
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert_eq!(text, key);
        }
    }
}
