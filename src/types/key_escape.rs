//! Names as keys carry them: what a key cannot hold is percent-escaped.

use super::byte_escape;
use super::one_line::breaks_line;

/// The name of the folder that Keepwatch keeps its own objects in, below the
/// prefix: those that [`is_own`] names, and no others. A file or folder of the
/// user's that is called so has another key ([`encode`]); earlier versions of
/// Keepwatch stored it under its own name ([`ForeignKey::Older`]).
pub const OWN_FOLDER: &str = ".keepwatch";

/// How [`encode`] writes a user's name that is [`OWN_FOLDER`].
pub(super) const OWN_FOLDER_ESCAPED: &str = "%2Ekeepwatch";

/// Characters that a key must not carry as they are: XML 1.0 has no way to
/// write most controls, and parsers fold the others (CR, LF, tab) into spaces.
pub(super) fn needs_escape(c: char) -> bool {
    c.is_ascii_control()
        || ('\u{80}'..='\u{9f}').contains(&c)
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Percent-escape what a key cannot carry; everything else stays readable.
///
/// Works name by name, so a folder's key begins the keys of what is in it.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for (number, name) in bytes.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        encode_name(name, &mut out);
    }
    out
}

/// The same without characters that a line for people cannot show as they are: a path in
/// a command to copy. No key is written so, and [`decode`] reads both.
pub fn encode_for_line(bytes: &[u8]) -> String {
    encode_without(bytes, breaks_line)
}

/// The same without characters that a shell of Windows reads even within double quotes.
pub fn encode_for_shells(bytes: &[u8]) -> String {
    encode_without(bytes, |c| {
        breaks_line(c) || matches!(c, '$' | '`' | '%' | '"' | '\u{201c}'..='\u{201e}')
    })
}

fn encode_without(bytes: &[u8], is_left_out: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    let encoded = encode(bytes);
    for (at, c) in encoded.char_indices() {
        let after = encoded.as_bytes().get(at + 1..at + 3);
        let is_escape = c == '%' && after.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if is_left_out(c) && !is_escape {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                byte_escape::push(&mut out, '%', byte);
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A name that is its own key, as nearly all are.
pub(super) fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | ".." | OWN_FOLDER)
        && match name.is_ascii() {
            true => name
                .bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b'%'),
            false => !name.contains(|c: char| needs_escape(c) || c == '%'),
        }
        && !name.trim().is_empty()
}

/// Escapes one name.
fn encode_name(bytes: &[u8], out: &mut String) {
    if let Some(plain) = std::str::from_utf8(bytes).ok().filter(|n| is_plain_name(n)) {
        out.push_str(plain);
        return;
    }
    if bytes == OWN_FOLDER.as_bytes() {
        out.push_str(OWN_FOLDER_ESCAPED);
        return;
    }
    // The SDK takes a key of nothing but white space for none at all.
    let is_blank = std::str::from_utf8(bytes).is_ok_and(|text| text.trim().is_empty());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let len = c.len_utf8();
            let is_percent_trap = c == '%'
                && bytes
                    .get(at + 1..at + 3)
                    .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
            if is_blank || needs_escape(c) || is_percent_trap {
                for byte in &bytes[at..at + len] {
                    byte_escape::push(out, '%', *byte);
                }
            } else {
                out.push(c);
            }
            at += len;
        }
        for byte in chunk.invalid() {
            byte_escape::push(out, '%', *byte);
            at += 1;
        }
    }
}

/// Undo [`encode`]. Never fails: a `%` without two hex digits is itself.
pub fn decode(text: &str) -> Vec<u8> {
    byte_escape::undone(text, b'%')
}
