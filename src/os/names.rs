//! Names as bytes: Windows' UTF-16 to and from the bytes of a `RelPath`, and
//! which names Windows would take for something else.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

use crate::types::ContentHash;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Why a component cannot be used as a file's name on this platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// `\`, `/`, `:` or NUL: it would name another place.
    #[error("the name has a character that means another place on this system")]
    Separator,
    /// `CON`, `aux.txt` and the like: devices.
    #[error("the name belongs to a device on this system")]
    Device,
    /// A control character or one of `<>"|?*`.
    #[error("the name has a character that this system does not allow")]
    Character,
    /// A trailing dot or space, which Windows drops silently.
    #[error("the name ends in a dot or a space, which this system drops")]
    Tail,
    /// The bytes are not text in any form that this system knows.
    #[error("the name is not text")]
    NotText,
}

/// First part of the names that Windows gives to devices, in any folder.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Refuse what would lead out of a folder when reading on Windows.
pub(super) fn windows_readable(name: &[u8]) -> Result<(), NameRefused> {
    if name.is_empty() || name == b"." || name == b".." {
        return Err(NameRefused::Separator);
    }
    if name.iter().any(|b| matches!(b, b'\\' | b'/' | b':' | 0)) {
        return Err(NameRefused::Separator);
    }
    Ok(())
}

/// Refuse what Windows cannot store, or would store under another name.
pub(super) fn windows_writable(name: &[u8]) -> Result<(), NameRefused> {
    windows_readable(name)?;
    if name
        .iter()
        .any(|b| *b < 0x20 || matches!(b, b'<' | b'>' | b'"' | b'|' | b'?' | b'*'))
    {
        return Err(NameRefused::Character);
    }
    if matches!(name.last(), Some(b'.' | b' ')) {
        return Err(NameRefused::Tail);
    }
    let stem = name.split(|b| *b == b'.').next().unwrap_or(name);
    let stem = String::from_utf8_lossy(stem)
        .trim_end_matches(' ')
        .to_lowercase();
    let numbered = ["com", "lpt"].iter().any(|kind| {
        stem.strip_prefix(kind).is_some_and(|tail| {
            let mut chars = tail.chars();
            // Windows takes the superscript digits for digits too.
            matches!(chars.next(), Some('0'..='9' | '¹' | '²' | '³')) && chars.next().is_none()
        })
    });
    if numbered || DEVICES.contains(&stem.as_str()) {
        return Err(NameRefused::Device);
    }
    Ok(())
}

/// The name under which Windows can store what is called `name`: itself, or one that people
/// recognise, with a part of the original's hash, so that no two names become one. The
/// extension stays, so that a double click opens the same program.
pub(super) fn windows_storable(name: &[u8]) -> Cow<'_, [u8]> {
    /// Hex digits of the hash.
    const TAG_DIGITS: usize = 8;
    /// NTFS takes 255 units of UTF-16, and no character of UTF-8 has more units than bytes.
    const NAME_BYTES_MAX: usize = 255;
    if windows_writable(name).is_ok() && bytes_to_wide(name).is_some() {
        return Cow::Borrowed(name);
    }
    let is_refused =
        |c: char| c < ' ' || c == char::REPLACEMENT_CHARACTER || r#"\/:<>"|?*"#.contains(c);
    let text = String::from_utf8_lossy(name).replace(is_refused, "_");
    // What Windows drops at the end would be missed there.
    let kept = text.trim_end_matches(['.', ' ']);
    let text = format!("{kept}{}", "_".repeat(text.len() - kept.len()));
    let (stem, extension) = match text.rfind('.') {
        Some(at) if at > 0 => text.split_at(at),
        _ => (text.as_str(), ""),
    };
    let mut tag = ContentHash::of(name).to_hex();
    tag.truncate(TAG_DIGITS);
    let room = NAME_BYTES_MAX.saturating_sub(extension.len() + 1 + TAG_DIGITS);
    let stem = &stem[..stem.floor_char_boundary(room)];
    // A device's name is one up to its first dot.
    let (first, rest) = stem.split_once('.').unwrap_or((stem, ""));
    let dot = if stem.contains('.') { "." } else { "" };
    Cow::Owned(format!("{first}~{tag}{dot}{rest}{extension}").into_bytes())
}

/// A whole path in the form to which no limit of 260 characters and no rule about names
/// applies: `C:\a` is `\\?\C:\a`, `\\server\share` is `\\?\UNC\server\share`.
pub(super) fn verbatim(path: &Path) -> PathBuf {
    let Some(text) = path.to_str() else {
        return path.to_owned();
    };
    if text.starts_with(r"\\?\") || text.starts_with(r"\\.\") {
        return path.to_owned();
    }
    match text.strip_prefix(r"\\") {
        Some(share) => format!(r"\\?\UNC\{share}").into(),
        None => format!(r"\\?\{text}").into(),
    }
}

/// UTF-16 as bytes: UTF-8, a lone surrogate in the same three-byte form (WTF-8).
pub(super) fn wide_to_bytes(wide: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let mut out = Vec::new();
    for unit in char::decode_utf16(wide) {
        match unit {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                out.push(0xE0 | (high >> 4));
                out.push(0x80 | ((high & 0x0F) << 2) | (low >> 6));
                out.push(0x80 | (low & 0x3F));
            }
        }
    }
    out
}

/// Undo [`wide_to_bytes`]; `None` for bytes that it never makes.
pub(super) fn bytes_to_wide(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).ok()?,
        };
        out.extend(valid.encode_utf16());
        rest = &rest[valid.len()..];
        if let [first, second, third, ..] = rest {
            let surrogate =
                *first == 0xED && (0xA0..=0xBF).contains(second) && (0x80..=0xBF).contains(third);
            if !surrogate {
                return None;
            }
            out.push(0xD000 | (u16::from(second & 0x3F) << 6) | u16::from(third & 0x3F));
            rest = &rest[3..];
        } else if !rest.is_empty() {
            return None;
        }
    }
    // Two halves written apart would come back as one character.
    (wide_to_bytes(out.iter().copied()) == bytes).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_windows_would_misread() {
        for (name, want) in [
            ("a.txt", Ok(())),
            ("comb", Ok(())),
            ("com10", Ok(())),
            ("Büro 1", Ok(())),
            (".keepwatchignore", Ok(())),
            ("a\\b", Err(NameRefused::Separator)),
            ("..\\..\\x", Err(NameRefused::Separator)),
            ("C:", Err(NameRefused::Separator)),
            ("a:stream", Err(NameRefused::Separator)),
            ("..", Err(NameRefused::Separator)),
            ("", Err(NameRefused::Separator)),
            ("a?", Err(NameRefused::Character)),
            ("a\nb", Err(NameRefused::Character)),
            ("a.", Err(NameRefused::Tail)),
            ("a ", Err(NameRefused::Tail)),
            ("CON", Err(NameRefused::Device)),
            ("aux.txt", Err(NameRefused::Device)),
            ("nul .tar.gz", Err(NameRefused::Device)),
            ("Com1", Err(NameRefused::Device)),
            ("lpt².x", Err(NameRefused::Device)),
        ] {
            assert_eq!(windows_writable(name.as_bytes()), want, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_windows_cannot_hold_becomes_one_that_people_recognise() {
        let shape = |name: &str| {
            let here = windows_storable(name.as_bytes()).into_owned();
            assert_eq!(windows_writable(&here), Ok(()), "{name:?}");
            let here = String::from_utf8(here).unwrap();
            let at = here.find('~').unwrap();
            let is_tag = here[at + 1..at + 9].bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_tag, "{here}");
            format!("{}{}", &here[..at], &here[at + 9..])
        };
        for (name, want) in [
            ("Meeting 10:30.docx", "Meeting 10_30.docx"),
            ("a?b*c.txt", "a_b_c.txt"),
            (r"a\b", "a_b"),
            ("CON", "CON"),
            ("com1.tar.gz", "com1.tar.gz"),
            ("aux.", "aux_"),
            ("Dr. ", "Dr__"),
            ("line\nbreak.txt", "line_break.txt"),
            (".a:", ".a_"),
            ("...", "___"),
        ] {
            assert_eq!(shape(name), want, "{name:?}");
        }
        for name in ["a.txt", "Büro 10%3A30.docx", "a~1", ".keepwatchignore"] {
            assert_eq!(&*windows_storable(name.as_bytes()), name.as_bytes());
        }
        let not_text = windows_storable(b"caf\xe9.txt").into_owned();
        assert!(windows_writable(&not_text).is_ok() && not_text.starts_with(b"caf_~"));
        assert!(windows_storable(&[b':'; 255]).len() <= 255);
    }

    #[test]
    fn whole_paths_in_their_long_form() {
        for (path, want) in [
            (r"C:\a\b", r"\\?\C:\a\b"),
            (r"\\server\share\a", r"\\?\UNC\server\share\a"),
            (r"\\?\C:\a", r"\\?\C:\a"),
            (r"\\.\pipe\x", r"\\.\pipe\x"),
        ] {
            assert_eq!(verbatim(Path::new(path)), Path::new(want));
        }
    }

    #[test]
    fn lone_surrogates_are_kept_and_other_bytes_refused() {
        let odd = [0x61, 0xD800, 0x62, 0xDC00];
        let bytes = wide_to_bytes(odd);
        assert_eq!(bytes, b"a\xED\xA0\x80b\xED\xB0\x80");
        assert_eq!(bytes_to_wide(&bytes), Some(odd.to_vec()));
        for bad in [
            &b"\xff"[..],
            b"a\xE9",
            b"\xED\xA0",
            b"\xED\xA0\x80\xED\xB0\x80",
        ] {
            assert_eq!(bytes_to_wide(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_has_one_that_windows_can_hold(name in proptest::collection::vec(any::<u8>(), 1..300)) {
            let here = windows_storable(&name);
            prop_assert_eq!(windows_writable(&here), Ok(()));
            prop_assert!(bytes_to_wide(&here).is_some());
            prop_assert_eq!(windows_storable(&here), here.clone());
        }

        #[test]
        fn no_two_names_become_one(a in "[a:?. ]{1,4}", b in "[a:?. ]{1,4}") {
            let (here_a, here_b) = (windows_storable(a.as_bytes()), windows_storable(b.as_bytes()));
            prop_assert_eq!(a == b, here_a == here_b);
        }

        #[test]
        fn utf16_comes_back(wide in proptest::collection::vec(any::<u16>(), 0..20)) {
            let bytes = wide_to_bytes(wide.iter().copied());
            prop_assert_eq!(bytes_to_wide(&bytes), Some(wide));
        }

        #[test]
        fn bytes_give_utf16_that_gives_them_back(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(wide) = bytes_to_wide(&bytes) {
                prop_assert_eq!(wide_to_bytes(wide), bytes);
            }
        }
    }
}
