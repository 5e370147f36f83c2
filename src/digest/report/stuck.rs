//! Messages about a part of the backup that does not go on while the rest does:
//! single files that cannot be stored, a folder whose disk does not answer.

use crate::mail::{Message, fit, names, push_remedy, short_names, subject};
use crate::types::{WallMs, clean, duration, time};
use jiff::tz::TimeZone;

/// What does not go on.
#[derive(Debug, Clone)]
pub struct Stuck<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The folders concerned.
    pub sources: &'a [String],
    /// A sentence without its end: `2 files cannot be stored in bucket b`.
    pub what: &'a str,
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Now, or when it was over, milliseconds since 1970.
    pub now_ms: WallMs,
    /// Why; empty when it is over.
    pub reason: &'a str,
    /// What to do about it; may be empty.
    pub remedy: &'a str,
    /// It has been reported before.
    pub reminder: bool,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

/// What to send when it has lasted too long.
pub fn stuck_alert(stuck: &Stuck<'_>) -> Message {
    let lasting = duration(stuck.now_ms.elapsed_ms(stuck.since_ms));
    let still = if stuck.reminder { "still " } else { "" };
    let mut head = vec![
        format!(
            "ALERT: {}, since {} ({still}{lasting}).",
            clean(stuck.what),
            time(stuck.since_ms, stuck.time_zone)
        ),
        format!("Why: {}", clean(stuck.reason)),
    ];
    push_remedy(&mut head, stuck.remedy);
    head.extend(place(stuck));
    head.push("Everything else is backed up as usual, and Keepwatch keeps trying.".to_owned());
    let folders = short_names(stuck.sources);
    Message {
        subject: subject(
            stuck.computer,
            &format!("ALERT, {folders} {still}not wholly backed up for {lasting}"),
        ),
        body: fit(head, None),
    }
}

/// What to send when it was reported and is over.
pub fn stuck_over(stuck: &Stuck<'_>) -> Message {
    let lasted = duration(stuck.now_ms.elapsed_ms(stuck.since_ms));
    let mut head = vec![
        "This is over, the backup goes on:".to_owned(),
        format!(
            "{}, from {} to {} ({lasted}).",
            clean(stuck.what),
            time(stuck.since_ms, stuck.time_zone),
            time(stuck.now_ms, stuck.time_zone)
        ),
    ];
    head.extend(place(stuck));
    Message {
        subject: subject(
            stuck.computer,
            &format!("{} goes on again", short_names(stuck.sources)),
        ),
        body: fit(head, None),
    }
}

/// What to send when the program's own folder was removed under it; `folder` is
/// which. It has been made again.
pub fn state_lost(stuck: &Stuck<'_>, folder: &str) -> Message {
    let mut head = vec![
        format!(
            "ALERT: Keepwatch's own folder {} was removed or replaced while Keepwatch was running (noticed {}).",
            clean(folder),
            time(stuck.since_ms, stuck.time_zone)
        ),
        String::new(),
        "It was made again. No file and no version is lost: Keepwatch compares the folders with the bucket now and uploads nothing twice. Messages that were waiting to be sent are lost, and the next digest counts from now on.".to_owned(),
    ];
    push_remedy(
        &mut head,
        "find out who or what removes it (a program that tidies up?), and have it left alone",
    );
    head.extend(place(stuck));
    Message {
        subject: subject(stuck.computer, "ALERT, its own folder was removed"),
        body: fit(head, None),
    }
}

fn place(stuck: &Stuck<'_>) -> [String; 4] {
    [
        String::new(),
        format!("Computer: {}", clean(stuck.computer)),
        format!("Folders:  {}", names(stuck.sources)),
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::testing::{at, berlin};

    #[test]
    fn an_alert_and_its_end() {
        let zone = berlin();
        let sources = ["database".to_owned()];
        let stuck = Stuck {
            computer: "OFFICE-PC",
            sources: &sources,
            what: "2 files of database cannot be stored",
            since_ms: at("2026-11-23T08:00:00Z"),
            now_ms: at("2026-11-23T08:31:00Z"),
            reason: "the server answered InternalError (HTTP 500)",
            remedy: "Keepwatch tries again by itself",
            reminder: false,
            time_zone: &zone,
        };
        let alert = stuck_alert(&stuck);
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, database not wholly backed up for 31 minutes"
        );
        for words in [
            "ALERT: 2 files of database cannot be stored, since 2026-11-23 09:00 (31 minutes).",
            "InternalError",
            "tries again by itself",
        ] {
            assert!(alert.body.contains(words), "{}", alert.body);
        }
        let over = stuck_over(&stuck);
        assert!(over.subject.contains("database goes on again"));
        assert!(over.body.contains("is over"), "{}", over.body);
    }
}
