//! Links that a click opens (OSC 8), where standard output is a terminal that is known to
//! have them. The words are the same with and without.
//!
//! Whoever wants no colours gets no links either: both are escape sequences, and what prints
//! takes all of them out then.

use crate::os;
use crate::types;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::path::{Component, Path, Prefix};
use supports_hyperlinks::Stream;

/// What stands for itself in a URI (RFC 3986, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path as it is shown, and a link to what stands there.
pub(super) fn path(path: &Path) -> String {
    let text = types::clean(&path.display().to_string());
    match uri(path).filter(|_| supports_hyperlinks::on(Stream::Stdout)) {
        Some(uri) => format!("\x1b]8;;{uri}\x1b\\{text}\x1b]8;;\x1b\\"),
        None => text,
    }
}

/// `file://computer/path`. The computer's name tells a terminal that shows another computer
/// (over SSH) that the path is not one of its own. Where paths begin with a drive there is
/// none: it would make a network path of it. `None` for a path that no such address has.
fn uri(path: &Path) -> Option<String> {
    let mut uri = String::from("file://");
    let mut is_absolute = false;
    for component in path.components() {
        match component {
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(drive) | Prefix::VerbatimDisk(drive) => {
                    uri.push_str(&format!("/{}:", char::from(drive)));
                }
                _ => return None,
            },
            Component::RootDir => {
                is_absolute = true;
                if uri.ends_with("//") {
                    uri.push_str(&encoded(os::computer_name().as_bytes()));
                }
            }
            Component::Normal(name) => {
                uri.push('/');
                uri.push_str(&encoded(&os::bytes_of_name(name)));
            }
            Component::CurDir | Component::ParentDir => return None,
        }
    }
    is_absolute.then_some(uri)
}

fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_its_address() {
        for name in [
            "a b",
            "a\u{1b}\\\u{1b}]8;;http:evil",
            "a\u{7}b",
            "ü;%41#?",
            "..a",
            "\u{202e}fdp",
        ] {
            let folder = std::path::absolute("/srv").unwrap();
            let uri = uri(&folder.join(name)).unwrap();
            assert!(uri.starts_with("file://"), "{uri}");
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:%".contains(&b);
            assert!(uri.bytes().all(is_plain), "{uri}");
            let last = uri.rsplit('/').next().unwrap();
            let decoded = percent_encoding::percent_decode_str(last);
            // On Windows a backslash in it stands between two names.
            if !name.contains('\\') || !cfg!(windows) {
                assert_eq!(decoded.decode_utf8().unwrap(), name);
            }
        }
    }

    #[test]
    fn what_is_no_whole_path_has_no_address() {
        for path in ["", "a/b", "./a", "/srv/../a"] {
            assert_eq!(uri(Path::new(path)), None, "{path}");
        }
    }
}
