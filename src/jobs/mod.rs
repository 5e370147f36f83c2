//! Many small jobs over one bucket, a bounded number of them at once: what restore and
//! verify have in common.
//!
//! It must never wait without a bound, never go on when nothing more can be had, and
//! never let one failure end the others. Called by `restore` and `verify`. In reading
//! order: `access` decides, purely, whether the keys may read anything at all, `failures` what
//! one failure means for the run; `runner` has the workers and does what was decided.

mod access;
mod failures;
mod runner;

pub(crate) use runner::{Failure, JobRunner, Limits, Site, until_asked};
