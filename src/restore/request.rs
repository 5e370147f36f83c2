//! What a restore is asked for.

use super::preflight::summary::Preflight;
use crate::files::Target;
use crate::history::Selector;
use crate::types::{Origin, Thaw, WallMs};
use jiff::civil::DateTime;
use std::sync::Arc;

/// Objects that are fetched at once. Small files are limited by the way to the
/// server and back: at 50 ms, 32 are 600 files a second.
pub const WORKERS_DEFAULT: usize = 32;

/// How a restore behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Replace what is there and differs.
    pub overwrite: bool,
    /// Objects fetched at once.
    pub workers: usize,
    /// The folder is in use, and this is the time by its clocks: what is replaced
    /// keeps a second name with it, unless the bucket has it. With `overwrite`.
    pub in_place: Option<DateTime>,
    /// Begin also when the disk seems too small.
    pub ignore_space: bool,
    /// Have what is in cold storage thawed, and how.
    pub thaw: Option<Thaw>,
    /// Wait until it is, and fetch it then.
    pub wait: bool,
    /// Give files their set-user-id and set-group-id bits back: the bucket is
    /// trusted to say with whose rights programs run here.
    pub keep_set_user_id: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overwrite: false,
            workers: WORKERS_DEFAULT,
            in_place: None,
            ignore_space: false,
            thaw: None,
            wait: false,
            keep_set_user_id: false,
        }
    }
}

/// What to restore, and where to.
pub struct Request {
    /// Where the objects are.
    pub origin: Origin,
    /// Which of them.
    pub selector: Selector,
    /// As of when, milliseconds since 1970; `None` for the latest.
    pub at_ms: Option<WallMs>,
    /// The folder to write to.
    pub target: Arc<Target>,
    /// How.
    pub options: Options,
    /// What was seen of it before, by [`super::preflight()`]; `None` to look now.
    pub preflight: Option<Preflight>,
}

/// What a pass over the listing writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Files,
    LinksAndFolders,
}
