//! What Windows keeps of a file beside content and times, as text: its marks (hidden,
//! system, not indexed) and its own rights.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

use std::collections::BTreeSet;

use super::reparse::{
    ATTRIBUTE_FOLDER, ATTRIBUTE_HIDDEN, ATTRIBUTE_NOT_INDEXED, ATTRIBUTE_READ_ONLY,
    ATTRIBUTE_SYSTEM,
};

/// The marks and their words. A folder's "read-only" says that its looks were customised;
/// a file's is its mode.
const WORDS: [(u32, &str); 4] = [
    (ATTRIBUTE_HIDDEN, "hidden"),
    (ATTRIBUTE_SYSTEM, "system"),
    (ATTRIBUTE_NOT_INDEXED, "not-indexed"),
    (ATTRIBUTE_READ_ONLY, "customised"),
];

/// The marks that are kept of what has these attributes.
pub(super) fn kept(attributes: u32) -> u32 {
    let all = ATTRIBUTE_HIDDEN | ATTRIBUTE_SYSTEM | ATTRIBUTE_NOT_INDEXED;
    match attributes & ATTRIBUTE_FOLDER {
        0 => all,
        _ => all | ATTRIBUTE_READ_ONLY,
    }
}

/// The marks in words, with a comma between two; `None` when there are none.
pub(super) fn text_of(attributes: u32) -> Option<String> {
    let kept = kept(attributes);
    let words = WORDS
        .iter()
        .filter(|(mark, _)| attributes & kept & mark != 0);
    let words: Vec<&str> = words.map(|(_, word)| *word).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// The marks that are named; words of later versions mean nothing.
pub(super) fn of_text(text: &str) -> u32 {
    let mark = |word: &str| WORDS.iter().find(|(_, known)| *known == word);
    text.split(',')
        .filter_map(mark)
        .fold(0, |all, (one, _)| all | one)
}

/// Whether a file has rights of its own. What it only inherits it gets from whatever
/// folder it is in: after a restore, from the folder that it was restored to.
///
/// The list is `D:`, flags (`P`: nothing is inherited), and entries in brackets, with the
/// flag `ID` in the second field of those that are inherited.
pub(super) fn has_own_rights(sddl: &str) -> bool {
    let Some((_, list)) = sddl.split_once("D:") else {
        return false;
    };
    // Who is watched (SACL) comes behind, and is not kept.
    let list = list.split("S:").next().unwrap_or_default();
    let (flags, entries) = list.split_at(list.find('(').unwrap_or(list.len()));
    let is_own = |entry: &str| {
        let flags = entry.split(';').nth(1).unwrap_or_default();
        // Two letters each.
        !flags.as_bytes().chunks(2).any(|flag| flag == b"ID")
    };
    // `AI` and `AR` have no P; `NO_ACCESS_CONTROL` is no list at all, and a choice.
    flags.contains('P')
        || flags.contains("NO_ACCESS_CONTROL")
        || entries.split('(').skip(1).any(is_own)
}

/// The numbers of accounts in a list of rights: of one computer or domain (`S-1-5-21-`), or
/// of a company's directory (`S-1-12-1-`). Others are the same on every computer.
pub(super) fn accounts_of(sddl: &str) -> BTreeSet<&str> {
    let is_of_number = |c: char| c.is_ascii_digit() || c == '-';
    sddl.match_indices("S-1-")
        .map(|(at, begin)| {
            let rest = &sddl[at + begin.len()..];
            let end = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
            &sddl[at..at + begin.len() + end]
        })
        .filter(|sid| sid.starts_with("S-1-5-21-") || sid.starts_with("S-1-12-1-"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_words_and_back() {
        for (attributes, want) in [
            (0x20, None),
            (0x1, None),
            (0x22, Some("hidden")),
            (0x26, Some("hidden,system")),
            (0x2020, Some("not-indexed")),
            (0x11, Some("customised")),
            (0x16, Some("hidden,system")),
            // Compressed, encrypted, temporary, in the cloud: nothing that comes back.
            (0x40_4900, None),
        ] {
            let text = text_of(attributes);
            assert_eq!(text.as_deref(), want, "{attributes:x}");
            let back = of_text(text.as_deref().unwrap_or_default());
            assert_eq!(
                text_of(back | attributes & ATTRIBUTE_FOLDER).as_deref(),
                want
            );
        }
        assert_eq!(of_text("hidden,shiny"), ATTRIBUTE_HIDDEN);
        assert_eq!(of_text(""), 0);
    }

    #[test]
    fn accounts_that_only_one_computer_knows_are_found_in_a_list() {
        let sddl = "O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513D:PAI(A;OICI;FA;;;SY)\
            (A;;FA;;;S-1-5-21-1-2-3-1001)(A;;FR;;;S-1-12-1-7-8-9-10)(A;;FR;;;S-1-5-32-545)\
            (A;;FR;;;S-1-15-2-1)(A;;FR;;;S-1-5-80-1-2)";
        let want = [
            "S-1-12-1-7-8-9-10",
            "S-1-5-21-1-2-3-1001",
            "S-1-5-21-1-2-3-513",
        ];
        assert!(accounts_of(sddl).into_iter().eq(want));
        assert!(accounts_of("O:BAG:SYD:P(A;;FA;;;BA)").is_empty());
        assert!(accounts_of("").is_empty());
    }

    #[test]
    fn only_rights_of_its_own_are_kept() {
        for (sddl, want) in [
            // A file as most are, and a folder.
            (
                "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)",
                false,
            ),
            (
                "O:S-1-5-21-1-2-3-1001G:DUD:AI(A;OICIID;FA;;;SY)(A;OICIIOID;GA;;;CO)",
                false,
            ),
            ("O:BAG:SYD:AI(A;;FR;;;WD)(A;ID;FA;;;BA)", true),
            ("O:BAG:SYD:PAI(A;OICI;FA;;;BA)", true),
            ("O:BAG:SYD:P", true),
            ("O:BAG:SYD:NO_ACCESS_CONTROL", true),
            ("O:BAG:SYD:AI", false),
            ("O:BAG:SYD:", false),
            ("O:BAG:SY", false),
            ("O:BAG:SYD:ARAI(A;CIID;FA;;;SY)S:P(AU;SA;FA;;;WD)", false),
        ] {
            assert_eq!(has_own_rights(sddl), want, "{sddl}");
        }
    }
}
