//! Walks the bucket's list of versions below some prefixes, page by page. A server that has
//! no such list gives the list of current objects. Everything in restore and verify that
//! walks the list does it here.
//!
//! It keeps no page itself. It makes sure that the list advances and ends. The caller decides
//! what it means when the keys of a page go back.

use crate::retry::{Retries, Stop, advise_rerun};
use crate::s3::{ListedVersion, ListingGuard, Next, Page, Store};
use crate::types::{Class, Fault};

/// Where a walk is.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    bucket: &'a str,
    prefixes: std::vec::IntoIter<String>,
    prefix: Option<String>,
    after: Option<Box<Next>>,
    guard: ListingGuard,
    in_order: bool,
    turned: u64,
}

impl<'a> Pages<'a> {
    /// Begin before the first page below the first prefix.
    pub(crate) fn new(store: &'a Store, bucket: &'a str, prefixes: Vec<String>) -> Self {
        let mut prefixes = prefixes.into_iter();
        Self {
            store,
            bucket,
            prefix: prefixes.next(),
            prefixes,
            after: None,
            guard: ListingGuard::default(),
            in_order: true,
            turned: 0,
        }
    }

    /// The next page, which may be empty; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be had, or the list does not get on.
    pub(crate) async fn next(
        &mut self,
        stop: &mut Stop,
    ) -> Result<Option<std::vec::IntoIter<ListedVersion>>, Fault> {
        let Some(prefix) = &self.prefix else {
            return Ok(None);
        };
        let after = self.after.as_deref();
        let page = list_page(self.store, self.bucket, prefix, after, stop).await?;
        self.turned += 1;
        self.in_order &= self.guard.versions(&page, self.bucket)?;
        if page.next.is_none() {
            self.prefix = self.prefixes.next();
            self.guard = ListingGuard::default();
        }
        self.after = page.next;
        Ok(Some(page.items.into_iter()))
    }

    /// False once the server's keys have gone back: then an older version of a
    /// key may be given after its newest.
    pub(crate) fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Pages so far.
    pub(crate) fn turned(&self) -> u64 {
        self.turned
    }
}

/// That the server has a past to go back to, as far as a page of the bucket's list has
/// shown it (`Differs::NoVersions`).
///
/// # Errors
/// It has nothing but what is current.
pub(crate) fn has_past(store: &Store, bucket: &str) -> Result<(), Fault> {
    if !store.has_only_current(bucket) {
        return Ok(());
    }
    Err(Fault::new(
        Class::Refused,
        "go back to an earlier moment of",
        bucket,
        "this server keeps no earlier versions: it has every file as it was stored last, and nothing else",
    )
    .hint("leave out the moment (--at) to get what is there now; to have moments to go back to, back up to a server that keeps versions (docs/OPERATIONS.md names them)"))
}

/// One page of a listing, tried again while the failure passes by itself.
pub(crate) async fn list_page(
    store: &Store,
    bucket: &str,
    prefix: &str,
    after: Option<&Next>,
    stop: &mut Stop,
) -> Result<Page<ListedVersion>, Fault> {
    let mut retries = Retries::default();
    loop {
        match store.list_past(bucket, prefix, after).await {
            Err(fault) if retries.again(&fault, stop).await => {}
            done => return done.map_err(advise_rerun),
        }
    }
}
