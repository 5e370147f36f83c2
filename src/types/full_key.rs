//! How an object's metadata says the path that its shortened key does not: whole
//! where S3's 2 KB take it, else what follows the part that the key has, packed.
//!
//! Pure. Nobody believes it before it has led back to the object's very key.

use super::metadata::{FULL_KEY_VALUE_BYTES_MAX, KEY_REST_VALUE_BYTES_MAX, to_ascii};
use super::object_key::{BucketKey, RelKey, shortened_begin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read as _, Write as _};

/// The longest rest that is unpacked: a path of 32 KiB, beyond which no folder is
/// walked into, each byte escaped. Anybody can write metadata that unpacks to more.
const REST_BYTES_MAX: u64 = 3 * 32 * 1024;

/// The path of an object whose key is shortened, as its metadata says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullKey {
    /// The path in key form.
    Whole(String),
    /// The path in key form after what the object's key has of it, up to the mark.
    Rest(String),
}

/// A path that neither its key nor the object's metadata can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its path is too long for S3: behind what the object's key can hold of it, the rest takes {needed_bytes} bytes of the object's metadata even when packed, and S3 leaves {KEY_REST_VALUE_BYTES_MAX} for it"
)]
pub struct PathTooLong {
    /// What the rest would take.
    pub needed_bytes: usize,
}

impl FullKey {
    /// What the metadata of the object of `key` is to say; `None` where its key is
    /// not shortened.
    ///
    /// # Errors
    /// [`PathTooLong`] when it does not fit.
    pub fn of(key: &RelKey, prefix: &str, object: &BucketKey) -> Result<Option<Self>, PathTooLong> {
        if !object.shortened {
            return Ok(None);
        }
        let full = key.as_str();
        if to_ascii(full).len() <= FULL_KEY_VALUE_BYTES_MAX {
            return Ok(Some(Self::Whole(full.to_owned())));
        }
        let begin = object.key.strip_prefix(prefix).map_or("", shortened_begin);
        let rest = full.strip_prefix(begin).unwrap_or(full);
        let needed_bytes = pack(rest).len();
        if needed_bytes > KEY_REST_VALUE_BYTES_MAX {
            return Err(PathTooLong { needed_bytes });
        }
        Ok(Some(Self::Rest(rest.to_owned())))
    }

    /// The path in key form that this claims for the object of this key, which is
    /// without the source's prefix. A claim is no proof.
    pub fn at(&self, key: &str) -> String {
        match self {
            Self::Whole(full) => full.clone(),
            Self::Rest(rest) => format!("{}{rest}", shortened_begin(key)),
        }
    }
}

/// As a header carries it.
pub(crate) fn pack(rest: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes everything.
    let packed = gzip.write_all(rest.as_bytes()).and_then(|()| gzip.finish());
    BASE64.encode(packed.unwrap_or_default())
}

/// Undo [`pack`]; `None` for what is not of that kind, or too long.
pub(crate) fn unpack(text: &str) -> Option<String> {
    let packed = BASE64.decode(text).ok()?;
    let mut rest = String::new();
    let mut gzip = GzDecoder::new(packed.as_slice()).take(REST_BYTES_MAX + 1);
    gzip.read_to_string(&mut rest).ok()?;
    (rest.len() as u64 <= REST_BYTES_MAX).then_some(rest)
}

/// The key that `full` stands for, if an object of that path has `bucket_key`.
/// The source's own prefix may be longer than the one that is being restored.
pub(crate) fn unshortened(prefix: &str, bucket_key: &str, full: &FullKey) -> Option<RelKey> {
    let within = bucket_key.strip_prefix(prefix)?;
    let ends = within.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0).chain(ends).find_map(|end| {
        let own_prefix = &bucket_key[..prefix.len() + end];
        let full = full.at(&within[end..]);
        let own = RelKey::parse_full(&full).ok()?;
        let is_its = own.in_bucket(own_prefix).key == bucket_key
            || own.older(own_prefix).as_deref() == Some(bucket_key);
        if !is_its {
            return None;
        }
        RelKey::parse_full(&format!("{}{full}", &within[..end])).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::attributes::Carried;
    use crate::types::content_hash::ContentHash;
    use crate::types::metadata::{Kind, META_BYTES_MAX, ObjectMeta, sent_bytes};
    use crate::types::rel_path::RelPath;
    use proptest::prelude::*;

    /// Everything that metadata can say, each as long as it gets.
    fn widest(full_key: Option<FullKey>, target: Option<Vec<u8>>) -> ObjectMeta {
        ObjectMeta {
            kind: Kind::Symlink,
            content: Some(ContentHash::of(b"x")),
            size_bytes: u64::MAX / 2,
            mtime_ns: -(1 << 63) * 1_000_000_000,
            mode: 0o7777,
            owner: Some((u32::MAX, u32::MAX)),
            symlink_target: target,
            unrested: true,
            full_key,
            seen_ms: Some(i64::MIN),
            beside: Some(ContentHash::of(b"y")),
            sparse_bytes: Some(u64::MAX),
            attributes: Carried::Apart(ContentHash::of(b"z")),
        }
    }

    /// The headers fit, and key and headers give the path back; or it is refused.
    fn is_stored(path: &RelPath, prefix: &str) -> bool {
        let key = RelKey::of_file(path);
        let object = key.in_bucket(prefix);
        let claim = match FullKey::of(&key, prefix, &object) {
            Ok(claim) => claim,
            Err(refused) => {
                assert!(refused.needed_bytes > KEY_REST_VALUE_BYTES_MAX);
                return false;
            }
        };
        for target in [None, Some(vec![b'/'; 900]), Some(vec![b't'; 4000])] {
            let meta = widest(claim.clone(), target);
            let headers = meta.to_headers();
            let sent = sent_bytes(&headers);
            assert!(sent <= META_BYTES_MAX, "{sent}");
            let again =
                ObjectMeta::from_headers(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let again = again.unwrap();
            // Once more the same: it is compared with what the server says of it.
            assert_eq!(again.to_headers(), headers);
            let within = object.key.strip_prefix(prefix).unwrap();
            let full = again.full_key.map(|claim| claim.at(within));
            let full = full.unwrap_or_else(|| within.to_owned());
            assert_eq!(RelKey::parse_full(&full).unwrap().path(), *path);
        }
        true
    }

    fn long(names: &[&str], bytes: usize) -> RelPath {
        let mut path = String::new();
        for name in names.iter().cycle() {
            if path.len() + 1 + name.len() > bytes {
                break;
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
        }
        RelPath::from_bytes(path).unwrap()
    }

    /// Named after the bug: such files were refused by the server for ever.
    #[test]
    fn long_paths_beyond_ascii_are_stored() {
        let cyrillic = [
            "Бухгалтерия и отчётность за прошлый год",
            "Договоры с поставщиками оборудования (подписанные экземпляры)",
            "Счёт-фактура № 1483 от 17 ноября, повторная отправка заказчику",
            "Протокол общего собрания учредителей, приложение второе",
            "Переписка по вопросу аренды склада на Невском проспекте",
        ];
        let blanks = ["a b c d e f g h i j k l", "  1  2  3  4  5  "];
        for bytes in [1_030, 1_100, 1_499, 1_501, 2_000, 3_000, 4_095] {
            for names in [&cyrillic[..], &blanks[..], &["caf=e"][..]] {
                for prefix in ["", "office/"] {
                    assert!(is_stored(&long(names, bytes), prefix), "{bytes} {names:?}");
                }
            }
        }
        let latin1: Vec<u8> = (0..4_094)
            .map(|n| if n % 9 == 8 { b'/' } else { 0xE0 + n as u8 % 9 })
            .collect();
        assert!(is_stored(&RelPath::from_bytes(latin1).unwrap(), ""));
    }

    #[test]
    fn what_does_not_fit_says_so() {
        let mut state = 7u32;
        let noise: Vec<u8> = (0..4_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                0x80 | (state >> 24) as u8
            })
            .collect();
        let path = RelPath::from_bytes(noise).unwrap();
        assert!(!is_stored(&path, ""));
        let key = RelKey::of_file(&path);
        let refused = FullKey::of(&key, "", &key.in_bucket("")).unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains(&format!("{KEY_REST_VALUE_BYTES_MAX} for it")),
            "{said}"
        );
    }

    #[test]
    fn a_rest_that_is_none_is_broken_and_a_bomb_is_not_unpacked() {
        assert_eq!(unpack("no base64!"), None);
        assert_eq!(unpack(&BASE64.encode("no gzip")), None);
        assert_eq!(
            unpack(&pack(&"a".repeat(REST_BYTES_MAX as usize + 1))),
            None
        );
        assert_eq!(unpack(&pack("ü/x")).as_deref(), Some("ü/x"));
    }

    proptest! {
        #[test]
        fn any_path_is_stored_and_comes_back_or_is_refused(
            pattern in proptest::collection::vec(any::<u8>(), 1..4096),
            times in 1usize..600,
            prefix in "([a-z]{1,60}/){0,3}",
        ) {
            let mut bytes = pattern.repeat(times);
            bytes.truncate(4095);
            if let Ok(path) = RelPath::from_bytes(bytes) {
                is_stored(&path, &prefix);
            }
        }

        #[test]
        fn text_in_any_letters_comes_back_or_is_refused(
            text in "[а-яА-Я中-亿 a-z./=%]{300,1900}",
        ) {
            let mut text = text;
            text.truncate(text.floor_char_boundary(4095));
            if let Ok(path) = RelPath::from_bytes(text) {
                is_stored(&path, "office/");
            }
        }
    }
}
