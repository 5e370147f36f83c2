//! Publishes success or failure of a restore to the topic, like every one-off run, when a
//! configuration names one. A message that cannot be sent never makes a restore fail.

use super::part::PartResult;
use crate::config::Config;
use crate::daemon;
use crate::digest::{Failed, OneOff, OneOffTask};
use crate::mail::FailureLine;
use crate::os;
use crate::os::shell_word;
use crate::restore::Covered;
use crate::types::{Class, Fatal, Fault, command};
use jiff::Timestamp;

/// How a restore ended.
pub(super) enum Ended<'a> {
    /// It came to its end.
    Done(&'a [PartResult]),
    /// It did not; these many files and bytes are restored all the same.
    Stopped(&'a Fatal, (u64, u64)),
}

/// Publish how it ended; says on the terminal when that is not possible.
pub(super) async fn publish(
    config: Option<&Config>,
    began: Timestamp,
    place: String,
    ended: Ended<'_>,
) {
    let Some(config) = config else { return };
    let notifier = match daemon::notifier(config).await {
        Ok(Some(notifier)) => notifier,
        Ok(None) => return,
        Err(fatal) => {
            eprintln!("nobody was told of this by mail: {fatal}");
            return;
        }
    };
    let message = one_off(config, began, place, ended).message();
    if let Err(fault) = notifier.publish(&message.subject, &message.body).await {
        eprintln!("nobody was told of this by mail: {fault}");
    }
}

fn one_off(config: &Config, began: Timestamp, place: String, ended: Ended<'_>) -> OneOff {
    let mut report = OneOff {
        computer: os::computer_name(),
        task: OneOffTask::Restore,
        place,
        started_ms: began.into(),
        ended_ms: Timestamp::now().into(),
        time_zone: config.schedule.time_zone.clone(),
        files: 0,
        bytes: 0,
        failures: Vec::new(),
        failures_total: 0,
        failed: None,
    };
    let done = match ended {
        Ended::Done(done) => done,
        Ended::Stopped(fatal, (files, bytes)) => {
            report.failed = Some(failed(fatal));
            (report.files, report.bytes) = (files, bytes);
            return report;
        }
    };
    for part in done {
        match &part.result {
            Ok(restored) => {
                report.files += restored.files + restored.identical;
                report.bytes += restored.bytes;
                for faults in [&restored.failed, &restored.already_there] {
                    report.failures.extend(faults.items.iter().map(line));
                    report.failures_total += faults.total;
                }
                let is_other = |fault: &&Fault| fault.class == Class::Unstorable;
                let otherwise = restored.left_out.items.iter().filter(is_other);
                report.failures.extend(otherwise.map(line));
                report.failures_total += restored.otherwise;
                let covered = &restored.covered;
                report
                    .failures
                    .extend(covered.items.iter().map(covered_line));
                report.failures_total += covered.total;
            }
            Err(fatal) => report.failed = Some(failed(fatal)),
        }
    }
    report
}

fn failed(fatal: &Fatal) -> Failed {
    Failed {
        cause: fatal.cause.clone(),
        hint: fatal.hint.clone(),
    }
}

fn covered_line(covered: &Covered) -> FailureLine {
    FailureLine {
        path: covered.path.clone(),
        reason: "another program has put something over it in the bucket; Keepwatch's own version beneath was restored".to_owned(),
        remedy: format!(
            "look at both with `{}`",
            command::on_copies(&format!("versions {}", shell_word(&covered.path)))
        ),
        count: 1,
    }
}

fn line(fault: &Fault) -> FailureLine {
    FailureLine {
        path: fault.subject.clone(),
        reason: fault.reason(),
        remedy: fault.hint.clone(),
        count: 1,
    }
}
