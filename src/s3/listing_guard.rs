//! Makes sure that a listing gets on and ends, whatever the server sends.
//!
//! Invariant: whoever asks a [`ListingGuard`] after each page reaches an end, unless the
//! server names new keys for ever. It holds a few numbers and one key, however long the
//! listing is.

use super::page::{Listed, ListedVersion, Page, broken as refused};
use super::seam::Next;
use crate::types::{Fault, Operation};
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

/// Empty pages allowed in a row: servers that filter as they go send some; one that sends
/// nothing else is broken.
const EMPTY_PAGES_MAX: u32 = 1_000;

/// Pages in a row about one key. 100 million versions are a save every second for three
/// years; beyond that the listing never ends.
const PAGES_OF_ONE_KEY_MAX: u32 = 100_000;

/// What is known of the pages so far.
#[derive(Debug, Default)]
pub struct ListingGuard {
    last_key: String,
    empty_pages: u32,
    pages_of_one_key: u32,
    /// A page seen before and the token after it. It moves on after 1, 2, 4, 8 …
    /// pages, so a circle of any length meets it (Brent's way to find cycles).
    mark: Option<Seen>,
    /// Pages until the mark moves on, and how many that were the last time.
    until_move: u64,
    stride: u64,
}

/// What a page is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    items: Option<u64>,
    next: u64,
}

/// What a page tells about its place in the listing.
struct Facts<'a> {
    first_key: Option<&'a str>,
    last_key: Option<&'a str>,
    /// Of the first and the last item.
    items: Option<u64>,
    next: Option<&'a Next>,
}

impl ListingGuard {
    /// After each page of current objects. A key that comes twice or out of
    /// order is refused: nothing could be compared with such a listing.
    ///
    /// # Errors
    /// Class `Refused`: the listing does not get on.
    pub fn objects(&mut self, page: &Page<Listed>, bucket: &str) -> Result<(), Fault> {
        let mut last = self.last_key.as_str();
        for item in &page.items {
            if item.key.as_str() <= last {
                return Err(refused(
                    Operation::List,
                    bucket,
                    "it does not give its keys in order",
                ));
            }
            last = &item.key;
        }
        let facts = Facts {
            first_key: page.items.first().map(|item| item.key.as_str()),
            last_key: page.items.last().map(|item| item.key.as_str()),
            items: ends(&page.items, |item| digest(&item.key)),
            next: page.next.as_deref(),
        };
        self.get_on(&facts)
            .map_err(|cause| refused(Operation::List, bucket, cause))
    }

    /// After each page of versions. True when the page goes on where the last
    /// one ended; false when its keys go back, so that a key may come again
    /// whose newest version has been seen long ago.
    ///
    /// # Errors
    /// Class `Refused`: the listing does not get on.
    pub fn versions(&mut self, page: &Page<ListedVersion>, bucket: &str) -> Result<bool, Fault> {
        let facts = Facts {
            first_key: page.items.first().map(|item| item.key.as_str()),
            last_key: page.items.last().map(|item| item.key.as_str()),
            items: ends(&page.items, |item| digest(&(&item.key, &item.version_id))),
            next: page.next.as_deref(),
        };
        let in_order = page.in_order
            && facts
                .first_key
                .is_none_or(|first| first >= self.last_key.as_str());
        self.get_on(&facts)
            .map_err(|cause| refused(Operation::ListVersions, bucket, cause))?;
        Ok(in_order)
    }

    fn get_on(&mut self, facts: &Facts<'_>) -> Result<(), &'static str> {
        let Some(next) = facts.next else {
            return Ok(());
        };
        self.empty_pages = match facts.items {
            None => self.empty_pages + 1,
            Some(_) => 0,
        };
        if self.empty_pages > EMPTY_PAGES_MAX {
            return Err("it gives nothing but empty pages");
        }
        let stays = facts.last_key.is_none()
            || (facts.first_key == facts.last_key
                && facts.last_key == Some(self.last_key.as_str()));
        self.pages_of_one_key = if stays { self.pages_of_one_key + 1 } else { 0 };
        if self.pages_of_one_key > PAGES_OF_ONE_KEY_MAX {
            return Err("it goes on about one and the same key");
        }
        if let Some(last) = facts.last_key {
            last.clone_into(&mut self.last_key);
        }
        let seen = Seen {
            items: facts.items,
            next: digest(&next),
        };
        let is_again = self.mark.as_ref().is_some_and(|mark| {
            mark.next == seen.next || (mark.items.is_some() && mark.items == seen.items)
        });
        if is_again {
            return Err("it gives the same pages again and again");
        }
        if self.until_move == 0 {
            self.mark = Some(seen);
            self.stride = (self.stride * 2).max(1);
            self.until_move = self.stride;
        }
        self.until_move -= 1;
        Ok(())
    }
}

/// First and last item as one number; `None` for an empty page.
fn ends<T>(items: &[T], of: impl Fn(&T) -> u64) -> Option<u64> {
    let (first, last) = (items.first()?, items.last()?);
    Some(digest(&(of(first), of(last), items.len())))
}

/// Different pages share it with a chance of one in 2^64.
fn digest(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ETag, VersionId};

    fn page(keys: &[(&str, &str)], next: Option<&str>) -> Page<ListedVersion> {
        let items = keys.iter().map(|(key, version_id)| ListedVersion {
            key: (*key).to_owned(),
            version_id: VersionId::new(*version_id),
            is_latest: false,
            is_marker: false,
            etag: ETag::default(),
            stored_bytes: 0,
            modified_ms: 0,
            storage_class: String::new(),
        });
        Page {
            items: items.collect(),
            next: next.map(|token| Box::new(Next::after_key(token))),
            in_order: true,
        }
    }

    fn objects(keys: &[&str], next: Option<&str>) -> Page<Listed> {
        let items = keys.iter().map(|key| Listed {
            key: (*key).to_owned(),
            etag: ETag::default(),
            stored_bytes: 0,
            modified_ms: 0,
        });
        Page {
            items: items.collect(),
            next: next.map(|token| Box::new(Next::after_key(token))),
            in_order: true,
        }
    }

    /// Pages until it is found out; panics when it never is.
    fn pages_until(mut give: impl FnMut(u64) -> Page<ListedVersion>) -> (u64, String) {
        let mut guard = ListingGuard::default();
        for number in 0..1_000_000 {
            if let Err(fault) = guard.versions(&give(number), "b") {
                return (number, fault.cause);
            }
        }
        panic!("it is never found out");
    }

    #[test]
    fn a_listing_that_gets_on_is_let_through() {
        let mut guard = ListingGuard::default();
        for number in 0..5_000_u32 {
            let key = format!("k{number:05}");
            let given = page(&[(&key, "1"), (&key, "0")], Some(&key));
            assert_eq!(guard.versions(&given, "b"), Ok(true), "{number}");
        }
        // Thousands of pages about one key, and pages that hold nothing.
        for number in 0..5_000_u32 {
            let (first, last) = (format!("{number}a"), format!("{number}b"));
            let given = page(&[("z", &first), ("z", &last)], Some(&first));
            assert_eq!(guard.versions(&given, "b"), Ok(true), "{number}");
        }
        for number in 0..EMPTY_PAGES_MAX {
            let token = format!("e{number}");
            assert_eq!(guard.versions(&page(&[], Some(&token)), "b"), Ok(true));
        }
        assert_eq!(guard.versions(&page(&[], None), "b"), Ok(true));
    }

    #[test]
    fn circles_of_any_length_are_found_out() {
        for length in [1, 2, 3, 7, 64, 1_000] {
            // By their tokens, with items that differ each time …
            let (pages, cause) = pages_until(|number| {
                let key = format!("{number:07}");
                page(&[(&key, "v")], Some(&(number % length).to_string()))
            });
            assert!(pages <= 4 * length + 2, "{length}: {pages}");
            assert!(cause.contains("again and again"), "{cause}");
            // … and by their items, with tokens that differ each time.
            let (pages, cause) = pages_until(|number| {
                let version = (number % length).to_string();
                page(&[("k", &version)], Some(&number.to_string()))
            });
            assert!(pages <= 4 * length + 2, "{length}: {pages}");
            assert!(cause.contains("again and again"), "{cause}");
        }
    }

    #[test]
    fn nothing_for_ever_and_one_key_for_ever_end() {
        let (pages, cause) = pages_until(|number| page(&[], Some(&number.to_string())));
        assert_eq!(pages, u64::from(EMPTY_PAGES_MAX));
        assert!(cause.contains("empty pages"), "{cause}");
        let (pages, cause) = pages_until(|number| {
            let version = number.to_string();
            page(&[("k", &version)], Some(&version))
        });
        assert!(pages <= u64::from(PAGES_OF_ONE_KEY_MAX) + 1, "{pages}");
        assert!(cause.contains("one and the same key"), "{cause}");
    }

    #[test]
    fn keys_that_go_back_are_noticed() {
        let mut guard = ListingGuard::default();
        for (key, token, want) in [("b", "1", true), ("b", "2", true), ("a", "3", false)] {
            let given = page(&[(key, token)], Some(token));
            assert_eq!(guard.versions(&given, "b"), Ok(want), "{key} {token}");
        }
        for keys in [&["b", "a"][..], &["a", "a"], &["0"], &["0a"]] {
            let mut guard = ListingGuard::default();
            guard
                .objects(&objects(&["0", "0a"], Some("t")), "b")
                .unwrap();
            let fault = guard.objects(&objects(keys, None), "b").unwrap_err();
            assert!(fault.cause.contains("in order"), "{fault}");
        }
    }
}
