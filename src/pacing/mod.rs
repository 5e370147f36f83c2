//! How often one file gets a version.
//!
//! `policy` decides, `costly` finds the files whose versions cost most, `waiting` keeps
//! what waits for its next version, `costs` writes down what versions cost. A file that
//! waits is stored at the end of its interval and at a stop at the latest.

mod costly;
mod costs;
mod policy;
mod waiting;

pub use costly::{CostlyFile, VersionCosts};
pub use costs::{costly_files, keep_costs, load_costs};
pub use policy::Policy;
pub use waiting::Pacing;
