//! Names as bytes: Windows' UTF-16 to and from the bytes of a `RelPath`, and
//! which names Windows would take for something else.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

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
