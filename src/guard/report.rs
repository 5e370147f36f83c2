//! The words about a hold: a line for `status` and the log, and the messages to the owner.

use super::policy::{DeletionHold, HoldCause};
use crate::mail::{COMPUTER_CHARS_MAX, Message, fit, subject};
use crate::types::{WallMs, amount, clean, duration, number, shorten, time, time_of_second};
use jiff::tz::TimeZone;

/// A hold, and what is needed to put it into words.
#[derive(Debug, Clone)]
pub struct Held<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The source's name.
    pub source: &'a str,
    /// Its folder, as shown to people.
    pub folder: &'a str,
    /// What is held back and why.
    pub hold: &'a DeletionHold,
    /// Now, milliseconds since 1970.
    pub now_ms: WallMs,
    /// It has been told before.
    pub reminder: bool,
    /// The command that confirms the deletions.
    pub confirm: &'a str,
    /// The command that brings back the files as they were before; empty where no
    /// such moment is known.
    pub restore: &'a str,
    /// Who can run these commands, in a sentence; may be empty.
    pub who: &'a str,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

impl Held<'_> {
    /// One line: what has happened and what to do.
    pub fn line(&self) -> String {
        let safe = match self.hold.marked_in_all() {
            0 => "nothing is marked as deleted meanwhile".to_owned(),
            _ => format!("{}, no more meanwhile", self.marked()),
        };
        match &self.hold.cause {
            HoldCause::Encrypted { .. } => format!(
                "{}. To have the files as they were before: {}. If all is in order: {}",
                self.what(),
                self.restore,
                self.confirm
            ),
            HoldCause::Away => format!("{}; {safe}. {}", self.what(), self.remedy()),
            _ => format!(
                "{}; {safe}. {} If the files were really deleted: {}",
                self.what(),
                self.remedy(),
                self.confirm
            ),
        }
    }

    /// How many were marked before it was noticed.
    fn marked(&self) -> String {
        let marked = self.hold.marked_in_all();
        let were = if marked == 1 { "was" } else { "were" };
        format!(
            "{} of them {were} marked as deleted before that was noticed",
            number(marked)
        )
    }

    /// What has become of the backup, for an alert.
    fn in_backup(&self) -> String {
        match self.hold.marked_in_all() {
            0 => "Nothing is marked as deleted in the backup meanwhile, and nothing is lost there. New and changed files are backed up as ever.".to_owned(),
            marked => {
                let theirs = if marked == 1 { "its versions are" } else { "their versions are" };
                format!(
                    "{}; {theirs} all still in the backup. No more are marked meanwhile. New and changed files are backed up as ever.",
                    capital(&self.marked())
                )
            }
        }
    }

    /// How to restore everything as it was before, line by line.
    fn bring_back(&self) -> Vec<String> {
        if self.restore.is_empty() {
            return Vec::new();
        }
        let before = match (&self.hold.cause, self.hold.marked_in_all()) {
            (_, 1..) => ", before the first of them was marked as deleted",
            (HoldCause::OtherRoot, 0) => ", before anything of the other folder was stored",
            (_, 0) => ", with all that is missing",
        };
        let mut lines = vec![
            format!(
                "This command brings everything back into a new folder as the backup had it at {}{before}:",
                time_of_second(self.hold.moment_ms, self.time_zone)
            ),
            String::new(),
            format!("  {}", self.restore),
            String::new(),
        ];
        lines.extend(self.runner());
        lines
    }

    /// Who can run the command above, as a paragraph.
    fn runner(&self) -> Vec<String> {
        match self.who {
            "" => Vec::new(),
            who => vec![who.to_owned(), String::new()],
        }
    }

    /// What has happened, without a full stop.
    fn what(&self) -> String {
        let DeletionHold { files, of, .. } = self.hold;
        let (source, folder) = (clean(self.source), clean(self.folder));
        match &self.hold.cause {
            HoldCause::Fall => format!(
                "{} of {} {} missing from the folder of {source}, {folder} (or left out by a new rule)",
                number(*files),
                amount(*of, "file"),
                if *files == 1 { "is" } else { "are" }
            ),
            HoldCause::OtherRoot => format!(
                "the folder {folder} of {source} is not the one that was backed up (another disk? not mounted?)"
            ),
            HoldCause::Away => format!("the folder {folder} of {source} is not there"),
            HoldCause::Unmounted { folder: inner } => format!(
                "the disk on the folder {} in {folder} of {source} is not mounted any more ({} on it)",
                clean(&inner.path().to_string()),
                amount(*files, "file")
            ),
            HoldCause::Encrypted {
                before_ms,
                ending,
                is_emptied,
            } => {
                let ending = ending.as_ref().map_or_else(String::new, |ending| {
                    format!(", and many names end in \"{}\" now", clean(ending))
                });
                let what = match is_emptied {
                    true => "emptied",
                    false => "replaced by what looks encrypted",
                };
                format!(
                    "{} or more of {source} in {folder} have been {what} since {}{ending}: this may be an attack (ransomware)",
                    amount(*files, "file"),
                    time(*before_ms, self.time_zone)
                )
            }
        }
    }

    /// What to do when the deletions were not meant; a sentence.
    fn remedy(&self) -> &'static str {
        match self.hold.cause {
            HoldCause::Fall => {
                "If a disk is not mounted or the folder is not the right one, put that right."
            }
            HoldCause::OtherRoot => {
                "Connect and mount the right disk, or correct the folder in the configuration."
            }
            HoldCause::Away => {
                "Connect and mount the disk; Keepwatch goes on by itself then. If the folder has moved, correct its path in the configuration and start Keepwatch again."
            }
            HoldCause::Unmounted { .. } => {
                "Connect and mount the disk; Keepwatch goes on by itself then."
            }
            HoldCause::Encrypted { .. } => {
                "Disconnect this computer from the network, and do not restore into the same folder before it is clean."
            }
        }
    }

    /// When to confirm the deletions; ends with a colon.
    fn confirming(&self) -> &'static str {
        match self.hold.cause {
            HoldCause::OtherRoot => {
                "If this is the right folder, and what it lacks was really deleted, say so with:"
            }
            HoldCause::Unmounted { .. } => {
                "If the disk is gone for good, and its files may be marked as deleted, say so with:"
            }
            _ => "If the files were really deleted, say so with:",
        }
    }

    /// The alert, or its reminder.
    pub fn alert(&self) -> Message {
        let still = if self.reminder { "still: " } else { "" };
        let mut head = vec![
            format!("ALERT: {still}{}.", self.what()),
            String::new(),
            format!("What to do: {}", self.remedy()),
        ];
        match self.hold.cause {
            HoldCause::Encrypted { before_ms, .. } => {
                head.extend([
                String::new(),
                format!(
                    "The backup still has every file as it was before {}. This command brings them back into a new folder, on this or any other computer with this configuration:",
                    time(before_ms, self.time_zone)
                ),
                String::new(),
                format!("  {}", self.restore),
                String::new(),
                ]);
                head.extend(self.runner());
                head.extend([
                "Changed files are still backed up as new versions (that harms nothing), but no deletion is marked until you say so.".to_owned(),
                "If all is in order (you have encrypted, converted or emptied the files yourself), say so with:".to_owned(),
                String::new(),
                format!("  {}", self.confirm),
            ]);
            }
            HoldCause::Away => {
                head.extend([
                    String::new(),
                    "Nothing is marked as deleted in the backup, and nothing is lost there."
                        .to_owned(),
                ]);
                head.extend(self.bring_back());
            }
            _ => {
                head.extend([String::new(), self.in_backup()]);
                head.extend(self.bring_back());
                head.extend([
                    self.confirming().to_owned(),
                    String::new(),
                    format!("  {}", self.confirm),
                ]);
            }
        }
        head.extend(self.foot());
        Message {
            subject: subject(
                self.computer,
                &format!("ALERT, {still}{} {}", self.short_source(), self.verdict()),
            ),
            body: fit(head, None),
        }
    }

    /// The message that a hold has ended by itself.
    pub fn over(&self) -> Message {
        let lasted = duration(u64::try_from(self.now_ms - self.hold.since_ms).unwrap_or(0));
        let mut head = vec![
            format!(
                "The folder {} of {} {}. The alert of {} is over ({lasted}).",
                clean(self.folder),
                clean(self.source),
                self.back(),
                time(self.hold.since_ms, self.time_zone)
            ),
            self.cost(),
        ];
        head.extend(self.foot());
        let what = format!("{} is well again after {lasted}", self.short_source());
        Message {
            subject: subject(self.computer, &what),
            body: fit(head, None),
        }
    }

    /// What the source is again, after its name.
    fn back(&self) -> &'static str {
        match self.hold.cause {
            HoldCause::Away => "is there again",
            HoldCause::Fall => "has its files again",
            HoldCause::OtherRoot => "is the one that was backed up again",
            HoldCause::Unmounted { .. } => "has its disk again",
            HoldCause::Encrypted { .. } => "is as it was",
        }
    }

    /// What was marked because of it; a sentence.
    fn cost(&self) -> String {
        match (self.hold.marked_in_all(), &self.hold.cause) {
            (0, HoldCause::Fall) => match self.hold.files {
                0 => "No file was marked as deleted while it lasted.".to_owned(),
                1 => "No file was marked as deleted while it lasted. The one that is still missing is taken for deleted now.".to_owned(),
                files => format!(
                    "No file was marked as deleted while it lasted. The {} that are still missing are taken for deleted now.",
                    number(files)
                ),
            },
            (0, _) => "No file was marked as deleted because of it.".to_owned(),
            _ => format!(
                "{}; what is there again is stored as new versions.",
                capital(&self.marked())
            ),
        }
    }

    fn foot(&self) -> [String; 4] {
        [
            String::new(),
            format!("Computer: {}", clean(self.computer)),
            format!("Folder:   {} ({})", clean(self.source), clean(self.folder)),
            format!("Since:    {}", time(self.hold.since_ms, self.time_zone)),
        ]
    }

    fn short_source(&self) -> String {
        shorten(self.source, COMPUTER_CHARS_MAX)
    }

    /// For the subject, after the source's name.
    fn verdict(&self) -> &'static str {
        match self.hold.cause {
            HoldCause::Fall => "lost most of its files",
            HoldCause::OtherRoot => "is another folder than before",
            HoldCause::Away => "is not there",
            HoldCause::Unmounted { .. } => "misses a disk",
            HoldCause::Encrypted {
                is_emptied: true, ..
            } => "was emptied (ransomware?)",
            HoldCause::Encrypted { .. } => "looks encrypted (ransomware?)",
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::testing::{at, berlin};
    use crate::types::RelKey;

    fn say(cause: HoldCause, reminder: bool) -> (String, Message) {
        let (line, alert, _) = say_all(cause, reminder, 0);
        (line, alert)
    }

    fn say_all(cause: HoldCause, reminder: bool, marked: u64) -> (String, Message, Message) {
        let zone = berlin();
        let hold = DeletionHold {
            cause,
            since_ms: at("2026-11-23T08:00:00Z"),
            files: 1_234,
            of: 2_000,
            marked,
            found_marked: 0,
            moment_ms: at("2026-11-23T07:59:57Z") + 999,
            told: 0,
            told_ms: WallMs(0),
        };
        let held = Held {
            computer: "OFFICE-PC",
            source: "documents",
            folder: "/srv/office",
            hold: &hold,
            now_ms: at("2026-11-23T08:00:00Z"),
            reminder,
            confirm: "keepwatch --reconcile --confirm-deletions",
            restore: "keepwatch restore --source documents --at 2026-11-23T08:59:58+01:00 --to /srv/x",
            who: "",
            time_zone: &zone,
        };
        (held.line(), held.alert(), held.over())
    }

    #[test]
    fn files_that_are_missing() {
        let (line, alert) = say(HoldCause::Fall, false);
        assert_eq!(
            line,
            "1,234 of 2,000 files are missing from the folder of documents, /srv/office (or left out by a new rule); nothing is marked as deleted meanwhile. If a disk is not mounted or the folder is not the right one, put that right. If the files were really deleted: keepwatch --reconcile --confirm-deletions"
        );
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, documents lost most of its files"
        );
        insta::assert_snapshot!(alert.body, @r#"
        ALERT: 1,234 of 2,000 files are missing from the folder of documents, /srv/office (or left out by a new rule).

        What to do: If a disk is not mounted or the folder is not the right one, put that right.

        Nothing is marked as deleted in the backup meanwhile, and nothing is lost there. New and changed files are backed up as ever.
        This command brings everything back into a new folder as the backup had it at 2026-11-23 08:59:57, with all that is missing:

          keepwatch restore --source documents --at 2026-11-23T08:59:58+01:00 --to /srv/x

        If the files were really deleted, say so with:

          keepwatch --reconcile --confirm-deletions

        Computer: OFFICE-PC
        Folder:   documents (/srv/office)
        Since:    2026-11-23 09:00
        "#);
    }

    #[test]
    fn what_was_marked_before_a_fall_was_noticed_is_not_denied() {
        let (line, alert, over) = say_all(HoldCause::Fall, false, 510);
        for text in [&line, &alert.body, &over.body] {
            let text = text.to_lowercase();
            assert!(
                text.contains("510 of them were marked as deleted before"),
                "{text}"
            );
            assert!(!text.contains("nothing is marked"), "{text}");
            assert!(!text.contains("no file was marked"), "{text}");
        }
        assert!(
            alert
                .body
                .contains("as the backup had it at 2026-11-23 08:59:57, before the first of them was marked as deleted:\n\n  keepwatch restore")
        );
        let (line, alert, _) = say_all(HoldCause::Fall, false, 1);
        for text in [&line, &alert.body.to_lowercase()] {
            assert!(text.contains("1 of them was marked as deleted"), "{text}");
        }
        assert!(alert.body.contains("its versions are all still"));
    }

    #[test]
    fn every_alert_has_a_command_that_brings_the_files_back() {
        let folder = RelKey::parse_full("disk/").unwrap();
        for cause in [
            HoldCause::Fall,
            HoldCause::OtherRoot,
            HoldCause::Away,
            HoldCause::Unmounted { folder },
        ] {
            let (_, alert) = say(cause, false);
            assert!(
                alert.body.contains("\n\n  keepwatch restore"),
                "{}",
                alert.body
            );
        }
    }

    #[test]
    fn what_is_over_says_what_is_back() {
        let folder = RelKey::parse_full("disk/").unwrap();
        for (cause, part) in [
            (HoldCause::Away, "is there again"),
            (HoldCause::Fall, "has its files again"),
            (HoldCause::OtherRoot, "is the one that was backed up again"),
            (HoldCause::Unmounted { folder }, "has its disk again"),
        ] {
            let (_, _, over) = say_all(cause, false, 0);
            assert!(
                over.body.contains(&format!("documents {part}.")),
                "{}",
                over.body
            );
        }
    }

    #[test]
    fn files_that_look_encrypted() {
        let cause = HoldCause::Encrypted {
            before_ms: at("2026-11-23T07:59:58Z"),
            ending: Some(".locked".to_owned()),
            is_emptied: false,
        };
        let (_, alert) = say(cause, true);
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, still: documents looks encrypted (ransomware?)"
        );
        insta::assert_snapshot!(alert.body, @r#"
        ALERT: still: 1,234 files or more of documents in /srv/office have been replaced by what looks encrypted since 2026-11-23 08:59, and many names end in ".locked" now: this may be an attack (ransomware).

        What to do: Disconnect this computer from the network, and do not restore into the same folder before it is clean.

        The backup still has every file as it was before 2026-11-23 08:59. This command brings them back into a new folder, on this or any other computer with this configuration:

          keepwatch restore --source documents --at 2026-11-23T08:59:58+01:00 --to /srv/x

        Changed files are still backed up as new versions (that harms nothing), but no deletion is marked until you say so.
        If all is in order (you have encrypted, converted or emptied the files yourself), say so with:

          keepwatch --reconcile --confirm-deletions

        Computer: OFFICE-PC
        Folder:   documents (/srv/office)
        Since:    2026-11-23 09:00
        "#);
    }

    #[test]
    fn files_that_were_emptied_are_not_said_to_be_encrypted() {
        let cause = HoldCause::Encrypted {
            before_ms: at("2026-11-23T07:59:58Z"),
            ending: None,
            is_emptied: true,
        };
        let (line, alert) = say(cause, false);
        assert!(
            alert
                .subject
                .ends_with("documents was emptied (ransomware?)")
        );
        for text in [&line, &alert.body] {
            assert!(
                text.contains("have been emptied since 2026-11-23 08:59"),
                "{text}"
            );
            assert!(!text.contains("looks encrypted"), "{text}");
        }
    }

    #[test]
    fn every_reason_names_the_folder_and_what_to_do() {
        let folder = RelKey::parse_full("disk/").unwrap();
        for (cause, part) in [
            (HoldCause::OtherRoot, "is not the one that was backed up"),
            (HoldCause::Away, "is not there"),
            (
                HoldCause::Unmounted { folder },
                "the disk on the folder disk in /srv/office",
            ),
        ] {
            let confirms = cause != HoldCause::Away;
            let (line, alert) = say(cause, false);
            assert!(line.contains(part) && alert.body.contains(part), "{line}");
            assert!(alert.body.contains("What to do: Connect and mount"));
            assert_eq!(line.contains("--confirm-deletions"), confirms, "{line}");
        }
    }
}
