//! The name that a file gets beside its own when something else takes its place:
//! `plan (before restore 2026-11-23 18-00).txt`.
//!
//! Pure.

use super::rel_path::RelPath;

/// Names tried before giving up: two restores within a minute need two.
pub const NUMBERS_MAX: u32 = 99;

/// What most file systems take for a name, bytes.
const NAME_BYTES_MAX: usize = 255;

/// A longer one is no ending of a kind of file, but part of the name.
const ENDING_BYTES_MAX: usize = 16;

/// The path beside `path` with that label; `None` for the root. Higher numbers
/// give other names.
pub fn beside(path: &RelPath, label: &str, number: u32) -> Option<RelPath> {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let dot = dot.filter(|dot| *dot > 0 && name.len() - dot <= ENDING_BYTES_MAX);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let label = match number {
        1 => format!(" ({label})"),
        _ => format!(" ({label}) {number}"),
    };
    let room = NAME_BYTES_MAX.saturating_sub(label.len() + ending.len());
    let mut cut = stem.len().min(room);
    // Between characters, where it is text.
    while cut > 0 && cut < stem.len() && stem[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    let mut new = path.parent()?.as_bytes().to_vec();
    if !new.is_empty() {
        new.push(b'/');
    }
    new.extend_from_slice(&stem[..cut]);
    new.extend_from_slice(label.as_bytes());
    new.extend_from_slice(ending);
    RelPath::from_bytes(new).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside() {
        let label = "before restore 2026-11-23 18-00";
        let long = "ü".repeat(127);
        for (path, number, want) in [
            (
                "a/plan.txt",
                1,
                "a/plan (before restore 2026-11-23 18-00).txt",
            ),
            ("plan", 1, "plan (before restore 2026-11-23 18-00)"),
            (
                "plan.txt",
                2,
                "plan (before restore 2026-11-23 18-00) 2.txt",
            ),
            (".profile", 1, ".profile (before restore 2026-11-23 18-00)"),
            ("a.b/c", 1, "a.b/c (before restore 2026-11-23 18-00)"),
            (
                "Dr. Miller and all his letters",
                1,
                "Dr. Miller and all his letters (before restore 2026-11-23 18-00)",
            ),
        ] {
            let path = RelPath::from_bytes(path.as_bytes()).unwrap();
            let got = beside(&path, label, number).map(|p| p.to_string());
            assert_eq!(got.as_deref(), Some(want));
        }
        let path = RelPath::from_bytes(format!("{long}.csv").as_bytes()).unwrap();
        let got = beside(&path, label, 1).unwrap();
        assert!(got.name().len() <= NAME_BYTES_MAX && got.name().ends_with(b").csv"));
        assert!(std::str::from_utf8(got.name()).is_ok());
        assert_eq!(beside(&RelPath::root(), label, 1), None);
    }
}
