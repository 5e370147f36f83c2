//! Messages that do not wait for the digest: a reconcile or a restore is done,
//! a destination is out of reach, a destination is back.

use crate::mail::{
    FailureLine, Message, by_need, count_of, failures, fit, list_remedies, names, push_remedy,
    short_names, subject,
};
use crate::types::{Fault, WallMs, amount, clean, duration, size, time};
use jiff::tz::TimeZone;

/// Wordings of one cause in a message: each server says it in its own way.
const WHYS_MAX: usize = 4;

/// A command that somebody started and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneOffTask {
    /// `--reconcile`: one full sync.
    Reconcile,
    /// `restore`.
    Restore,
}

/// Why a command stopped before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub cause: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// The outcome of one command.
#[derive(Debug, Clone)]
pub struct OneOff {
    /// The computer's name.
    pub computer: String,
    /// Which command.
    pub task: OneOffTask,
    /// What it worked on and where to, as shown to people.
    pub place: String,
    /// When it began, milliseconds since 1970.
    pub started_ms: WallMs,
    /// When it ended, milliseconds since 1970.
    pub ended_ms: WallMs,
    /// The zone its times are shown in.
    pub time_zone: TimeZone,
    /// Files that are in order now.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Files that failed, the first few.
    pub failures: Vec<FailureLine>,
    /// How many failed.
    pub failures_total: u64,
    /// Present when the command stopped before its end.
    pub failed: Option<Failed>,
}

impl OneOff {
    /// Subject and body.
    pub fn message(&self) -> Message {
        let failures_count = self.failures_total.max(count_of(&self.failures));
        let (name, done) = match self.task {
            OneOffTask::Reconcile => ("reconcile", "compared and protected"),
            OneOffTask::Restore => ("restore", "restored"),
        };
        let files = amount(self.files, "file");
        let verdict = match (&self.failed, failures_count) {
            (Some(_), _) => format!("{name} FAILED"),
            (None, 0) => format!("{name} succeeded, {files}"),
            (None, failed) => format!(
                "{name} INCOMPLETE, {} failed, {files} succeeded",
                amount(failed, "file")
            ),
        };
        let mut head = vec![format!("Keepwatch {verdict}.")];
        if let Some(failed) = &self.failed {
            head.push(format!("Why: {}", clean(&failed.cause)));
            push_remedy(&mut head, &failed.hint);
        } else if failures_count > 0 {
            head.push("See to the files below, then run it again.".to_owned());
        }
        let remedies = self.failures.iter().map(|line| line.remedy.as_str());
        head.extend(list_remedies(&by_need(remedies)));
        head.extend([
            String::new(),
            format!("Computer: {}", clean(&self.computer)),
            format!("Place:    {}", clean(&self.place)),
            format!(
                "Time:     {} to {} ({})",
                time(self.started_ms, &self.time_zone),
                time(self.ended_ms, &self.time_zone),
                duration(self.ended_ms.elapsed_ms(self.started_ms))
            ),
            format!("Files:    {files} {done} ({})", size(self.bytes)),
        ]);
        let list = failures("FAILED", &self.failures, failures_count);
        Message {
            subject: subject(&self.computer, &verdict),
            body: fit(head, list),
        }
    }
}

/// Destinations that take nothing, for one cause.
#[derive(Debug, Clone)]
pub struct Outage<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The folders whose copies go there.
    pub sources: &'a [String],
    /// The destinations, as shown to people.
    pub destination: &'a str,
    /// What else does not go on for it, in words; empty when nothing does.
    pub besides: &'a str,
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Now, milliseconds since 1970.
    pub now_ms: WallMs,
    /// The newest failures, one of each wording; the first is told with its remedy.
    pub faults: &'a [Fault],
    /// Files that wait to be stored.
    pub waiting: u64,
    /// This outage has been reported before.
    pub reminder: bool,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

/// What to send when a destination has been out of reach for too long.
pub fn outage_alert(outage: &Outage<'_>) -> Message {
    let still = if outage.reminder { "still " } else { "" };
    let lasting = duration(outage.now_ms.elapsed_ms(outage.since_ms));
    let mut head = vec![format!(
        "ALERT: nothing {still}can be backed up to {} since {} ({lasting}).",
        clean(outage.destination),
        time(outage.since_ms, outage.time_zone)
    )];
    if !outage.besides.is_empty() {
        head.push(format!("Besides, {}.", clean(outage.besides)));
    }
    let whys = outage.faults.iter().take(WHYS_MAX);
    head.extend(whys.map(|fault| format!("Why: {}", clean(&fault.cause))));
    if let Some(fault) = outage.faults.first() {
        push_remedy(&mut head, &fault.hint);
    }
    head.extend([
        String::new(),
        format!("Computer: {}", clean(outage.computer)),
        format!("Folders:  {}", names(outage.sources)),
        format!("Waiting:  {}", amount(outage.waiting, "file")),
        String::new(),
        "Keepwatch keeps trying, and stores what waits as soon as it can.".to_owned(),
    ]);
    Message {
        subject: subject(
            outage.computer,
            &format!(
                "ALERT, {} {still}not backed up for {lasting}",
                short_names(outage.sources)
            ),
        ),
        body: fit(head, None),
    }
}

/// Destinations that are back.
#[derive(Debug, Clone)]
pub struct Recovery<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The folders whose copies go there.
    pub sources: &'a [String],
    /// The destination, as shown to people.
    pub destination: &'a str,
    /// When the outage began, milliseconds since 1970.
    pub since_ms: WallMs,
    /// When it was over, milliseconds since 1970.
    pub until_ms: WallMs,
    /// What was told of together with it and still does not work, in words; empty when
    /// all does.
    pub still: &'a str,
    /// Files that still wait to be stored.
    pub waiting: u64,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

/// What to send when a reported outage is over.
pub fn recovery(recovery: &Recovery<'_>) -> Message {
    let lasted = duration(recovery.until_ms.elapsed_ms(recovery.since_ms));
    let mut head = vec![
        format!("The backup to {} works again.", clean(recovery.destination)),
        format!(
            "It was out of reach from {} to {} ({lasted}).",
            time(recovery.since_ms, recovery.time_zone),
            time(recovery.until_ms, recovery.time_zone)
        ),
    ];
    if !recovery.still.is_empty() {
        head.push(format!("Out of reach still: {}.", clean(recovery.still)));
    }
    head.extend([
        String::new(),
        format!("Computer: {}", clean(recovery.computer)),
        format!("Folders:  {}", names(recovery.sources)),
        format!(
            "Waiting:  {}, being stored now",
            amount(recovery.waiting, "file")
        ),
    ]);
    Message {
        subject: subject(
            recovery.computer,
            &format!(
                "{} backed up again after {lasted}",
                short_names(recovery.sources)
            ),
        ),
        body: fit(head, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::testing::{at, berlin, failure};
    use crate::types::Class;

    fn one_off() -> OneOff {
        OneOff {
            computer: "OFFICE-PC".to_owned(),
            task: OneOffTask::Restore,
            place: "s3://photos-backup-254 -> D:\\restored".to_owned(),
            started_ms: at("2026-11-23T08:00:00Z"),
            ended_ms: at("2026-11-23T09:06:00Z"),
            time_zone: berlin(),
            files: 12_345,
            bytes: 9_876_543_210,
            failures: Vec::new(),
            failures_total: 0,
            failed: None,
        }
    }

    #[test]
    fn a_command_that_succeeded() {
        let message = one_off().message();
        assert_eq!(
            message.subject,
            "Keepwatch OFFICE-PC: restore succeeded, 12,345 files"
        );
        insta::assert_snapshot!(message.body, @r#"
        Keepwatch restore succeeded, 12,345 files.

        Computer: OFFICE-PC
        Place:    s3://photos-backup-254 -> D:\restored
        Time:     2026-11-23 09:00 to 2026-11-23 10:06 (1 hour 6 minutes)
        Files:    12,345 files restored (9.9 GB)
        "#);
    }

    #[test]
    fn a_command_that_failed_for_some_files() {
        let message = OneOff {
            task: OneOffTask::Reconcile,
            failures: vec![FailureLine {
                remedy: "close the program that holds it open".to_owned(),
                ..failure("a.txt", 2)
            }],
            failures_total: 7,
            ..one_off()
        }
        .message();
        assert_eq!(
            message.subject,
            "Keepwatch OFFICE-PC: reconcile INCOMPLETE, 7 files failed, 12,345 files succeeded"
        );
        insta::assert_snapshot!(message.body, @r#"
        Keepwatch reconcile INCOMPLETE, 7 files failed, 12,345 files succeeded.
        See to the files below, then run it again.

        What to do
          - close the program that holds it open

        Computer: OFFICE-PC
        Place:    s3://photos-backup-254 -> D:\restored
        Time:     2026-11-23 09:00 to 2026-11-23 10:06 (1 hour 6 minutes)
        Files:    12,345 files compared and protected (9.9 GB)

        FAILED: 7 files
            - a.txt: the connection was reset (2 times)
            ... and 6 more
        "#);
    }

    #[test]
    fn a_command_that_failed() {
        let message = OneOff {
            failed: Some(Failed {
                cause: "the disk is full".to_owned(),
                hint: "free 3 GB on D: and run it again".to_owned(),
            }),
            ..one_off()
        }
        .message();
        assert_eq!(message.subject, "Keepwatch OFFICE-PC: restore FAILED");
        assert!(message.body.starts_with(
            "Keepwatch restore FAILED.\nWhy: the disk is full\nWhat to do: free 3 GB on D: and run it again\n"
        ));
    }

    #[test]
    fn an_outage_and_its_end() {
        let fault = Fault::new(Class::Credentials, "upload", "a.txt", "the key has expired")
            .hint("make a new access key and store it in the profile `backup`");
        let sources = ["database".to_owned(), "photos".to_owned()];
        let zone = berlin();
        let outage = Outage {
            computer: "OFFICE-PC",
            sources: &sources,
            destination: "s3://backup-254",
            besides: "",
            since_ms: at("2026-11-23T08:00:00Z"),
            now_ms: at("2026-11-23T08:30:00Z"),
            faults: std::slice::from_ref(&fault),
            waiting: 17,
            reminder: false,
            time_zone: &zone,
        };
        let alert = outage_alert(&outage);
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, 2 folders not backed up for 30 minutes"
        );
        insta::assert_snapshot!(alert.body, @r#"
        ALERT: nothing can be backed up to s3://backup-254 since 2026-11-23 09:00 (30 minutes).
        Why: the key has expired
        What to do: make a new access key and store it in the profile `backup`

        Computer: OFFICE-PC
        Folders:  database, photos
        Waiting:  17 files

        Keepwatch keeps trying, and stores what waits as soon as it can.
        "#);
        let other = Fault::new(Class::Credentials, "upload", "b", "b.s3 knows no such key");
        let more = outage_alert(&Outage {
            besides: "2 files of letters cannot be backed up",
            faults: &[fault.clone(), other],
            ..outage.clone()
        });
        assert!(
            more.body.contains(
                "\nBesides, 2 files of letters cannot be backed up.\nWhy: the key has expired\nWhy: b.s3 knows no such key\nWhat to do: make"
            ),
            "{}",
            more.body
        );
        let reminder = outage_alert(&Outage {
            reminder: true,
            sources: &sources[..1],
            ..outage
        });
        assert_eq!(
            reminder.subject,
            "Keepwatch OFFICE-PC: ALERT, database still not backed up for 30 minutes"
        );
        let back = recovery(&Recovery {
            computer: "OFFICE-PC",
            sources: &sources,
            destination: "s3://backup-254",
            since_ms: at("2026-11-23T08:00:00Z"),
            until_ms: at("2026-11-23T11:05:00Z"),
            still: "",
            waiting: 1_700,
            time_zone: &zone,
        });
        assert_eq!(
            back.subject,
            "Keepwatch OFFICE-PC: 2 folders backed up again after 3 hours 5 minutes"
        );
        insta::assert_snapshot!(back.body, @r#"
        The backup to s3://backup-254 works again.
        It was out of reach from 2026-11-23 09:00 to 2026-11-23 12:05 (3 hours 5 minutes).

        Computer: OFFICE-PC
        Folders:  database, photos
        Waiting:  1,700 files, being stored now
        "#);
        let some = recovery(&Recovery {
            computer: "OFFICE-PC",
            sources: &sources,
            destination: "a",
            since_ms: WallMs(0),
            until_ms: WallMs(1),
            still: "b on AWS",
            waiting: 0,
            time_zone: &zone,
        });
        assert!(
            some.body.contains("\nOut of reach still: b on AWS.\n"),
            "{}",
            some.body
        );
    }
}
