//! What belongs to another file comes in the state that goes with that one.

use super::Chosen;
use crate::error::Fault;
use crate::recovery::retry::Stop;
use crate::recovery::{Origin, together};
use crate::store::Store;
use std::sync::{Arc, Mutex, PoisonError};

/// Each is of a database that was being written to at the moment.
const REMARKS_MAX: usize = 1_000;

/// What was told of such files, at most [`REMARKS_MAX`]; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Remarks(Arc<Mutex<Vec<Fault>>>);

impl Remarks {
    pub(super) fn take(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, remark: Fault) {
        let mut remarks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remarks.len() < REMARKS_MAX {
            remarks.push(remark);
        }
    }
}

/// Asks which state of a file goes with the file that it belongs to.
pub(super) struct Joined {
    pub(super) store: Store,
    pub(super) origin: Origin,
    pub(super) at_ms: Option<i64>,
    pub(super) remarks: Remarks,
}

impl Joined {
    pub(super) async fn state_of(
        &self,
        chosen: Chosen,
        stop: &mut Stop,
    ) -> Result<Option<Chosen>, Fault> {
        let (store, origin, at_ms) = (&self.store, &self.origin, self.at_ms);
        let found = together::belonging(store, origin, chosen, at_ms, stop).await?;
        if let Some(remark) = found.remark {
            self.remarks.add(remark);
        }
        Ok(found.chosen)
    }
}
