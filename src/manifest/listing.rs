//! Which manifests a bucket has.

use super::format;
use crate::os::clock::wall_ms;
use crate::retry::{Retries, Stop};
use crate::s3::{Listed, ListingGuard, Next, PAGE_KEYS, Store};
use crate::types::{ETag, Fault, Origin};
use jiff::Timestamp;

/// Manifests that are looked at in a list: ten years of daily ones.
const PAGES_MAX: usize = 4;

/// How far apart the computer's clock and the server's may be without anything
/// being made of it: S3 itself refuses requests whose clock differs by more
/// (Amazon S3 API, `RequestTimeTooSkewed`).
pub(crate) const CLOCKS_APART_MAX_MS: i64 = 15 * 60 * 1000;

/// One manifest in a bucket, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Full key.
    pub key: String,
    /// The moment that it tells of, milliseconds since 1970.
    pub moment_ms: i64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
    /// ETag without quotes.
    pub etag: ETag,
    /// When it was listed, by the server's time as far as that is known.
    pub listed_ms: i64,
}

impl Listing {
    /// It tells of a moment that had not come when it was stored, or has not come yet:
    /// the clock of the computer that wrote it was wrong. It would be the newest until
    /// then, so it is used for nothing.
    pub fn is_ahead(&self) -> bool {
        let known_ms = self.modified_ms.min(self.listed_ms);
        self.moment_ms > known_ms.saturating_add(CLOCKS_APART_MAX_MS)
    }

    /// Why it is used for nothing.
    pub fn ahead_because(&self) -> String {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        if self.modified_ms > self.listed_ms.saturating_add(CLOCKS_APART_MAX_MS) {
            return format!(
                "it says that it is of {}, and it is {} now: the clock of the computer that wrote it was wrong, or this one's is",
                at(self.moment_ms),
                at(self.listed_ms)
            );
        }
        format!(
            "it says that it is of {}, and the bucket has it since {}: the clock of the computer that wrote it was wrong",
            at(self.moment_ms),
            at(self.modified_ms)
        )
    }
}

/// The newest of a list that can be believed.
pub fn newest(all: &[Listing]) -> Option<&Listing> {
    all.iter().rev().find(|one| !one.is_ahead())
}

/// The manifests of a source, oldest first.
///
/// # Errors
/// They cannot be listed.
pub async fn list(store: &Store, origin: &Origin, stop: &mut Stop) -> Result<Vec<Listing>, Fault> {
    let folder = format::folder(&origin.prefix);
    let (mut all, mut next, mut guard) = (Vec::new(), None::<Box<Next>>, ListingGuard::default());
    for _ in 0..PAGES_MAX {
        let mut retries = Retries::default();
        let page = loop {
            let listing = store.list(&origin.bucket, &folder, next.as_deref(), PAGE_KEYS);
            match listing.await {
                Err(fault) if retries.again(&fault, stop).await => {}
                done => break done?,
            }
        };
        guard.objects(&page, &origin.bucket)?;
        let listed_ms = store.server_now_ms(wall_ms());
        let listing = |one| listing(origin, one, listed_ms);
        all.extend(page.items.into_iter().filter_map(listing));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

fn listing(origin: &Origin, listed: Listed, listed_ms: i64) -> Option<Listing> {
    Some(Listing {
        moment_ms: format::moment_of(&origin.prefix, &listed.key)?,
        key: listed.key,
        stored_bytes: listed.stored_bytes,
        modified_ms: listed.modified_ms,
        etag: listed.etag,
        listed_ms,
    })
}
