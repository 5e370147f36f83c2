//! Every path that fits is stored, and comes back from key and metadata.

use super::*;
use crate::types::attributes::Carried;
use crate::types::content_hash::ContentHash;
use crate::types::fingerprint::Kind;
use crate::types::meta_bytes::{META_BYTES_MAX, sent_bytes};
use crate::types::object_meta::ObjectMeta;
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
        is_torn: true,
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
        let again = ObjectMeta::from_headers(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
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
