//! The uploads in parts that this process has under way: what the index knows
//! beyond them was left behind, and may be aborted.

use crate::index::Multipart;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The computer's own clock, milliseconds since 1970: it is compared with the
/// server's, so no other will do.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Handle; cheap to clone. Holds one entry per upload under way.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<BTreeSet<(String, String)>>>);

/// An object that an upload in parts is under way to, while this lives.
pub struct UnderWay {
    uploads: Uploads,
    place: (String, String),
}

impl Uploads {
    fn set(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on an upload of this object is under way. There is one at a
    /// time: a path is never in two workers.
    #[must_use = "it is under way while this lives"]
    pub fn begin(&self, bucket: &str, bucket_key: &str) -> UnderWay {
        let place = (bucket.to_owned(), bucket_key.to_owned());
        self.set().insert(place.clone());
        UnderWay {
            uploads: self.clone(),
            place,
        }
    }

    /// Whether nobody works on the upload that this note is about.
    pub fn is_left(&self, noted: &Multipart) -> bool {
        let place = (noted.bucket.clone(), noted.bucket_key.clone());
        !self.set().contains(&place)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.uploads.set().remove(&self.place);
    }
}
