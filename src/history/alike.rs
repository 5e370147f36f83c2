//! Finds what is named almost like the text that a person typed, when nothing has exactly
//! that name: the same name in another folder, in other upper or lower case, with other
//! Unicode forms of accented letters, with the name of the source's own folder in front, or
//! as a full path on some computer.
//!
//! A name that differs by a typing slip is only suggested, never taken.

use super::head::head_at;
use super::near::near;
use super::pages::Pages;
use super::typed::Typed;
use crate::history::timeline::chosen::Name;
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{Fault, Origin, RelPath, VersionId, is_hidden, shown, unshortened};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use icu_normalizer::ComposingNormalizerBorrowed;
use std::collections::{BTreeMap, BTreeSet};

/// Paths named in a message when several have the name; nobody reads more.
pub const ALIKE_SHOWN_MAX: usize = 10;

/// Paths kept while the list is walked: a text like `a` may be like a million names.
const KEPT_MAX: usize = 1_000;

/// Shortened keys whose paths are asked for. Each costs a request, and more would take
/// more than a minute.
const SHORTENED_ASKED_MAX: usize = 1_000;

/// How many of these requests run at once: as many as for other metadata.
const ASKED_AT_ONCE: usize = 32;

/// How close a name is to the typed one, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The same folders, spelled otherwise.
    SamePlace,
    /// Spelled as typed, elsewhere, or with the source's own name in front.
    Elsewhere,
    /// Elsewhere and spelled otherwise.
    Both,
}

/// The names that are like the typed one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    /// The closest ones, in key order, at most [`KEPT_MAX`]; true for a file.
    pub paths: Vec<(RelPath, bool)>,
    /// Names within a typing slip, the nearest first, at most [`ALIKE_SHOWN_MAX`].
    pub near: Vec<RelPath>,
    /// Names too long for a key that were not asked for.
    pub unasked: u64,
}

/// Search the whole list of versions, deleted files included. `called` holds the names
/// of the source and of its folder.
///
/// # Errors
/// The list cannot be had, or it was asked to stop.
pub async fn alike(
    store: &Store,
    origin: &Origin,
    called: &[String],
    typed: &Typed,
    stop: &mut Stop,
) -> Result<Alike, Fault> {
    let mut found = AlikeSearch::of(typed, called);
    let mut pages = Pages::new(store, &origin.bucket, vec![origin.prefix.clone()]);
    let mut last = String::new();
    let mut shortened = Vec::new();
    let mut unasked = 0;
    while let Some(page) = pages.next(stop).await? {
        for version in page.filter(|version| !version.is_marker) {
            if version.key == last {
                continue;
            }
            match Name::of(&version.key, &origin.prefix) {
                Some(Name::Path(key) | Name::Older(key)) => found.consider(&key.path()),
                Some(Name::Shortened) if shortened.len() < SHORTENED_ASKED_MAX => {
                    shortened.push((version.key.clone(), version.version_id));
                }
                Some(Name::Shortened) => unasked += 1,
                Some(Name::Foreign(_)) | None => {}
            }
            last = version.key;
        }
    }
    let asked = shortened.into_iter().map(|(key, version)| {
        let mut stop = stop.clone();
        async move { path_of_shortened(store, origin, &key, version.as_ref(), &mut stop).await }
    });
    let mut asked = stream::iter(asked).buffered(ASKED_AT_ONCE);
    while let Some(path) = asked.try_next().await? {
        if let Some(path) = path {
            found.consider(&path);
        }
    }
    Ok(Alike {
        unasked,
        ..found.closest()
    })
}

/// The path that a shortened key stands for, by its metadata.
pub(crate) async fn path_of_shortened(
    store: &Store,
    origin: &Origin,
    key: &str,
    version: Option<&VersionId>,
    stop: &mut Stop,
) -> Result<Option<RelPath>, Fault> {
    let at = At {
        bucket: &origin.bucket,
        key,
    };
    let head = head_at(store, at, version, stop).await?;
    let full = head.and_then(|head| head.meta.ok()?.full_key);
    let full = full.and_then(|full| unshortened(&origin.prefix, key, &full));
    Ok(full.map(|key| key.path()))
}

/// What the search has found so far.
struct AlikeSearch {
    wanted: Wanted,
    called_so: BTreeMap<RelPath, (Rank, bool)>,
    near: BTreeSet<(usize, RelPath)>,
}

impl AlikeSearch {
    fn of(typed: &Typed, called: &[String]) -> Self {
        let wanted = Wanted::of(typed, called);
        let mut called_so = BTreeMap::new();
        // No key stands for the source's folder itself.
        if wanted.is_source {
            called_so.insert(RelPath::root(), (Rank::Elsewhere, false));
        }
        Self {
            wanted,
            called_so,
            near: BTreeSet::new(),
        }
    }

    fn consider(&mut self, path: &RelPath) {
        for (rank, path, is_file) in self.wanted.within(path) {
            if self.called_so.len() < KEPT_MAX || self.called_so.contains_key(&path) {
                self.called_so.insert(path, (rank, is_file));
            }
        }
        // A slip is not suggested where something has the very name.
        if self.called_so.is_empty() {
            self.near.extend(self.wanted.nearly(path));
            while self.near.len() > ALIKE_SHOWN_MAX {
                self.near.pop_last();
            }
        }
    }

    fn closest(self) -> Alike {
        let best = self.called_so.values().map(|(rank, _)| *rank).min();
        let closest = self
            .called_so
            .into_iter()
            .filter(|(_, (rank, _))| Some(*rank) == best)
            .map(|(path, (_, is_file))| (path, is_file));
        Alike {
            paths: closest.collect(),
            near: self.near.into_iter().map(|(_, path)| path).collect(),
            unasked: 0,
        }
    }
}

/// A name as it is shown, and as it is compared (without case and accents).
type Spelt = (String, String);

/// What was typed, name by name.
struct Wanted {
    readings: Vec<Vec<Spelt>>,
    /// The same below the folder that has the source's name, where there is one.
    inside: Vec<Vec<Spelt>>,
    /// The source's own folder was named.
    is_source: bool,
    is_of_computer: bool,
}

impl Wanted {
    /// `called` holds the names of the source and of its folder.
    fn of(typed: &Typed, called: &[String]) -> Self {
        let called: Vec<String> = called.iter().map(|name| folded(&shown(name))).collect();
        let readings: Vec<Vec<Spelt>> = typed.names().map(|(_, path)| names(path)).collect();
        let ends_above = |names: &[Spelt]| {
            let last = names.last();
            last.is_some_and(|(_, name)| called.contains(name))
        };
        let below = |names: &Vec<Spelt>| {
            let cuts = (1..names.len()).filter(|cut| ends_above(&names[..*cut]));
            cuts.map(|cut| names[cut..].to_vec()).collect::<Vec<_>>()
        };
        Self {
            inside: readings.iter().flat_map(below).collect(),
            is_source: readings.iter().any(|names| ends_above(names)),
            readings,
            is_of_computer: typed.is_of_computer(),
        }
    }

    /// Which of a path and the folders above it has the typed name.
    fn within(&self, path: &RelPath) -> Vec<(Rank, RelPath, bool)> {
        let there = names(path);
        let mut found = Vec::new();
        for end in 1..=there.len() {
            let here = &there[..end];
            let ranks = self
                .readings
                .iter()
                .filter_map(|names| self.rank(names, here));
            let inside = self.inside.iter().filter_map(|names| inside(names, here));
            if let Some(rank) = ranks.chain(inside).min()
                && let Some(path) = beginning(path, end)
            {
                found.push((rank, path, end == there.len()));
            }
        }
        found
    }

    /// Which of them may have been meant, by how their names differ: in some letters, or
    /// in unknown folders in front.
    fn nearly(&self, path: &RelPath) -> Vec<(usize, RelPath)> {
        let there = names(path);
        let all = || self.readings.iter().chain(&self.inside);
        let mut found = Vec::new();
        for end in 1..=there.len() {
            let here = &there[..end];
            let slips = all().filter_map(|names| {
                let from = here.len().checked_sub(names.len())?;
                near(&compared(names), &compared(&here[from..]))
            });
            let begins_above = all()
                .filter(|names| names.len() > here.len())
                .filter(|names| compared(&names[names.len() - here.len()..]) == compared(here))
                .map(|names| names.len() - here.len());
            if let Some(by) = slips.chain(begins_above).min()
                && let Some(path) = beginning(path, end)
            {
                found.push((by, path));
            }
        }
        found
    }

    fn rank(&self, wanted: &[Spelt], there: &[Spelt]) -> Option<Rank> {
        // The source has the end of a computer's path; of other names the end is typed.
        let (long, short) = match self.is_of_computer {
            true => (wanted, there),
            false => (there, wanted),
        };
        let from = long.len().checked_sub(short.len())?;
        let pairs = || long[from..].iter().zip(short);
        if short.is_empty() || !pairs().all(|(a, b)| a.1 == b.1) {
            return None;
        }
        let is_as_typed = pairs().all(|(a, b)| a.0 == b.0);
        let is_in_place = from == 0 || self.is_of_computer;
        Some(match (is_in_place, is_as_typed) {
            // The longest common end is the best match.
            (true, _) if self.is_of_computer && short.len() < 2 && from > 0 => Rank::Both,
            (true, _) => Rank::SamePlace,
            (false, true) => Rank::Elsewhere,
            (false, false) => Rank::Both,
        })
    }
}

/// What follows the source's own name in a path is the whole path in the source.
fn inside(wanted: &[Spelt], there: &[Spelt]) -> Option<Rank> {
    let is_so = compared(wanted) == compared(there);
    is_so.then(|| match wanted == there {
        true => Rank::Elsewhere,
        false => Rank::Both,
    })
}

fn compared(names: &[Spelt]) -> Vec<&str> {
    names.iter().map(|(_, folded)| folded.as_str()).collect()
}

/// The first names of a path.
fn beginning(path: &RelPath, names: usize) -> Option<RelPath> {
    let inner = path
        .components()
        .take(names)
        .collect::<Vec<_>>()
        .join(&b'/');
    RelPath::from_bytes(inner).ok()
}

/// The names in a path, as they are shown and as they are compared.
fn names(path: &RelPath) -> Vec<Spelt> {
    let shown = |name: &[u8]| {
        let shown = RelPath::root().join(name).map(|name| name.to_string());
        shown.unwrap_or_default()
    };
    path.components()
        .map(|name| {
            let shown = shown(name);
            let folded = folded(&shown);
            (shown, folded)
        })
        .collect()
}

/// A name as it is shown, in lower case, with accents composed with their letters, and
/// without marks that nobody sees or types.
fn folded(name: &str) -> String {
    let whole = ComposingNormalizerBorrowed::new_nfc();
    let lower = whole.normalize(&without_marks(name)).to_lowercase();
    whole.normalize(&lower).into_owned()
}

/// Without direction marks and the like, and without what [`shown`] writes for them.
fn without_marks(name: &str) -> String {
    let is_mark = |c: char| is_hidden(c) && !c.is_control();
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, escape)) = rest.split_once(r"\u{") {
        out.push_str(before);
        let digits = escape.split_once('}');
        let mark = digits.and_then(|(digits, after)| {
            let code = u32::from_str_radix(digits, 16).ok()?;
            char::from_u32(code).filter(|c| is_mark(*c)).map(|_| after)
        });
        if mark.is_none() {
            out.push_str(r"\u{");
        }
        rest = mark.unwrap_or(escape);
    }
    out.push_str(rest);
    out.retain(|c| !is_mark(c));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, path: &[u8], is_of_computer: bool) -> Vec<(Rank, String, bool)> {
        let typed = match is_of_computer {
            true => Typed::of_computer(text),
            false => Typed::new(text),
        };
        let path = RelPath::from_bytes(path).unwrap();
        let within = Wanted::of(&typed.unwrap(), &[]).within(&path);
        let shown =
            |(rank, path, is_file): (Rank, RelPath, bool)| (rank, path.to_string(), is_file);
        within.into_iter().map(shown).collect()
    }

    #[test]
    fn what_is_called_like_what_was_typed() {
        use crate::history::alike::Rank::{Both, Elsewhere, SamePlace};
        for (text, path, want) in [
            (
                "offer.docx",
                &b"Customers/Miller/offer.docx"[..],
                Some((Elsewhere, "Customers/Miller/offer.docx", true)),
            ),
            (
                "Miller/offer.docx",
                b"Customers/Miller/offer.docx",
                Some((Elsewhere, "Customers/Miller/offer.docx", true)),
            ),
            (
                "Miller",
                b"Customers/Miller/offer.docx",
                Some((Elsewhere, "Customers/Miller", false)),
            ),
            (
                "customers/MILLER",
                b"Customers/Miller/offer.docx",
                Some((SamePlace, "Customers/Miller", false)),
            ),
            (
                "OFFER.DOCX",
                b"Customers/Miller/offer.docx",
                Some((Both, "Customers/Miller/offer.docx", true)),
            ),
            (
                "M\u{fc}ller",
                "Mu\u{308}ller/a".as_bytes(),
                Some((SamePlace, "Mu\u{308}ller", false)),
            ),
            (
                "mu\u{308}ller",
                "M\u{dc}LLER/a".as_bytes(),
                Some((SamePlace, "M\u{dc}LLER", false)),
            ),
            (
                "offer.docx",
                "Miller/offer\u{200f}.docx".as_bytes(),
                Some((Both, "Miller/offer\\u{200f}.docx", true)),
            ),
            (
                r"offer\u{200f}.docx",
                "Miller/offer\u{200f}.docx".as_bytes(),
                Some((Elsewhere, "Miller/offer\\u{200f}.docx", true)),
            ),
            (
                r"offer\u{1}.docx",
                b"offer\x01.docx",
                Some((SamePlace, r"offer\u{1}.docx", true)),
            ),
            (
                r"caf\xE9",
                b"x/caf\xe9",
                Some((Elsewhere, r"x/caf\xE9", true)),
            ),
            (
                "caf%E9",
                b"x/caf\xe9",
                Some((Elsewhere, r"x/caf\xE9", true)),
            ),
            (r"a\nb", b"a\nb", Some((SamePlace, r"a\nb", true))),
            ("offer", b"Customers/Miller/offer.docx", None),
            ("Customers/offer.docx", b"Customers/Miller/offer.docx", None),
        ] {
            // There a backslash stands between folders.
            if cfg!(windows) && text.contains('\\') {
                continue;
            }
            let want: Vec<_> = want
                .into_iter()
                .map(|(rank, path, is_file)| (rank, path.to_owned(), is_file))
                .collect();
            assert_eq!(found(text, path, false), want, "{text}");
        }
        for (text, path, want) in [
            ("/srv/office/Customers/a", &b"Customers/a"[..], true),
            ("/srv/office/a", b"a", true),
            ("/srv/office/b", b"a", false),
            ("/srv/office/Customers/a", b"Other/Customers/a", false),
        ] {
            assert_eq!(!found(text, path, true).is_empty(), want, "{text}");
        }
    }

    fn names_of(text: &str, called: &str) -> (Wanted, Vec<String>) {
        let typed = Typed::new(text).unwrap();
        let wanted = Wanted::of(&typed, &[called.to_owned(), "Bucket-1".to_owned()]);
        let mut found = Vec::new();
        for path in ["2026/Brief.txt", "2026/Br\u{e4}uning.txt", "Brief.txt"] {
            let path = RelPath::from_bytes(path).unwrap();
            let within = wanted.within(&path).into_iter();
            found.extend(within.map(|(_, path, _)| path.to_string()));
        }
        found.dedup();
        (wanted, found)
    }

    #[test]
    fn the_name_of_the_source_may_stand_in_front() {
        for (text, want) in [
            ("docs/2026/Brief.txt", &["2026/Brief.txt"][..]),
            ("office/DOCS/2026/brief.txt", &["2026/Brief.txt"]),
            ("bucket-1/2026/Brief.txt", &["2026/Brief.txt"]),
            ("docs/Brief.txt", &["Brief.txt"]),
            ("docs/2026", &["2026"]),
            // A different folder in front means a different file.
            ("2025/Brief.txt", &[]),
            ("docs/2025/Brief.txt", &[]),
        ] {
            let (wanted, found) = names_of(text, "docs");
            assert_eq!(found, want, "{text}");
            assert!(!wanted.is_source, "{text}");
        }
        assert!(names_of("office/Docs", "docs").0.is_source);
        assert!(!names_of("doc", "docs").0.is_source);
    }

    #[test]
    fn what_is_only_nearly_called_so_is_named_the_nearest_first() {
        for (text, want) in [
            ("2026/Breif.txt", &["2026/Brief.txt"][..]),
            ("Breif.txt", &["2026/Brief.txt", "Brief.txt"]),
            ("docs/2026/Breif.txt", &["2026/Brief.txt"]),
            ("2026/Brauning.txt", &["2026/Br\u{e4}uning.txt"]),
            ("somewhere/2026/Brief.txt", &["Brief.txt", "2026/Brief.txt"]),
            ("2026/Rechnung.txt", &[]),
            ("x.txt", &[]),
        ] {
            let typed = Typed::new(text).unwrap();
            let mut found = AlikeSearch::of(&typed, &["docs".to_owned()]);
            for path in ["2026/Brief.txt", "2026/Br\u{e4}uning.txt", "Brief.txt"] {
                found.consider(&RelPath::from_bytes(path).unwrap());
            }
            let found = found.closest();
            let mut near: Vec<String> = found.near.iter().map(ToString::to_string).collect();
            near.sort();
            let mut want: Vec<&str> = want.to_vec();
            want.sort_unstable();
            assert_eq!(near, want, "{text}");
            assert_eq!(found.paths, [], "{text}");
        }
    }
}
