//! Whether the index is broken, as far as the heartbeat knows.

use crate::types::Fault;
use parking_lot::Mutex;

/// A broken index: since when (milliseconds since 1970) and why.
#[derive(Default)]
pub(super) struct Broken(Mutex<Option<(i64, Fault)>>);

impl Broken {
    pub(super) fn get(&self) -> Option<(i64, Fault)> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, broken: Option<(i64, Fault)>) {
        *self.0.lock() = broken;
    }
}
