//! One page of a listing: S3's rules of prefix, delimiter and marker.
//!
//! A page costs as much as it shows, plus the deleted keys it passes over, never the whole
//! bucket. It knows only keys and versions; the operations do XML and URL encoding.

use super::failure;
use super::inner::Inner;
use super::log::{self, Log};
use super::names::Walker;
use super::record::{Object, Version};
use s3s::S3Result;
use std::io;
use std::ops::Bound;

/// S3's largest page.
pub(super) const PAGE_ITEMS_MAX: usize = 1000;

/// What a listing asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Only what sorts after this key or common prefix.
    pub(super) after: Option<String>,
    /// With `after`: go on within that key, below this version.
    pub(super) after_version: Option<String>,
    pub(super) max: usize,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<T> {
    /// Keys that share their beginning up to the delimiter.
    Prefix(String),
    Entry(T),
}

/// One page.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<Item<T>>,
    /// True when there is more.
    pub(super) is_truncated: bool,
}

/// A version in a listing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) version: Version,
    pub(super) is_latest: bool,
}

impl Query {
    /// The part of `key` that stands for it and its like, if there is one.
    pub(super) fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref().filter(|d| !d.is_empty())?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    /// Where to begin walking.
    fn start(&self) -> Bound<&str> {
        match &self.after {
            Some(after) if *after >= self.prefix => {
                if self.after_version.is_some() {
                    Bound::Included(after)
                } else {
                    Bound::Excluded(after)
                }
            }
            _ => Bound::Included(&self.prefix),
        }
    }

    /// Was this common prefix on an earlier page?
    fn is_shown(&self, common: &str) -> bool {
        self.after.as_deref().is_some_and(|after| common <= after)
    }
}

impl Inner {
    fn walk(&self, bucket: &str, start: Bound<&str>) -> S3Result<Walker<'_>> {
        let keys = self.layout.keys(bucket);
        Walker::new(&self.names, &keys, self.is_sole_writer(), start)
            .map_err(|e| failure::disk("list", &keys, &e))
    }

    /// A page of what is current: objects, no markers.
    pub(super) fn list_objects(
        &self,
        bucket: &str,
        query: &Query,
    ) -> S3Result<Page<(String, i64, Object)>> {
        self.page(bucket, query, |key, _| {
            let newest = self.newest(bucket, key)?;
            Ok(newest
                .and_then(|version| {
                    let modified_ms = version.modified_ms;
                    version.object.map(|object| (modified_ms, object))
                })
                .map(|(modified_ms, object)| (key.to_owned(), modified_ms, object))
                .into_iter()
                .collect())
        })
    }

    /// A page of all versions and markers, newest first within a key.
    pub(super) fn list_versions(&self, bucket: &str, query: &Query) -> S3Result<Page<Listed>> {
        self.page(bucket, query, |key, room| {
            let marker = query
                .after_version
                .as_deref()
                .filter(|_| query.after.as_deref() == Some(key));
            self.versions_of(bucket, key, marker, room)
        })
    }

    /// Up to `room` versions of a key, newest first, below `marker`.
    fn versions_of(
        &self,
        bucket: &str,
        key: &str,
        marker: Option<&str>,
        room: usize,
    ) -> S3Result<Vec<Listed>> {
        let path = self.layout.log(bucket, key);
        let read = || -> io::Result<Vec<Listed>> {
            let Some(log) = Log::open(&path)? else {
                return Ok(Vec::new());
            };
            let Some(newest) = log.newest()? else {
                return Ok(Vec::new());
            };
            let end = match marker {
                None => None,
                Some(id) => match log::offset_of(id) {
                    Some(offset) => Some(offset),
                    None => log.find(id)?.map(|found| found.offset),
                },
            };
            let mut listed = Vec::new();
            for found in log.back_from(end)? {
                let found = found?;
                if !found.is_live || log.is_shadowed(&found)? {
                    continue;
                }
                listed.push(Listed {
                    key: key.to_owned(),
                    is_latest: found.offset == newest.offset,
                    version: found.version,
                });
                if listed.len() >= room {
                    break;
                }
            }
            Ok(listed)
        };
        read().map_err(|e| failure::disk("read", &path, &e))
    }

    /// True when a key of the bucket has any version.
    pub(super) fn has_versions(&self, bucket: &str) -> S3Result<bool> {
        let query = Query {
            max: 1,
            ..Query::default()
        };
        Ok(!self.list_versions(bucket, &query)?.items.is_empty())
    }

    /// Walk keys in order; `entries` gives what to show of one, at most so many.
    fn page<T>(
        &self,
        bucket: &str,
        query: &Query,
        entries: impl Fn(&str, usize) -> S3Result<Vec<T>>,
    ) -> S3Result<Page<T>> {
        let mut page = Page {
            items: Vec::new(),
            is_truncated: false,
        };
        if query.max == 0 {
            return Ok(page);
        }
        let keys = self.layout.keys(bucket);
        let fail = |e: io::Error| failure::disk("list", &keys, &e);
        let mut walker = self.walk(bucket, query.start())?;
        // The common prefix whose keys are done with.
        let mut done: Option<String> = None;
        while let Some(key) = walker.next_key().map_err(fail)? {
            if !key.starts_with(&query.prefix) {
                break;
            }
            if done.as_deref().is_some_and(|done| key.starts_with(done)) {
                continue;
            }
            let room = query.max - page.items.len();
            let common = query.common_prefix(&key);
            if let Some(common) = common {
                if !query.is_shown(common) {
                    if entries(&key, 1)?.is_empty() {
                        continue;
                    }
                    if room == 0 {
                        page.is_truncated = true;
                        break;
                    }
                    page.items.push(Item::Prefix(common.to_owned()));
                }
                let behind = beyond(common);
                walker.seek(Bound::Excluded(&behind)).map_err(fail)?;
                done = Some(common.to_owned());
                continue;
            }
            // One more than fits tells whether there is more.
            let shown = entries(&key, room + 1)?;
            page.is_truncated = shown.len() > room;
            page.items
                .extend(shown.into_iter().take(room).map(Item::Entry));
            if page.is_truncated {
                break;
            }
        }
        Ok(page)
    }
}

/// A key behind nearly all keys that begin with `prefix`.
fn beyond(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}
