//! The commands on the service, as they are typed.

use crate::os;
use crate::service::Level;
use crate::types::command;

/// `service VERB`, for this level, as it is typed.
pub(super) fn typed(level: Level, verb: &str) -> String {
    let user = match level {
        Level::System => "",
        Level::User => " --user",
    };
    command::with_configuration(&format!("service {verb}{user}"))
}

/// The same, with the rights that it takes.
pub(super) fn as_administrator(level: Level, verb: &str) -> String {
    let line = typed(level, verb);
    match level {
        Level::System => os::with_rights(&line),
        Level::User => line,
    }
}
