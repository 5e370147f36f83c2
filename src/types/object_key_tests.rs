//! Keys and paths, both ways.

use super::*;
use crate::types::key_escape::needs_escape;
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
        (b".keepwatch", "%2Ekeepwatch"),
        (b"a/.keepwatch/b", "a/%2Ekeepwatch/b"),
        (b"%2Ekeepwatch", "%252Ekeepwatch"),
        (
            b".keepwatch-source/.Keepwatch",
            ".keepwatch-source/.Keepwatch",
        ),
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
fn what_lies_in_the_own_folder_is_nobodys_file_and_not_foreign() {
    for (key, own) in [
        (".keepwatch/manifests/2026.jsonl.gz", true),
        ("office/.keepwatch/check", true),
        ("a/.keepwatch/b/.keepwatch/manifests/2026.jsonl.gz", true),
        (".keepwatch/manifests/mine.jsonl.gz", false),
        (".keepwatch/manifests/2026/mine.jsonl.gz", false),
        (".keepwatch/manifests/2026.txt", false),
        (
            ".keepwatch/attributes/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            true,
        ),
        (".keepwatch/attributes/mine", false),
        (".keepwatch/attributes/", false),
        (".keepwatch/", false),
        (".keepwatch", false),
        ("a.keepwatch/b", false),
        (".keepwatch-source", false),
        ("%2Ekeepwatch/b", false),
    ] {
        assert_eq!(is_own(key), own, "{key}");
        assert_eq!(RelKey::parse(key) == Err(ForeignKey::Own), own, "{key}");
    }
}

#[test]
fn what_earlier_versions_stored_in_a_folder_of_that_name_is_a_file() {
    for (old, new) in [
        (".keepwatch", "%2Ekeepwatch"),
        (".keepwatch/", "%2Ekeepwatch/"),
        (".keepwatch/mine.txt", "%2Ekeepwatch/mine.txt"),
        ("a/.keepwatch/caf%E9", "a/%2Ekeepwatch/caf%E9"),
        (".keepwatch/manifests/x", "%2Ekeepwatch/manifests/x"),
    ] {
        let key = RelKey::parse_full(new).unwrap();
        assert_eq!(key.older("p/"), Some(format!("p/{old}")));
        assert_eq!(RelKey::parse(old), Err(ForeignKey::Older(key)));
    }
    for foreign in [".keepwatch//x", ".keepwatch/../x", ".keepwatch/a%41"] {
        let parsed = RelKey::parse(foreign);
        let is_older = matches!(parsed, Err(ForeignKey::Older(_)));
        assert!(parsed.is_err() && !is_older, "{foreign}");
    }
    assert_eq!(RelKey::parse_full("a/b").unwrap().older(""), None);
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
        a.shortened && a.key.len() <= NEW_KEY_BYTES_MAX,
        "{}",
        a.key.len()
    );
    assert!(is_shortened(&a.key) && a.key.starts_with("office/ddd"));
    assert_eq!(
        RelKey::parse(a.key.strip_prefix("office/").unwrap()),
        Err(ForeignKey::Shortened)
    );
    let folder = RelKey::of_folder(&long).in_bucket("office/");
    assert!(folder.key.ends_with('/') && folder.key.len() <= NEW_KEY_BYTES_MAX);
    // A short path that looks shortened is shortened too: never ambiguous.
    let fake = p(format!("a{SHORTENED_MARK}{}", "0".repeat(32)).as_bytes());
    assert!(RelKey::of_file(&fake).in_bucket("").shortened);
}

/// Swift takes 1,006 bytes where it keeps versions, and AWS no `soap`: what earlier
/// versions stored so is known by its older key.
#[test]
fn keys_that_some_servers_refuse_are_shortened_and_their_older_ones_known() {
    let file = |bytes: usize| RelKey::of_file(&p("x".repeat(bytes).as_bytes()));
    for (prefix, key, is_refused) in [
        ("", file(1_006), false),
        ("", file(1_007), true),
        ("office/", file(999), false),
        ("office/", file(1_000), true),
        ("office/", file(1_017), true),
        ("", file(4), false),
        ("", RelKey::of_file(&p(b"soap")), true),
        ("so", RelKey::of_file(&p(b"ap")), true),
        ("", RelKey::of_folder(&p(b"soap")), false),
        ("office/", RelKey::of_file(&p(b"soap")), false),
        ("", RelKey::of_file(&p(b"Soap")), false),
    ] {
        let made = key.in_bucket(prefix);
        assert_eq!(made.shortened, is_refused, "{prefix}{key:?}");
        assert!(made.key.len() <= NEW_KEY_BYTES_MAX && made.key != "soap");
        assert_eq!(key.places(prefix)[0], made.key);
        let plain = format!("{prefix}{}", key.as_str());
        let parsed = RelKey::parse_at(key.as_str(), prefix);
        if is_refused {
            assert_eq!(key.older(prefix), Some(plain));
            assert_eq!(parsed, Err(ForeignKey::Older(key)));
        } else {
            assert_eq!((key.older(prefix), made.key), (None, plain));
            assert_eq!(parsed, Ok(key));
        }
    }
    // It was shortened, to more bytes.
    let key = file(1_100);
    let older = key.older("").unwrap();
    assert!(older.len() == KEY_BYTES_MAX && is_shortened(&older));
    // One that is merely named like a shortened key has none.
    let fake = format!("a{SHORTENED_MARK}{}", "0".repeat(32));
    assert_eq!(RelKey::of_file(&p(fake.as_bytes())).older(""), None);
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
