//! pacing.
mod costly;
pub(crate) mod costs;
mod policy;
mod waiting;

pub use costly::{CostlyLine, Tally};
pub use policy::Policy;
pub use waiting::Pacing;
