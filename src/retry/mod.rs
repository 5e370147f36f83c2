//! When something that failed is tried again, and when somebody is told.
//!
//! Pure but for [`Patience`], which waits. `policy` has the waiting times by class of
//! error, the circuit breaker ([`Gate`]), the adaptive concurrency ([`Pace`]) and when an
//! outage is mailed ([`OutageAlert`]); `patience` is for commands that somebody waits
//! for. Nothing is tried again without a bound.

mod patience;
mod patiently;
mod policy;

pub use patience::Stop;
pub(crate) use patience::{Patience, told};
pub(crate) use patiently::patiently;
pub use policy::alert::{AlertPolicy, AlertStep, OutageAlert};
pub use policy::gate::{Gate, MayStart, Transition};
pub use policy::pace::{Pace, Slowed};
pub use policy::shared::{Due, SharedAlerts, Standing};
pub use policy::{Backoff, WAIT_MAX_MS};
