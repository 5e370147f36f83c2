//! What all that bring objects share, and what came of one.

use super::arrival::Budget;
use super::folders::Folders;
use super::request::Options;
use super::stale::Stale;
use super::tally::{Covered, Tally};
use crate::files::{MODE_SET_ID, Target};
use crate::history::{Chosen, Selector};
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{Class, Fault, Kind, ObjectMeta, Origin, RelPath, command};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What all workers of one restore share.
pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    pub(crate) selector: Selector,
    pub(crate) target: Arc<Target>,
    pub(crate) options: Options,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stop: Stop,
    pub(crate) budget: Budget,
    /// A place for each large file under way.
    pub(crate) large: Semaphore,
    /// The target was empty when the run began: nothing is looked for there.
    pub(crate) is_fresh: bool,
    pub(crate) folders: Folders,
    /// As of when, milliseconds since 1970.
    pub(crate) at_ms: Option<i64>,
    /// What stands there beside the files that come back, and belongs to others.
    pub(crate) stale: Stale,
}

impl Shop {
    /// The mode that an object's file gets here. A bucket is written to by more
    /// than this computer, and a program with these bits runs with the rights of
    /// its owner, whoever starts it: so they come back only when that is asked for.
    /// A folder's group is merely inherited.
    pub(crate) fn mode_of(&self, meta: &ObjectMeta) -> u32 {
        match meta.kind {
            Kind::File if !self.options.keep_set_user_id => meta.mode & !MODE_SET_ID,
            _ => meta.mode,
        }
    }

    /// What is said of a file that did not get all of its mode.
    pub(crate) fn withheld(&self, path: &RelPath, meta: &ObjectMeta) -> Option<Fault> {
        (self.mode_of(meta) != meta.mode).then(|| {
            Fault::new(
                Class::Unstorable,
                "give back its set-user-id or set-group-id bit",
                path.to_string(),
                "with it, the bucket would say with whose rights a program runs on this computer",
            )
            .hint(format!(
                "if the bucket and all that can write to it are yours: restore with --keep-set-user-id, or chmod {:04o}",
                meta.mode
            ))
        })
    }

    /// Where the object is.
    pub(crate) fn at<'a>(&'a self, chosen: &'a Chosen) -> At<'a> {
        At {
            bucket: &self.origin.bucket,
            key: &chosen.key,
        }
    }
}

/// How one object ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is there now.
    Written {
        kind: Kind,
        bytes: u64,
        left_out: Option<Fault>,
        /// Its path, when it never rested while it was backed up.
        unrested: Option<String>,
    },
    /// The same was there already.
    Identical,
    /// Another file was there already and stays.
    Kept(Fault),
    /// A link or a folder: not before all files are there.
    Later,
    /// It is in cold storage and on its way out of there; what to say of it.
    Thawing(Fault),
    /// Keepwatch did not write it, nor anything beneath.
    Foreign,
    /// Keepwatch did not write it; the version beneath that it did write ended so.
    Covered(Box<Outcome>, Covered),
    /// It was not asked for, or is another pass's business.
    Passed,
}

pub(crate) fn gone(chosen: &Chosen) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        chosen.subject(),
        "this version was removed from the bucket a moment ago",
    )
    .hint(format!(
        "see what is left of it with `{}`",
        command::on_copies("versions FILE")
    ))
}
