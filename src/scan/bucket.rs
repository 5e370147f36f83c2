//! The bucket's listing as a peekable stream of our own keys. Blocking.
//!
//! Invariant: once a listing breaks off or is out of order, it shows nothing as missing.

use super::listing::{Entry, Owner, Page, Pages};
use crate::s3::Listed;
use crate::types::RelKey;
use std::collections::VecDeque;
use tokio::runtime::Handle;

/// The listing as a peekable stream of our own keys.
pub(crate) struct Bucket {
    pages: Option<Pages>,
    page: VecDeque<Entry>,
    last_key: String,
    runtime: Handle,
    /// Its end was seen.
    ended: bool,
}

/// What comes next in the listing.
pub(crate) enum Front {
    /// One of ours, in the order of the merge.
    Ours(RelKey),
    /// One that has no place in that order.
    OutOfOrder(Entry),
    /// The end, or no listing at all.
    End,
}

impl Bucket {
    /// The listing of these pages; `None` when the scan does not ask the bucket.
    pub fn new(pages: Option<Pages>, runtime: &Handle) -> Self {
        Self {
            pages,
            page: VecDeque::new(),
            last_key: String::new(),
            runtime: runtime.clone(),
            ended: false,
        }
    }

    /// True when its end was seen: what it did not show is not there.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// True while the listing can be used.
    pub fn is_asked(&self) -> bool {
        self.pages.is_some()
    }

    /// What comes next. An error says why the listing cannot be used any further.
    pub fn peek(&mut self) -> Result<Front, String> {
        let Some(pages) = &mut self.pages else {
            return Ok(Front::End);
        };
        while self.page.is_empty() {
            match self.runtime.block_on(pages.recv()) {
                _ if self.ended => return Ok(Front::End),
                Some(Ok(Page::Entries(entries))) => self.page.extend(entries),
                Some(Ok(Page::End)) => {
                    self.ended = true;
                    return Ok(Front::End);
                }
                None => {
                    self.pages = None;
                    return Err("the bucket's listing broke off".into());
                }
                Some(Err(fault)) => {
                    self.pages = None;
                    return Err(fault.to_string());
                }
            }
        }
        let Some(entry) = self.page.pop_front() else {
            return Ok(Front::End);
        };
        if entry.listed.key.as_bytes() < self.last_key.as_bytes() {
            self.pages = None;
            self.page.clear();
            return Err(
                "the server does not list its keys in order, so the bucket cannot be compared"
                    .into(),
            );
        }
        self.last_key.clone_from(&entry.listed.key);
        Ok(match &entry.owner {
            Owner::Ours(key) => {
                let key = key.clone();
                self.page.push_front(entry);
                Front::Ours(key)
            }
            Owner::Shortened(_) | Owner::Foreign => Front::OutOfOrder(entry),
        })
    }

    /// Take the entry that [`Bucket::peek`] showed as ours.
    pub fn take(&mut self) -> Option<Listed> {
        self.page.pop_front().map(|entry| entry.listed)
    }
}
