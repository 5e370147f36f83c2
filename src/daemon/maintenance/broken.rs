//! Whether the index is broken, as far as the heartbeat knows.

use crate::types::{Fault, WallMs};
use parking_lot::Mutex;

/// A broken index: since when (milliseconds since 1970) and why.
#[derive(Default)]
pub(super) struct Broken(Mutex<Option<(WallMs, Fault)>>);

impl Broken {
    pub(super) fn get(&self) -> Option<(WallMs, Fault)> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, broken: Option<(WallMs, Fault)>) {
        *self.0.lock() = broken;
    }
}
