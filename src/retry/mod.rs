//! retry.
mod patience;
mod policy;

pub use patience::Stop;
pub(crate) use patience::{Patience, told};
pub use policy::alert::{AlertPolicy, AlertStep, OutageAlert};
pub use policy::gate::{Gate, MayStart, Transition};
pub use policy::pace::{Pace, Slowed};
pub use policy::shared::{Due, Part, SharedAlerts, Standing};
pub use policy::{Backoff, WAIT_MAX_MS};
