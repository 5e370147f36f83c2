//! Gives companions in the state that goes with their main file.

use super::chosen::Chosen;
use crate::history::together;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fault, Origin, WallMs};
use parking_lot::Mutex;
use std::sync::Arc;

/// Each is of a database that was being written to at the moment.
const REMARKS_MAX: usize = 1_000;

/// What was told of such files, at most [`REMARKS_MAX`]; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remarks(Arc<Mutex<Vec<Fault>>>);

impl Remarks {
    pub(crate) fn take(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.0.lock())
    }

    fn add(&self, remark: Fault) {
        let mut remarks = self.0.lock();
        if remarks.len() < REMARKS_MAX {
            remarks.push(remark);
        }
    }
}

/// Asks which state of a file goes with the file that it belongs to.
pub(crate) struct Joined {
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    pub(crate) at_ms: Option<WallMs>,
    pub(crate) remarks: Remarks,
}

impl Joined {
    pub(crate) async fn state_of(
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
