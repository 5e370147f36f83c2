//! How two sides of one path are told apart.

use super::*;

fn file(size_bytes: u64, mtime_ns: i128, mode: u32) -> Fingerprint {
    Fingerprint {
        size_bytes,
        mtime_ns,
        mode,
        ..Fingerprint::UNSEEN
    }
}

#[test]
fn size_and_time_first_and_content_where_they_say_nothing() {
    let then = ObjectMeta::of(&file(5, 100, 0o644), None);
    for (name, now, read, want) in [
        ("the same", file(5, 100, 0o644), None, Change::Same),
        ("its mode", file(5, 100, 0o600), None, Change::Metadata),
        ("its size", file(6, 100, 0o644), None, Change::Changed),
        ("touched", file(5, 101, 0o644), Some(true), Change::Metadata),
        ("edited", file(5, 101, 0o644), Some(false), Change::Changed),
    ] {
        let mut was_read = false;
        let got = change_of(&then, &now, false, || {
            was_read = true;
            Ok(read.unwrap())
        });
        assert_eq!((got, was_read), (Ok(want), read.is_some()), "{name}");
    }
    let folder = |mode| Fingerprint {
        kind: Kind::Folder,
        ..file(0, 1, mode)
    };
    let then = ObjectMeta::of(&folder(0o755), None);
    for (now, empty, want) in [
        (folder(0o700), true, Change::Metadata),
        (folder(0o700), false, Change::Same),
        (folder(0o755), true, Change::Same),
        (file(0, 1, 0o755), true, Change::Changed),
    ] {
        let got = change_of(&then, &now, empty, || panic!("nothing to read"));
        assert_eq!(got, Ok(want), "{now:?}");
    }
}
