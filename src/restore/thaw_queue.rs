//! The versions that a run waits for until they are thawed.

use crate::history::Chosen;
use crate::types::Fault;
use std::collections::VecDeque;

/// Objects that a run waits for; at 300 bytes each, some 6 MB. The rest are
/// thawed as well, and fetched when the command is run again.
pub(super) const WAITED_FOR_MAX: usize = 20_000;

/// The versions that are waited for, the longest waiting first, and what is said of
/// each when the waiting ends in vain.
#[derive(Default)]
pub(crate) struct ThawQueue(pub(super) VecDeque<(Chosen, Fault)>);
