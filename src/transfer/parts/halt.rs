//! How a part ends.

use crate::s3::PartDone;
use crate::transfer::trust::Distrust;
use crate::types::Fault;

/// Why an upload stops before its end.
pub(crate) enum Halt {
    Fault(Fault),
    Distrust(Distrust),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A part that the server took, its bytes, and whether it was copied.
pub(crate) type PartResult = Result<(PartDone, u64, bool), Halt>;
