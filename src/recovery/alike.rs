//! What in the backup is called like something that somebody typed, where nothing
//! is called exactly so: in another folder, with other capitals, with letters and
//! accents put together otherwise, or by the whole path on some computer.

use super::Origin;
use super::pages::Pages;
use super::retry::Stop;
use super::selector::Typed;
use super::timeline::Name;
use crate::error::Fault;
use crate::model::RelPath;
use crate::store::Store;
use icu_normalizer::ComposingNormalizerBorrowed;
use std::collections::BTreeMap;

/// Paths that are named when several are called so; nobody reads more.
pub const ALIKE_SHOWN_MAX: usize = 10;

/// Paths that are kept while the list is walked; who typed `a` may mean a million.
const KEPT_MAX: usize = 1_000;

/// How like it is, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The same folders, spelled otherwise.
    SamePlace,
    /// Spelled as typed, elsewhere.
    Elsewhere,
    /// Elsewhere and spelled otherwise.
    Both,
}

/// What is called like it: the closest of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    /// In key order, at most [`KEPT_MAX`]; what is a file has true.
    pub paths: Vec<(RelPath, bool)>,
}

/// Walk the whole list of versions, of deleted files as well. What stands under a
/// shortened key is not found: only a request for each would tell its path.
///
/// # Errors
/// The list cannot be had, or it was asked to stop.
pub async fn alike(
    store: &Store,
    origin: &Origin,
    typed: &Typed,
    stop: &mut Stop,
) -> Result<Alike, Fault> {
    let wanted = Wanted::of(typed);
    let mut found: BTreeMap<RelPath, (Rank, bool)> = BTreeMap::new();
    let mut pages = Pages::new(store, &origin.bucket, vec![origin.prefix.clone()]);
    let mut last = String::new();
    while let Some(page) = pages.next(stop).await? {
        for version in page.filter(|version| !version.is_marker) {
            if version.key == last {
                continue;
            }
            if let Some(Name::Path(key) | Name::Older(key)) = Name::of(&version.key, &origin.prefix)
            {
                for (rank, path, is_file) in wanted.within(&key.path()) {
                    if found.len() < KEPT_MAX || found.contains_key(&path) {
                        found.insert(path, (rank, is_file));
                    }
                }
            }
            last = version.key;
        }
    }
    let best = found.values().map(|(rank, _)| *rank).min();
    let closest = found
        .into_iter()
        .filter(|(_, (rank, _))| Some(*rank) == best)
        .map(|(path, (_, is_file))| (path, is_file));
    Ok(Alike {
        paths: closest.collect(),
    })
}

/// What was typed, name by name: as it is, and without what spellings differ in.
struct Wanted {
    readings: Vec<Vec<(String, String)>>,
    is_of_computer: bool,
}

impl Wanted {
    fn of(typed: &Typed) -> Self {
        Self {
            readings: typed.names().map(|(_, path)| names(path)).collect(),
            is_of_computer: typed.is_of_computer(),
        }
    }

    /// Which of a path and the folders above it is called so.
    fn within(&self, path: &RelPath) -> Vec<(Rank, RelPath, bool)> {
        let there = names(path);
        let mut found = Vec::new();
        for wanted in &self.readings {
            for end in 1..=there.len() {
                let Some(rank) = self.rank(wanted, &there[..end]) else {
                    continue;
                };
                let inner = path.components().take(end).collect::<Vec<_>>().join(&b'/');
                if let Ok(inner) = RelPath::from_bytes(inner) {
                    found.push((rank, inner, end == there.len()));
                }
            }
        }
        found
    }

    fn rank(&self, wanted: &[(String, String)], there: &[(String, String)]) -> Option<Rank> {
        // Of a computer's path the source has the end; of all else its end is typed.
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
            // The longest end of a computer's path says most.
            (true, _) if self.is_of_computer && short.len() < 2 && from > 0 => Rank::Both,
            (true, _) => Rank::SamePlace,
            (false, true) => Rank::Elsewhere,
            (false, false) => Rank::Both,
        })
    }
}

/// The names in a path, as they are shown and as they are compared.
fn names(path: &RelPath) -> Vec<(String, String)> {
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

/// Without capitals, and with accents on their letters.
fn folded(name: &str) -> String {
    let whole = ComposingNormalizerBorrowed::new_nfc();
    let lower = whole.normalize(name).to_lowercase();
    whole.normalize(&lower).into_owned()
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
        let within = Wanted::of(&typed.unwrap()).within(&path);
        let shown =
            |(rank, path, is_file): (Rank, RelPath, bool)| (rank, path.to_string(), is_file);
        within.into_iter().map(shown).collect()
    }

    #[test]
    fn what_is_called_like_what_was_typed() {
        use Rank::{Both, Elsewhere, SamePlace};
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
}
