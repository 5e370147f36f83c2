//! Which moment was used, as people and programs read it.

use crate::cli::origins::Depot;
use crate::cli::stamp::stamp;
use crate::types::{Moment, WallMs};
use serde_json::{Value, json};

/// `as of …`, for people: with the zone, so that nobody has to guess whose clock.
pub(super) fn as_of(moment: Option<Moment>, depot: &Depot) -> String {
    let Some(moment) = moment else {
        return "as everything is now".to_owned();
    };
    let zone = zone_name(depot);
    if moment.end_of_day {
        let day = stamp(moment.at_ms, &depot.zone);
        return format!(
            "as of the end of {} ({zone})",
            day.get(..10).unwrap_or(&day)
        );
    }
    format!("as of {} ({zone})", with_offset(moment.at_ms, depot))
}

/// `2026-11-20 18:00:00+01:00`.
fn with_offset(at_ms: WallMs, depot: &Depot) -> String {
    let Ok(at) = at_ms.timestamp() else {
        return "an unknown time".to_owned();
    };
    let format = match at_ms.0.rem_euclid(1_000) {
        0 => "%Y-%m-%d %H:%M:%S%:z",
        _ => "%Y-%m-%d %H:%M:%S%.3f%:z",
    };
    let zoned = at.to_zoned_datetime(depot.zone.clone());
    zoned.strftime(format).to_string()
}

fn zone_name(depot: &Depot) -> &str {
    depot
        .zone
        .iana_name()
        .unwrap_or("this computer's time zone")
}

/// The moment that was used, for programs.
pub(super) fn moment_json(moment: Option<Moment>, depot: &Depot) -> Value {
    let Some(moment) = moment else {
        return Value::Null;
    };
    let at = moment.at_ms.timestamp().ok();
    json!({
        "at": at.map(|at| at.to_string()),
        "local": with_offset(moment.at_ms, depot),
        "zone": zone_name(depot),
        "end_of_day": moment.end_of_day,
    })
}
