//! What all workers of one restore share.

use super::disk_space;
use super::folders::Folders;
use super::range_buffer::MemoryBudget;
use super::request::Options;
use super::stale_files::StaleFiles;
use super::stats::RestoreStats;
use crate::files::{MODE_SET_ID, Target};
use crate::history::{Chosen, Selector};
use crate::os::blocking::blocking_on;
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{Class, Fault, Kind, ObjectMeta, Origin, RelPath, WallMs};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What all workers of one restore share.
pub(crate) struct RestoreContext {
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    pub(crate) selector: Selector,
    pub(crate) target: Arc<Target>,
    pub(crate) options: Options,
    pub(crate) stats: Arc<RestoreStats>,
    pub(crate) stop: Stop,
    pub(crate) memory: MemoryBudget,
    /// A permit for each large file under way.
    pub(crate) large_files: Semaphore,
    /// The target was empty when the run began: nothing is looked for there.
    pub(crate) is_fresh: bool,
    pub(crate) folders: Folders,
    /// As of when, milliseconds since 1970.
    pub(crate) at_ms: Option<WallMs>,
    /// What stands there beside the files that come back, and belongs to others.
    pub(crate) stale: StaleFiles,
}

impl RestoreContext {
    /// What the server is asked about an object, unless the run is to end: one that has
    /// fallen silent must not hold that up.
    ///
    /// # Errors
    /// Those of `asking`, and that nobody waits for it any more.
    pub(crate) async fn unless_stopped<T>(
        &self,
        chosen: &Chosen,
        asking: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut stop = self.stop.clone();
        tokio::select! {
            answer = asking => answer,
            () = stop.asked() => Err(Fault::new(
                Class::Transient,
                "restore",
                chosen.subject(),
                "the run was ended before the server answered",
            )),
        }
    }

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

    /// The note about a file that did not get all of its mode.
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

    /// A file that cannot fit is refused before any of it is written. Blocks.
    pub(crate) fn check_space(&self, bytes: u64, subject: &str) -> Result<(), Fault> {
        match self.options.ignore_space {
            true => Ok(()),
            false => disk_space::for_file(&self.target, bytes, subject),
        }
    }

    /// Where the object is.
    pub(crate) fn at<'a>(&'a self, chosen: &'a Chosen) -> At<'a> {
        At {
            bucket: &self.origin.bucket,
            key: &chosen.key,
        }
    }
}

/// Blocking work on one object.
pub(super) async fn blocking<T: Send + 'static>(
    chosen: &Chosen,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("restore", chosen.subject(), work).await
}
