//! The bucket's list of versions as a stream, key by key.
//!
//! Holds one page. A list whose keys go back is refused: what it does not show may
//! still exist.

use crate::history::Pages;
use crate::retry::Stop;
use crate::s3::{ListedVersion, Store};
use crate::types::{Class, Fatal, Fault, Origin, VersionId};
use std::collections::VecDeque;

/// The versions of one key that matter.
#[derive(Debug, Clone)]
pub(crate) struct KeyVersions {
    /// The newest version or delete marker.
    pub(crate) newest: ListedVersion,
    /// The version that the index counts on, when it is in the list.
    pub(crate) pinned: Option<ListedVersion>,
}

impl KeyVersions {
    /// The versions of a list that begins with `first`.
    pub(crate) fn of(first: ListedVersion, pinned_id: Option<&VersionId>) -> Self {
        let is_pinned = !first.is_marker && pinned_id == first.version_id.as_ref();
        Self {
            pinned: is_pinned.then(|| first.clone()),
            newest: first,
        }
    }

    /// One more version of the same key.
    pub(crate) fn older(&mut self, version: &ListedVersion, pinned_id: Option<&VersionId>) {
        if !version.is_marker && pinned_id == version.version_id.as_ref() {
            self.pinned = Some(version.clone());
        }
    }
}

/// The versions below one prefix.
pub(crate) struct VersionListing<'a> {
    bucket: &'a str,
    pages: Pages<'a>,
    page: VecDeque<ListedVersion>,
}

impl<'a> VersionListing<'a> {
    pub(crate) fn new(store: &'a Store, origin: &'a Origin, prefix: String) -> Self {
        Self {
            bucket: &origin.bucket,
            pages: Pages::new(store, &origin.bucket, vec![prefix]),
            page: VecDeque::new(),
        }
    }

    /// The next version without taking it; `None` at the end.
    pub(crate) async fn peek(&mut self, stop: &mut Stop) -> Result<Option<&ListedVersion>, Fatal> {
        while self.page.is_empty() {
            let Some(page) = self.pages.next(stop).await? else {
                return Ok(None);
            };
            if !self.pages.is_in_order() {
                return Err(out_of_order(self.bucket).into());
            }
            self.page = page.collect();
        }
        Ok(self.page.front())
    }

    /// Take the next version, if it is one of this key.
    pub(crate) async fn take_of(
        &mut self,
        key: &str,
        stop: &mut Stop,
    ) -> Result<Option<ListedVersion>, Fatal> {
        let is_of_it = self.peek(stop).await?.is_some_and(|next| next.key == key);
        Ok(if is_of_it {
            self.page.pop_front()
        } else {
            None
        })
    }
}

fn out_of_order(bucket: &str) -> Fault {
    Fault::new(
        Class::Refused,
        "verify",
        bucket,
        "the server does not list its keys in order, so nothing can be said of what is missing",
    )
    .hint("show this line to your technician: S3 lists keys in order")
}
