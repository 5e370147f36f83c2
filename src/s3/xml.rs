//! Reads what the SDK does not tell of an answer's XML: its root, and what stands right
//! below it, in order.
//!
//! Nothing here expands entities or keeps text that was not asked for; `response_limit`
//! bounds the answers.

use quick_xml::Reader;
use quick_xml::events::Event;

/// What may stand before the root: declaration, comments, a DOCTYPE.
const PROLOG_EVENTS_MAX: usize = 100;

/// Name of the root element without its prefix; `None` for what is not XML.
pub(super) fn root(body: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(body);
    for _ in 0..PROLOG_EVENTS_MAX {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.local_name();
                return String::from_utf8(name.as_ref().to_vec()).ok();
            }
            Event::Text(text) if !text.iter().all(u8::is_ascii_whitespace) => return None,
            Event::Eof | Event::CData(_) | Event::GeneralRef(_) => return None,
            _ => {}
        }
    }
    None
}

/// Call `each` with the name of every element right below the root, in order.
/// False for what is not whole XML.
pub(super) fn children(body: &[u8], mut each: impl FnMut(&[u8])) -> bool {
    let mut reader = Reader::from_reader(body);
    let mut depth = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                if depth == 1 {
                    each(element.local_name().as_ref());
                }
                depth += 1;
            }
            Ok(Event::Empty(element)) if depth == 1 => each(element.local_name().as_ref()),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) => return depth == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// The plain text of the first such element right below the root; `None` when
/// there is none, or more than plain text in it.
pub(super) fn text_of(body: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader::from_reader(body);
    let (mut depth, mut inside) = (0_usize, false);
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                if inside {
                    return None;
                }
                inside = depth == 1 && element.local_name().as_ref() == name.as_bytes();
                depth += 1;
            }
            Event::Text(piece) if inside => text.push_str(std::str::from_utf8(&piece).ok()?),
            Event::GeneralRef(_) | Event::CData(_) if inside => return None,
            Event::End(_) if inside => return Some(text.trim().to_owned()),
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] =
        b"<?xml version=\"1.0\"?>\n<!-- x --><a:L xmlns:a=\"u\"><Version><Key>k</Key></Version>\
        <DeleteMarker/><Version/><Status> Enabled </Status><Id>a&amp;b</Id></a:L>";

    #[test]
    fn roots() {
        for (body, want) in [
            (LIST, Some("L")),
            (b"<!DOCTYPE html><html><body>", Some("html")),
            (b"<!DOCTYPE html><HTML><body>", Some("HTML")),
            (b"", None),
            (b"{\"a\": 1}", None),
            (b"Sign in <a href='x'>", None),
            (b"\xff\xfe", None),
        ] {
            let told = String::from_utf8_lossy(body).into_owned();
            assert_eq!(root(body).as_deref(), want, "{told}");
        }
    }

    #[test]
    fn children_come_in_order_and_text_by_name() {
        let mut names = Vec::new();
        let is_whole = children(LIST, |name| {
            names.push(String::from_utf8_lossy(name).into_owned());
        });
        assert!(is_whole);
        assert_eq!(
            names,
            ["Version", "DeleteMarker", "Version", "Status", "Id"]
        );
        assert_eq!(text_of(LIST, "Status").as_deref(), Some("Enabled"));
        for name in ["Key", "Id", "Version", "None"] {
            assert_eq!(text_of(LIST, name), None, "{name}");
        }
        assert!(!children(b"<a><b></a>", |_| ()) && !children(b"<a><b>", |_| ()));
    }
}
