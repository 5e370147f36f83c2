//! The uploads in parts that this process has under way. Any other upload that the index
//! has noted was left behind by an earlier run, and may be resumed or aborted.
//!
//! Invariant: an upload that a worker resumes is never aborted, and one that is being
//! aborted is never resumed.

use crate::index::Multipart;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Default)]
struct State {
    /// Bucket and key of every object that is being uploaded in parts.
    under_way: BTreeSet<(String, String)>,
    /// Ids of uploads that are being aborted.
    aborting: BTreeSet<String>,
}

/// Handle; cheap to clone. Holds one entry per upload under way.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<State>>);

/// An object that an upload in parts is under way to, while this lives.
pub struct UnderWay {
    uploads: Uploads,
    place: (String, String),
}

/// An upload that is being aborted, while this lives.
pub struct Aborting {
    uploads: Uploads,
    upload_id: String,
}

impl Uploads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// An upload of this object begins. There is one at a time: no path is with two
    /// workers.
    #[must_use = "it is under way while this lives"]
    pub fn begin(&self, bucket: &str, bucket_key: &str) -> UnderWay {
        let place = (bucket.to_owned(), bucket_key.to_owned());
        self.state().under_way.insert(place.clone());
        UnderWay {
            uploads: self.clone(),
            place,
        }
    }

    /// Whether nobody works on the upload that this note is about.
    pub fn is_left(&self, noted: &Multipart) -> bool {
        let place = (noted.bucket.clone(), noted.bucket_key.clone());
        !self.state().under_way.contains(&place)
    }

    /// Keep workers off an upload that is going to be aborted; `None` when one
    /// may have taken it up already.
    pub fn abort(&self, noted: &Multipart) -> Option<Aborting> {
        let place = (noted.bucket.clone(), noted.bucket_key.clone());
        let mut state = self.state();
        if state.under_way.contains(&place) {
            return None;
        }
        state.aborting.insert(noted.upload_id.clone());
        Some(Aborting {
            uploads: self.clone(),
            upload_id: noted.upload_id.clone(),
        })
    }

    /// Whether somebody is aborting that upload.
    pub fn is_aborting(&self, upload_id: &str) -> bool {
        self.state().aborting.contains(upload_id)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.uploads.state().under_way.remove(&self.place);
    }
}

impl Drop for Aborting {
    fn drop(&mut self) {
        self.uploads.state().aborting.remove(&self.upload_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::SourceId;
    use crate::types::RelKey;

    #[test]
    fn what_one_takes_up_the_other_does_not_abort() {
        let uploads = Uploads::default();
        let key = RelKey::parse_full("a").unwrap();
        let note = Multipart::of(SourceId(1), &key, "u1", ("bucket", "a"));
        let under_way = uploads.begin("bucket", "a");
        assert!(!uploads.is_left(&note) && uploads.abort(&note).is_none());
        drop(under_way);
        let aborting = uploads.abort(&note);
        assert!(aborting.is_some() && uploads.is_aborting("u1"));
        drop(aborting);
        assert!(!uploads.is_aborting("u1") && uploads.is_left(&note));
    }
}
