//! The service: Keepwatch made to start with the computer (or with the account), and kept
//! running, by systemd, launchd, Windows' service manager or its Task Scheduler.
//!
//! Called by `cli`. It must never touch the files of a source (but for the marker, made so
//! that the service need not write there), never put a secret into a definition or a command
//! line, and never remove data: configuration, state and logs stay.
//!
//! In reading order: `request` is what is wished, `plan` what is to be done for it, made of
//! steps (`step`) by `systemd`, `launchd`, `windows` or `task`, which decide without touching
//! anything; `state` is how the service is; `carry_out` does the steps, with `external` for
//! other programs; `manager` asks, starts and stops.

mod carry_out;
mod external;
mod launchd;
mod manager;
mod plan;
mod request;
mod state;
mod step;
mod systemd;
mod task;
mod windows;

pub use carry_out::{carry_out, pending};
pub use manager::{Manager, Wanted, reach};
pub use plan::Plan;
pub use request::{Account, Folder, Level, NAME, OWN_ACCOUNT, Request, has_password};
pub use state::{LastExit, Running, ServiceState};
pub use step::Step;
