//! What tests of messages begin with.

use super::message::FailureLine;
use crate::types::WallMs;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) fn at(text: &str) -> WallMs {
    text.parse::<Timestamp>().unwrap().into()
}

pub(crate) fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

pub(crate) fn failure(path: &str, count: u64) -> FailureLine {
    FailureLine {
        path: path.to_owned(),
        reason: "the connection was reset".to_owned(),
        remedy: String::new(),
        count,
    }
}
