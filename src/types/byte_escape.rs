//! A byte as a mark and two hex digits: how a key (mark `%`) and a header (mark `=`)
//! carry what they cannot hold. For people there is `one_line`.

use std::fmt::Write as _;

/// Append the byte as `mark` and its two digits.
pub(super) fn push(out: &mut String, mark: char, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(out, "{mark}{byte:02X}");
}

/// Undo [`push`] in all of a text. Never fails: a mark without two hex digits behind it is
/// itself.
pub(super) fn undone(text: &str, mark: u8) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let mut byte = [*first];
        let digits = after.split_at_checked(2).filter(|_| *first == mark);
        rest = match digits {
            Some((two, behind)) if hex::decode_to_slice(two, &mut byte).is_ok() => behind,
            _ => after,
        };
        out.push(byte[0]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_and_what_is_no_escape_stays() {
        let mut text = String::new();
        for byte in 0..=u8::MAX {
            push(&mut text, '%', byte);
        }
        assert!(text.starts_with("%00%01") && text.ends_with("%FF"));
        assert_eq!(undone(&text, b'%'), (0..=u8::MAX).collect::<Vec<u8>>());
        for text in ["", "%", "%4", "100%", "%zz", "%4z%", "=41", "ü%ü"] {
            assert_eq!(undone(text, b'%'), text.as_bytes(), "{text}");
        }
        assert_eq!(undone("a=3D=c3=BC", b'='), "a=ü".as_bytes());
    }
}
