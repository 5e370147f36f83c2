//! The alternate data streams of a file on NTFS: contents beside its content, which no
//! program shows. They are not kept, and named.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

use super::names;

/// Where a file came from, as the system and programs note it: a mark for a moment, which
/// nobody misses.
const HARMLESS: [&str; 4] = [
    "Zone.Identifier",
    "SmartScreen",
    "com.dropbox.attributes",
    "com.dropbox.attrs",
];

/// Streams of one file that are named; who has more has a program that makes them.
const NAMED_MAX: usize = 16;

/// Offset of a name in `FILE_STREAM_INFO` (winbase.h): offset of the next one, length of
/// the name in bytes, two sizes.
const NAME_AT: usize = 24;

/// The names of the streams that are worth a word, in a list as `FILE_STREAM_INFO` has it.
/// Damage ends the list.
pub(super) fn worth_telling(list: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = list;
    loop {
        let Some((next, name)) = first_of(rest) else {
            return names;
        };
        // `:name:$DATA`; the content itself is the stream without a name.
        let name = name.strip_prefix(':').unwrap_or(&name);
        let name = name.strip_suffix(":$DATA").unwrap_or(name);
        let is_told = !name.is_empty() && !HARMLESS.contains(&name);
        if is_told && names.len() < NAMED_MAX {
            names.push(name.to_owned());
        }
        match rest.get(next..) {
            Some(behind) if next >= NAME_AT => rest = behind,
            _ => return names,
        }
    }
}

fn first_of(list: &[u8]) -> Option<(usize, String)> {
    let number = |at: usize| {
        let bytes = list.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (next, name_bytes) = (number(0)?, number(4)?);
    let name = list.get(NAME_AT..NAME_AT.checked_add(name_bytes)?)?;
    let (units, _) = name.as_chunks::<2>();
    let wide = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let name = names::wide_to_bytes(wide);
    Some((next, String::from_utf8_lossy(&name).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let bytes = (NAME_AT + wide.len()).next_multiple_of(8);
            let next = if at + 1 < names.len() { bytes } else { 0 };
            let start = out.len();
            out.extend((next as u32).to_le_bytes());
            out.extend((wide.len() as u32).to_le_bytes());
            out.extend([0; 16]);
            out.extend(wide);
            out.resize(start + bytes, 0);
        }
        // The system's buffer is longer.
        out.resize(out.len() + 100, 0);
        out
    }

    #[test]
    fn streams_with_a_name_are_told_and_harmless_ones_are_not() {
        for (names, want) in [
            (&["::$DATA"][..], &[][..]),
            (&["::$DATA", ":Zone.Identifier:$DATA"], &[]),
            (
                &["::$DATA", ":notes:$DATA", ":Bild 1:$DATA"],
                &["notes", "Bild 1"],
            ),
            // A folder has no content of its own.
            (&[":notes:$DATA"], &["notes"]),
            (&[], &[]),
        ] {
            assert_eq!(worth_telling(&list(names)), want, "{names:?}");
        }
        let many: Vec<String> = (0..40).map(|number| format!(":{number}:$DATA")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(worth_telling(&list(&many)).len(), NAMED_MAX);
    }

    #[test]
    fn a_damaged_list_ends() {
        let whole = list(&["::$DATA", ":notes:$DATA"]);
        for len in 0..whole.len() {
            worth_telling(&whole[..len]);
        }
        let mut round = whole.clone();
        round[0] = 1;
        assert!(worth_telling(&round).is_empty());
        assert!(worth_telling(&[0xff; 64]).is_empty());
    }
}
