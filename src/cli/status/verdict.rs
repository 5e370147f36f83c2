//! How things stand, in one word and in one line. Pure.

use crate::control::{SourceStatus, Status};
use crate::drill::Drill;
use crate::status::{ScanDone, Watching};
use crate::types;

/// The names of the overall state in JSON (docs/OPERATIONS.md).
pub(super) const WELL: &str = "well";

pub(super) const ATTENTION: &str = "attention";

pub(super) const NOT_RUNNING: &str = "not_running";

pub(super) const UNKNOWN: &str = "unknown";

/// How a daemon that answers stands, in one word.
pub(super) fn overall(status: &Status) -> &'static str {
    let all_well =
        is_drilled_well(status) && is_mail_well(status) && status.sources.iter().all(is_well);
    // Before the first scan nobody knows what has changed since the last run.
    let has_looked = |source: &SourceStatus| source.board.last_scan.is_some();
    match (all_well, status.sources.iter().all(has_looked)) {
        (true, true) => WELL,
        (true, false) => UNKNOWN,
        (false, _) => ATTENTION,
    }
}

/// The first line: how things stand.
pub(super) fn verdict(status: &Status) -> String {
    let waiting: u64 = status.sources.iter().map(|source| source.waiting).sum();
    match (overall(status), waiting) {
        (WELL, 0) => "All is well: everything is protected.".to_owned(),
        (WELL, waiting) => format!(
            "All is well: everything is protected but {} not sent yet.",
            types::amount(waiting, "file")
        ),
        (UNKNOWN, _) => {
            "Keepwatch has not looked at all files since its start yet: whether everything is protected is known when it has.".to_owned()
        }
        _ => {
            let sources = &status.sources;
            let mut ill: Vec<String> = sources
                .iter()
                .filter(|source| !is_well(source))
                .map(|source| types::clean(&source.name))
                .collect();
            if !is_mail_well(status) {
                ill.push("the mail".to_owned());
            }
            if !is_drilled_well(status) {
                ill.push("the restore drill".to_owned());
            }
            format!("NOT all is well: see below for {}.", ill.join(", "))
        }
    }
}

fn is_drilled_well(status: &Status) -> bool {
    status.drill.as_ref().is_none_or(Drill::is_well)
}

/// Whether messages reach the owner. One that goes out this second does not count as
/// waiting, and a topic that failed when there was nothing to say does no harm.
pub(super) fn is_mail_well(status: &Status) -> bool {
    match &status.mail_trouble {
        None => true,
        Some((_, fault)) => status.outbox == 0 && fault.class.is_transient(),
    }
}

fn is_well(source: &SourceStatus) -> bool {
    source.unprotected_total == 0
        && source.board.outage.is_none()
        && source.board.warnings.is_empty()
        && source.board.watching == Watching::On
        && source
            .board
            .last_scan
            .as_ref()
            .is_none_or(ScanDone::complete)
}
