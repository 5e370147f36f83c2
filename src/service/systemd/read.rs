//! How the service is, as systemd and its journal say it.

use super::super::request::{Level, NAME};
use super::super::state::{LastExit, Running, ServiceState};
use super::super::step::Call;
use super::call::{systemctl, unit_name};
use crate::os;
use crate::types;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// The properties that are asked for.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,UnitFileState,MainPID,User,Result,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,NRestarts,StatusText,FragmentPath";

/// `si_code` of a process that has ended by itself.
const CLD_EXITED: i64 = 1;

/// Asks how the service is.
pub fn show(level: Level) -> Call {
    systemctl(level, &["show", &unit_name(), "--property", PROPERTIES])
}

/// How the service is, from what `systemctl show` has printed.
pub fn parse(level: Level, text: &str) -> ServiceState {
    let all: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let text = |name: &str| all.get(name).copied().filter(|value| !value.is_empty());
    let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
    let running = match (text("ActiveState"), text("SubState")) {
        (_, Some("auto-restart" | "auto-restart-queued")) => Running::WaitsToRestart,
        (Some("active" | "reloading"), _) => Running::Yes,
        (Some("activating"), _) => Running::Starting,
        (Some("deactivating"), _) => Running::Stopping,
        _ => Running::No,
    };
    let ended = text("ExecMainExitTimestamp").map(|at| LastExit {
        code: number("ExecMainStatus").filter(|_| number("ExecMainCode") == Some(CLD_EXITED)),
        signal: number("ExecMainStatus").filter(|_| number("ExecMainCode") != Some(CLD_EXITED)),
        was_stuck: text("Result") == Some("watchdog"),
        at: Some(time(at)),
    });
    let is_installed = text("LoadState") == Some("loaded");
    ServiceState {
        is_installed,
        running,
        starts_at_boot: text("UnitFileState")
            .is_some_and(|state| state == "enabled" || state == "enabled-runtime"),
        pid: number("MainPID")
            .and_then(|pid| u64::try_from(pid).ok())
            .filter(|pid| *pid > 0),
        account: is_installed.then(|| match (text("User"), level) {
            (Some(account), _) => account.to_owned(),
            (None, Level::System) => "root".to_owned(),
            (None, Level::User) => os::account_name(),
        }),
        last_exit: ended,
        restarts: number("NRestarts").and_then(|count| u64::try_from(count).ok()),
        says: text("StatusText")
            .filter(|_| running == Running::Yes)
            .map(str::to_owned),
        definition: text("FragmentPath").map(str::to_owned),
        started_ms: text("ExecMainStartTimestamp").and_then(moment_ms),
    }
}

/// Of each end that was no success the journal has two messages: how the process ended
/// (`SD_MESSAGE_UNIT_PROCESS_EXIT`), and what that was for the unit
/// (`SD_MESSAGE_UNIT_FAILURE_RESULT`).
const FAILURES: [&str; 2] = [
    "MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15",
    "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c",
];

/// Asks how the process ended that ran before the one that runs. Not everybody may know.
pub fn last_failure(level: Level) -> Call {
    let unit = match level {
        Level::System => "--unit",
        Level::User => "--user-unit",
    };
    let show = ["--lines", "2", "--output", "json", "--quiet"];
    Call::new(
        "journalctl",
        [unit, NAME].into_iter().chain(FAILURES).chain(show),
    )
}

/// The end that the journal tells of.
pub fn parse_failure(lines: &str) -> Option<LastExit> {
    let entries = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let entries: Vec<serde_json::Value> = entries.collect();
    let newest = |name: &str| entries.iter().rev().find(|entry| entry[name].is_string());
    let exit = newest("EXIT_CODE")?;
    let text = |name: &str| exit[name].as_str();
    let status = text("EXIT_STATUS").and_then(|status| status.parse().ok());
    let has_exited = text("EXIT_CODE") == Some("exited");
    let at_us: i64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
    Some(LastExit {
        code: status.filter(|_| has_exited),
        signal: status.filter(|_| !has_exited),
        was_stuck: newest("UNIT_RESULT").is_some_and(|unit| unit["UNIT_RESULT"] == "watchdog"),
        at: Some(types::time(
            types::WallMs(at_us / 1_000),
            &TimeZone::system(),
        )),
    })
}

/// `Mon 2026-11-30 15:43:52 UTC`, milliseconds since 1970.
fn moment_ms(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(' ')?;
    let (day, clock) = rest.trim_end_matches(" UTC").split_once(' ')?;
    let at: DateTime = format!("{day}T{clock}").parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(at).ok()?.as_millisecond())
}

/// The same in this computer's time, for people.
fn time(text: &str) -> String {
    let at = moment_ms(text).and_then(|ms| types::WallMs(ms).timestamp().ok());
    at.map_or_else(
        || text.to_owned(),
        |at| types::time(at.into(), &TimeZone::system()),
    )
}
