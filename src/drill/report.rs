//! The restore drill in the digest, and the messages about files that did not
//! come back as they were stored.

use super::outcome::{Drill, FAILURES_NAMED_MAX, Failure, LASTING_NAMED_MAX};
use crate::mail::{Message, fit, subject};
use crate::types::{amount, clean, counted, id_text, number, time};
use jiff::tz::TimeZone;

/// What to do about damaged versions, in the order in which it helps.
fn remedy(program: &str) -> String {
    format!(
        "run `{program} verify --deep --repair`: it looks at every file, and uploads again what is damaged and still on this computer. An older version that is damaged cannot be mended: no restore of a moment at which it was current brings it back (`{program} versions PATH` shows the others). Look for who or what else writes to the bucket"
    )
}

/// Files that did not come back as they were, or do again.
#[derive(Debug, Clone)]
pub struct Drilled<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The files.
    pub failures: &'a [Failure],
    /// The program as whoever reads this can run it, with its configuration.
    pub program: &'a str,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

/// What is wrong with the drill, as part of a sentence.
pub(crate) fn problem(drill: &Drill) -> Option<String> {
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
pub(crate) fn lines(drill: &Drill, zone: &TimeZone, program: &str) -> Vec<String> {
    let mut lines = vec![format!("Drill:    {}", drill.line())];
    lines.extend(named(&drill.failures, zone));
    if !drill.failures.is_empty() {
        lines.push(format!("  What to do: {}", remedy(program)));
    }
    lines.extend(lasting(drill, zone));
    lines
}

/// What was told before and stays, on one line.
fn lasting(drill: &Drill, zone: &TimeZone) -> Option<String> {
    if drill.lasting_total == 0 {
        return None;
    }
    let named: Vec<String> = drill
        .lasting
        .iter()
        .take(LASTING_NAMED_MAX)
        .map(|of| {
            format!(
                "{} in {} of {}",
                clean(&of.path),
                clean(&of.source),
                time(of.stored_at_ms, zone)
            )
        })
        .collect();
    let more = drill.lasting_total.saturating_sub(named.len() as u64);
    let more = match more {
        0 => String::new(),
        more => format!(" and {} more", number(more)),
    };
    let what = counted(
        drill.lasting_total,
        "older version",
        ["that cannot be mended is", "that cannot be mended are"],
    );
    Some(format!(
        "Damaged:  {what} known, and left out of the drill: {}{more}",
        named.join(", ")
    ))
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
                clean(id_text(&failure.version_id)),
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
        format!("What to do: {}.", remedy(drilled.program)),
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

/// What to send when what was told of is over: `drilled` has what is whole again or
/// gone, `mended` what is of the past by now and stays damaged, while the file as it
/// is now can be restored.
pub fn drill_over(drilled: &Drilled<'_>, mended: &[Failure]) -> Message {
    let over = drilled.failures;
    let mut head = Vec::new();
    if !over.is_empty() {
        let files = amount(over.len() as u64, "file");
        head.extend([
            format!("This is over: {files} that could not be restored can be restored again:"),
            String::new(),
        ]);
        head.extend(named(over, drilled.time_zone));
        head.push(String::new());
    }
    if !mended.is_empty() {
        let files = amount(mended.len() as u64, "file");
        let they = if mended.len() == 1 {
            "it is"
        } else {
            "they are"
        };
        let (these, stay) = match mended.len() {
            1 => (
                "This version of it stays",
                "at which it was current brings it back",
            ),
            _ => (
                "These versions of them stay",
                "at which one was current brings it back",
            ),
        };
        head.extend([
            format!("{files} that could not be restored can be restored as {they} now."),
            format!(
                "{these} damaged and cannot be mended, no restore of a moment {stay}, and it is not told again (the digest lists it):"
            ),
            String::new(),
        ]);
        head.extend(named(mended, drilled.time_zone));
        head.push(String::new());
    }
    head.push(format!("Computer: {}", clean(drilled.computer)));
    let files = amount((over.len() + mended.len()) as u64, "file");
    let how = match mended.is_empty() {
        true => "can be restored again",
        false => "can be restored again, but not as before",
    };
    Message {
        subject: subject(drilled.computer, &format!("{files} in the backup {how}")),
        body: fit(head, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::testing::{at, berlin};
    use crate::types::VersionId;
    use crate::types::WallMs;
    use crate::verify::Damage;

    #[test]
    fn an_alert_names_file_version_date_and_remedy() {
        let zone = berlin();
        let failures = [Failure {
            source: "database".into(),
            path: "evil\nAll is well.csv".into(),
            key: "k".into(),
            version_id: VersionId::new("v77"),
            stored_at_ms: at("2026-11-20T09:00:00Z"),
            damage: Some(Damage::Altered),
            why: "SHA-256 differs".into(),
            is_older: true,
            since_ms: WallMs(0),
            told: false,
        }];
        let drilled = Drilled {
            computer: "OFFICE-PC",
            failures: &failures,
            program: "keepwatch",
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
        let over = drill_over(&drilled, &[]);
        assert!(over.subject.ends_with("can be restored again"));
        assert!(!over.body.contains("stays damaged"), "{}", over.body);
        // What the past keeps is not said to be over.
        let nothing = Drilled {
            failures: &[],
            ..drilled.clone()
        };
        let mended = drill_over(&nothing, &failures);
        assert!(
            mended
                .subject
                .ends_with("can be restored again, but not as before")
        );
        for words in [
            "1 file that could not be restored can be restored as it is now.",
            "This version of it stays damaged and cannot be mended",
            "older version of 2026-11-20 10:00 (v77)",
        ] {
            let body = &mended.body;
            assert!(body.contains(words), "{words}: {body}");
            assert!(!body.contains("This is over"), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_mended_stands_on_one_line() {
        let zone = berlin();
        let failure = Failure {
            source: "database".into(),
            path: "a.csv".into(),
            key: "k".into(),
            version_id: VersionId::new("v1"),
            stored_at_ms: at("2026-11-20T09:00:00Z"),
            damage: Some(Damage::Altered),
            why: "x".into(),
            is_older: true,
            since_ms: WallMs(0),
            told: true,
        };
        let mut drill = Drill {
            files: 3,
            lasting: vec![failure; 12],
            lasting_total: 12,
            ..Drill::default()
        };
        let text = lines(&drill, &zone, "keepwatch").join("\n");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("12 older versions that cannot be mended are known"),
            "{text}"
        );
        assert!(
            text.ends_with("a.csv in database of 2026-11-20 10:00 and 2 more"),
            "{text}"
        );
        assert_eq!(problem(&drill), None);
        drill.lasting.truncate(1);
        drill.lasting_total = 1;
        let text = lines(&drill, &zone, "keepwatch").join("\n");
        assert!(
            text.contains("1 older version that cannot be mended is known"),
            "{text}"
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
