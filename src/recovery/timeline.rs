//! What was current at a moment, streamed from the bucket's list of versions.
//!
//! Holds one page of the listing, however large the bucket is. It lists and
//! never opens an object.
//!
//! S3 says when it stored a version with a grain of one second (some servers a
//! millisecond), and for an upload in parts it says when that began. So a
//! version can count as current up to a second, or the time its upload took,
//! before it was complete. Where a version and a delete marker carry the same
//! time and neither is the newest, their order is not told: the version wins,
//! since a file too many is better than a file too few.

use super::retry::{Patience, Stop, told};
use super::selector::Selector;
use super::{Origin, shown};
use crate::error::{Fatal, Fault};
use crate::model::RelKey;
use crate::model::key::ForeignKey;
use crate::store::{Course, ListedVersion, Page, Store};

/// What a key in the bucket says about the file it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This path.
    Path(RelKey),
    /// The path is in the object's metadata.
    Shortened,
    /// No path of ours has this key; the reason in words.
    Foreign(String),
}

/// The version of one key that was current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Full key in the bucket.
    pub key: String,
    /// Whose it is.
    pub name: Name,
    /// Version id.
    pub version_id: String,
    /// ETag without quotes.
    pub etag: String,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
    /// S3 storage class.
    pub storage_class: String,
}

impl Chosen {
    /// The version to ask for.
    pub(super) fn version(&self) -> Option<&str> {
        Some(&self.version_id)
    }

    /// What tells this version's bytes from every other's.
    pub(super) fn identity(&self) -> String {
        format!("{}\n{}\n{}", self.key, self.version_id, self.etag)
    }

    /// As people know it: the file's path, or the key on one line.
    pub fn subject(&self) -> String {
        match &self.name {
            Name::Path(key) => key.path().to_string(),
            Name::Shortened | Name::Foreign(_) => shown(&self.key),
        }
    }
}

/// Picks each key's version out of a listing: the first, that is the newest,
/// that is not younger than the moment.
#[derive(Debug, Default)]
struct Chooser {
    at_ms: Option<i64>,
    key: Option<String>,
    decided: bool,
}

impl Chooser {
    /// Take the next version of the listing; given back when it is the one. A
    /// delete marker that is the one means that there was no file.
    fn push(&mut self, version: ListedVersion) -> Option<ListedVersion> {
        if self.key.as_deref() != Some(version.key.as_str()) {
            self.key = Some(version.key.clone());
            self.decided = false;
        }
        let was_there = self.at_ms.is_none_or(|at_ms| version.modified_ms <= at_ms);
        if self.decided || !was_there {
            return None;
        }
        self.decided = true;
        (!version.is_marker).then_some(version)
    }
}

/// The versions that were current at a moment, in key order within each of the
/// selector's prefixes.
pub struct Timeline<'a> {
    store: &'a Store,
    origin: &'a Origin,
    selector: &'a Selector,
    chooser: Chooser,
    prefixes: std::vec::IntoIter<String>,
    prefix: Option<String>,
    after: Option<String>,
    course: Course,
    in_order: bool,
    pages: u64,
    page: std::vec::IntoIter<ListedVersion>,
    first_ms: Option<i64>,
}

impl<'a> Timeline<'a> {
    /// What was current at `at_ms` (milliseconds since 1970), or is now.
    pub fn new(
        store: &'a Store,
        origin: &'a Origin,
        selector: &'a Selector,
        at_ms: Option<i64>,
    ) -> Self {
        let mut prefixes = selector.prefixes(&origin.prefix).into_iter();
        Self {
            store,
            origin,
            selector,
            chooser: Chooser {
                at_ms,
                ..Chooser::default()
            },
            prefix: prefixes.next(),
            prefixes,
            after: None,
            course: Course::default(),
            in_order: true,
            pages: 0,
            page: Vec::new().into_iter(),
            first_ms: None,
        }
    }

    /// The earliest version seen so far, whether chosen or not.
    pub fn first_ms(&self) -> Option<i64> {
        self.first_ms
    }

    /// False once the server's keys have gone back: then an older version of a
    /// key may be given after its newest.
    pub fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Pages of the listing so far.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The next one; `None` at the end, or when told to stop.
    ///
    /// # Errors
    /// The listing cannot be had: then nothing can be said about the rest.
    pub async fn next(&mut self, stop: &mut Stop) -> Result<Option<Chosen>, Fatal> {
        loop {
            for version in self.page.by_ref() {
                let Some(name) = name_of(&version.key, self.origin, self.selector) else {
                    continue;
                };
                let modified_ms = version.modified_ms;
                if !version.is_marker && self.first_ms.is_none_or(|first| modified_ms < first) {
                    self.first_ms = Some(modified_ms);
                }
                if let Some(version) = self.chooser.push(version) {
                    return Ok(Some(Chosen {
                        key: version.key,
                        name,
                        version_id: version.version_id,
                        etag: version.etag,
                        stored_bytes: version.stored_bytes,
                        modified_ms,
                        storage_class: version.storage_class,
                    }));
                }
            }
            if stop.is_asked() || !self.turn_page(stop).await? {
                return Ok(None);
            }
        }
    }

    /// Get the next page; false when there is none.
    async fn turn_page(&mut self, stop: &mut Stop) -> Result<bool, Fatal> {
        let Some(prefix) = self.prefix.clone() else {
            return Ok(false);
        };
        let (store, bucket, after) = (self.store, &self.origin.bucket, self.after.as_deref());
        let page = list_page(store, bucket, &prefix, after, stop).await?;
        self.pages += 1;
        self.in_order &= self.course.versions(&page, bucket)?;
        self.page = page.items.into_iter();
        if page.next.is_none() {
            self.prefix = self.prefixes.next();
            self.course = Course::default();
        }
        self.after = page.next;
        Ok(true)
    }
}

/// One page of a listing, tried again while the failure passes by itself.
pub(super) async fn list_page(
    store: &Store,
    bucket: &str,
    prefix: &str,
    after: Option<&str>,
    stop: &mut Stop,
) -> Result<Page<ListedVersion>, Fault> {
    let mut patience = Patience::default();
    loop {
        match store.list_versions(bucket, prefix, after).await {
            Err(fault) if patience.again(&fault, stop).await => {}
            done => return done.map_err(told),
        }
    }
}

/// Whose key it is; `None` when it was not asked for.
fn name_of(key: &str, origin: &Origin, selector: &Selector) -> Option<Name> {
    let within = key.strip_prefix(origin.prefix.as_str())?;
    match RelKey::parse(within) {
        Ok(key) => selector.matches(&key.path()).then_some(Name::Path(key)),
        // Its path is not known yet: it is asked again when it is.
        Err(ForeignKey::Shortened) => Some(Name::Shortened),
        Err(foreign) if selector.is_everything() => Some(Name::Foreign(foreign.to_string())),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(key: &str, version_id: &str, modified_ms: i64) -> ListedVersion {
        ListedVersion {
            key: key.to_owned(),
            version_id: version_id.to_owned(),
            is_latest: false,
            is_marker: version_id.starts_with('x'),
            etag: String::new(),
            stored_bytes: 1,
            modified_ms,
            storage_class: String::new(),
        }
    }

    fn choose(at_ms: Option<i64>, listing: &[(&str, &str, i64)]) -> Vec<String> {
        let mut chooser = Chooser {
            at_ms,
            ..Chooser::default()
        };
        listing
            .iter()
            .filter_map(|(key, id, ms)| chooser.push(version(key, id, *ms)))
            .map(|chosen| format!("{}@{}", chosen.key, chosen.version_id))
            .collect()
    }

    #[test]
    fn one_key_through_time() {
        // Ids beginning with x are delete markers.
        let listing = [
            ("k", "v5", 500),
            ("k", "x4", 400),
            ("k", "v3", 300),
            ("k", "v2", 200),
        ];
        for (at_ms, want) in [
            (None, vec!["k@v5"]),
            (Some(i64::MAX), vec!["k@v5"]),
            (Some(500), vec!["k@v5"]),
            (Some(499), vec![]),
            (Some(400), vec![]),
            (Some(399), vec!["k@v3"]),
            (Some(200), vec!["k@v2"]),
            (Some(199), vec![]),
        ] {
            assert_eq!(choose(at_ms, &listing), want, "{at_ms:?}");
        }
    }

    #[test]
    fn several_keys_markers_and_ties() {
        for (at_ms, listing, want) in [
            // A marker that is the newest: no file, whatever lies below.
            (
                None,
                vec![("a", "x2", 2), ("a", "v1", 1), ("b", "v1", 1)],
                vec!["b@v1"],
            ),
            // Of one instant, the server's order decides.
            (Some(5), vec![("a", "v2", 5), ("a", "v1", 5)], vec!["a@v2"]),
            (Some(5), vec![("a", "v2", 5), ("a", "x1", 5)], vec!["a@v2"]),
            // Each key is decided for itself, also one that has not begun yet.
            (
                Some(5),
                vec![
                    ("a", "v1", 9),
                    ("b", "v2", 9),
                    ("b", "v1", 4),
                    ("c", "v1", 5),
                ],
                vec!["b@v1", "c@v1"],
            ),
            // A key that is the beginning of another is another key.
            (
                None,
                vec![("a", "v1", 1), ("a/", "v1", 1), ("a/b", "v1", 1)],
                vec!["a@v1", "a/@v1", "a/b@v1"],
            ),
            (None, vec![], vec![]),
        ] {
            assert_eq!(choose(at_ms, &listing), want, "{listing:?}");
        }
    }

    #[test]
    fn a_key_split_by_a_page_is_still_one_key() {
        let listing = [
            ("a", "v3", 3),
            ("a", "v2", 2),
            ("a", "v1", 1),
            ("b", "x2", 2),
            ("b", "v1", 1),
        ];
        // The chooser outlives the page, so any split gives what the whole gives.
        for at_ms in [None, Some(1), Some(2), Some(0)] {
            let whole = choose(at_ms, &listing);
            for split in 0..listing.len() {
                let mut chooser = Chooser {
                    at_ms,
                    ..Chooser::default()
                };
                let mut got = Vec::new();
                for page in [&listing[..split], &listing[split..]] {
                    for (key, id, ms) in page {
                        got.extend(
                            chooser
                                .push(version(key, id, *ms))
                                .map(|c| format!("{}@{}", c.key, c.version_id)),
                        );
                    }
                }
                assert_eq!(got, whole, "{at_ms:?}, split at {split}");
            }
        }
    }

    #[test]
    fn whose_key_it_is() {
        let origin = Origin {
            bucket: "b".into(),
            prefix: "office/".into(),
        };
        let all = Selector::everything();
        let some = Selector::new(&["a"]).unwrap();
        let shortened = format!("office/ddd~kw-{}", "0".repeat(32));
        let of = |key: &str, selector: &Selector| name_of(key, &origin, selector);
        assert!(matches!(of("office/a/b", &some), Some(Name::Path(_))));
        assert_eq!(of("office/c", &some), None);
        assert_eq!(of("elsewhere/a", &all), None);
        assert_eq!(of(&shortened, &some), Some(Name::Shortened));
        for key in ["office/", "office/../a", "office//etc/x", "office/a%00"] {
            assert!(matches!(of(key, &all), Some(Name::Foreign(_))), "{key}");
            assert_eq!(of(key, &some), None, "{key}");
        }
    }
}
