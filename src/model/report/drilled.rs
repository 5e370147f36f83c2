//! The restore drill in the digest, and the messages about files that did not
//! come back as they were stored.

use super::messages::{Message, fit};
use super::subject;
use super::text::{amount, clean, time};
use crate::model::drill::{Drill, FAILURES_NAMED_MAX, Failure};
use jiff::tz::TimeZone;

/// What to do about damaged versions, in the order in which it helps.
const REMEDY: &str = "run `keepwatch verify --deep --repair`: it looks at every file, and uploads again what is damaged and still on this computer. An older version that is damaged cannot be mended; the ones before and after it can be restored (`keepwatch versions`). Look for who or what else writes to the bucket";

/// Files that did not come back as they were, or do again.
#[derive(Debug, Clone)]
pub struct Drilled<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The files.
    pub failures: &'a [Failure],
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

/// What is wrong with the drill, as part of a sentence.
pub(super) fn problem(drill: &Drill) -> Option<String> {
    match (drill.failures.len() as u64, &drill.not_run) {
        (0, None) => None,
        (0, Some(_)) => Some("the restore drill could not be done".to_owned()),
        (1, _) => Some("1 file could not be restored as it was stored".to_owned()),
        (more, _) => Some(format!(
            "{} could not be restored as they were stored",
            amount(more, "file")
        )),
    }
}

/// The digest's lines about it.
pub(super) fn lines(drill: &Drill, zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![format!("Drill:    {}", drill.line())];
    lines.extend(named(&drill.failures, zone));
    if !drill.failures.is_empty() {
        lines.push(format!("  What to do: {REMEDY}"));
    }
    lines
}

fn named(failures: &[Failure], zone: &TimeZone) -> Vec<String> {
    let mut lines: Vec<String> = failures
        .iter()
        .take(FAILURES_NAMED_MAX)
        .map(|failure| {
            format!(
                "  - {} in {}, {}version of {} ({}): {}",
                clean(&failure.path),
                clean(&failure.source),
                if failure.is_older { "older " } else { "" },
                time(failure.stored_at_ms, zone),
                clean(&failure.version_id),
                clean(&failure.why)
            )
        })
        .collect();
    if failures.len() > FAILURES_NAMED_MAX {
        lines.push(format!(
            "  ... and {} more",
            failures.len() - FAILURES_NAMED_MAX
        ));
    }
    lines
}

/// What to send at once when a drill finds damage.
pub fn drill_alert(drilled: &Drilled<'_>) -> Message {
    let files = amount(drilled.failures.len() as u64, "file");
    let mut head = vec![
        format!("ALERT: the restore drill could not restore {files} as stored:"),
        String::new(),
    ];
    head.extend(named(drilled.failures, drilled.time_zone));
    head.extend([
        String::new(),
        format!("What to do: {REMEDY}."),
        String::new(),
        format!("Computer: {}", clean(drilled.computer)),
    ]);
    Message {
        subject: subject(
            drilled.computer,
            &format!("ALERT, {files} in the backup cannot be restored as stored"),
        ),
        body: fit(head, None),
    }
}

/// What to send when what was told of is in order again.
pub fn drill_over(drilled: &Drilled<'_>) -> Message {
    let files = amount(drilled.failures.len() as u64, "file");
    let mut head = vec![
        format!("This is over: {files} that could not be restored can be restored again:"),
        String::new(),
    ];
    head.extend(named(drilled.failures, drilled.time_zone));
    head.extend([
        String::new(),
        format!("Computer: {}", clean(drilled.computer)),
    ]);
    Message {
        subject: subject(
            drilled.computer,
            &format!("{files} in the backup can be restored again"),
        ),
        body: fit(head, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, berlin};
    use super::*;
    use crate::model::audit::Damage;

    #[test]
    fn an_alert_names_file_version_date_and_remedy() {
        let zone = berlin();
        let failures = [Failure {
            source: "database".into(),
            path: "evil\nAll is well.csv".into(),
            key: "k".into(),
            version_id: "v77".into(),
            stored_at_ms: at("2026-11-20T09:00:00Z"),
            damage: Some(Damage::Altered),
            why: "SHA-256 differs".into(),
            is_older: true,
            since_ms: 0,
            told: false,
        }];
        let drilled = Drilled {
            computer: "OFFICE-PC",
            failures: &failures,
            time_zone: &zone,
        };
        let alert = drill_alert(&drilled);
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, 1 file in the backup cannot be restored as stored"
        );
        for words in [
            "evil\\u{a}All is well.csv in database, older version of 2026-11-20 10:00 (v77): SHA-256 differs",
            "verify --deep --repair",
        ] {
            assert!(alert.body.contains(words), "{}", alert.body);
        }
        assert!(
            drill_over(&drilled)
                .subject
                .contains("can be restored again")
        );
    }

    #[test]
    fn a_drill_that_was_not_done_is_a_problem() {
        let well = Drill {
            files: 3,
            ..Drill::default()
        };
        assert_eq!(problem(&well), None);
        let not_run = Drill {
            not_run: Some("offline".into()),
            ..well
        };
        assert!(problem(&not_run).is_some());
    }
}
