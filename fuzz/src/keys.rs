//! Paths become keys and keys become paths.

use keepwatch::os;
use keepwatch::types::{KEY_BYTES_MAX, RelKey, RelPath, decode, encode, is_shortened, rel_path};

/// Any bytes: as a path, as a key, and (cut in two at the first line break) as
/// two paths that may not share a key.
pub fn check(data: &[u8]) {
    encoding(data);
    if let Ok(path) = RelPath::from_bytes(data) {
        a_path_comes_back(&path);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        any_key_is_foreign_or_gives_its_path(text);
    }
    if let Some(at) = data.iter().position(|byte| *byte == b'\n') {
        let (one, two) = (&data[..at], &data[at + 1..]);
        two_paths_have_two_keys(one, two);
        children_are_where_their_folder_is(one, two);
    }
}

fn encoding(data: &[u8]) {
    let text = encode(data);
    assert_eq!(decode(&text), data, "{text}");
    // What XML 1.0 cannot carry is never in a key, nor anything that folds.
    let forbidden = |c: char| c.is_control() || c == '\u{fffe}' || c == '\u{ffff}';
    assert!(!text.chars().any(forbidden), "{text:?}");
    // Encoded once more it still comes back: nothing reads as an escape by chance.
    assert_eq!(decode(&encode(text.as_bytes())), text.as_bytes());
}

fn a_path_comes_back(path: &RelPath) {
    stays_inside(path);
    for key in [RelKey::of_file(path), RelKey::of_folder(path)] {
        assert_eq!(&key.path(), path);
        assert_eq!(key.is_folder(), key == RelKey::of_folder(path));
        if path.is_root() {
            continue;
        }
        assert_eq!(RelKey::parse_full(key.as_str()).as_ref(), Ok(&key));
        for prefix in ["", "office/", "a prefix that/is longer/"] {
            let object = key.in_bucket(prefix);
            assert!(object.key.len() <= KEY_BYTES_MAX, "{}", object.key.len());
            let within = object.key.strip_prefix(prefix).unwrap();
            assert_eq!(is_shortened(within), object.shortened, "{within}");
            assert_eq!(within.ends_with('/'), key.is_folder(), "{within}");
            if !object.shortened {
                assert_eq!(RelKey::parse(within).as_ref(), Ok(&key));
            }
        }
    }
}

fn any_key_is_foreign_or_gives_its_path(text: &str) {
    for parsed in [RelKey::parse(text), RelKey::parse_full(text)] {
        let Ok(key) = parsed else { continue };
        assert_eq!(key.as_str(), text);
        let path = key.path();
        assert!(!path.is_root(), "{text}");
        stays_inside(&path);
        let again = if key.is_folder() {
            RelKey::of_folder(&path)
        } else {
            RelKey::of_file(&path)
        };
        assert_eq!(again, key);
    }
}

fn two_paths_have_two_keys(one: &[u8], two: &[u8]) {
    if let (Ok(one), Ok(two)) = (RelPath::from_bytes(one), RelPath::from_bytes(two)) {
        let same = one == two;
        assert_eq!(RelKey::of_file(&one) == RelKey::of_file(&two), same);
        assert_eq!(RelKey::of_folder(&one) == RelKey::of_folder(&two), same);
        if !one.is_root() && !two.is_root() {
            assert_ne!(RelKey::of_file(&one), RelKey::of_folder(&two));
            let keys = [&one, &two].map(|path| RelKey::of_file(path).in_bucket("p/").key);
            assert_eq!(keys[0] == keys[1], same, "{keys:?}");
        }
    }
}

fn children_are_where_their_folder_is(folder: &[u8], name: &[u8]) {
    let Ok(folder) = RelPath::from_bytes(folder) else {
        return;
    };
    match folder.join(name) {
        Ok(child) => {
            let (above, below) = (RelKey::of_folder(&folder), RelKey::of_file(&child));
            assert!(below.as_str().starts_with(above.as_str()));
            assert_eq!(child.parent().as_ref(), Some(&folder));
        }
        Err(refused) => assert_ne!(refused.to_string(), ""),
    }
}

/// No path of ours means a place outside the folder that it is joined to.
fn stays_inside(path: &RelPath) {
    for name in path.components() {
        assert!(!matches!(name, b"" | b"." | b".."), "{path}");
        assert!(!name.contains(&0) && !name.contains(&b'/'), "{path}");
    }
    if let Ok(os) = os::rel_to_os(path) {
        assert_eq!(
            os::os_to_rel(&os),
            Ok::<_, rel_path::PathRefused>(path.clone())
        );
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        assert!(os.components().all(plain), "{}", os.display());
    }
}
