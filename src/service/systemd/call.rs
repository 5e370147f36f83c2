//! `systemctl`, and what the service is called there.

use super::super::request::{Level, NAME};
use super::super::step::Call;

/// The unit's name.
pub fn unit_name() -> String {
    format!("{NAME}.service")
}

/// `systemctl` for this level.
pub fn systemctl(level: Level, arguments: &[&str]) -> Call {
    let user = (level == Level::User).then_some("--user");
    Call::new(
        "systemctl",
        user.into_iter().chain(arguments.iter().copied()),
    )
}
