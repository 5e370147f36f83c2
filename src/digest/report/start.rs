//! Messages about a service that does not start, and that it has.

use crate::mail::{Message, fit, push_remedy, subject};
use crate::types::{WallMs, clean, time};
use jiff::tz::TimeZone;

/// A start that failed.
#[derive(Debug, Clone)]
pub struct NotStarted<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// What could not be done and why, without the remedy.
    pub reason: &'a str,
    /// What to do about it; may be empty.
    pub remedy: &'a str,
    /// Since when it does not start, milliseconds since 1970.
    pub since_ms: WallMs,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

impl NotStarted<'_> {
    /// What to send, once a day.
    pub fn alert(&self) -> Message {
        let mut head = vec![
            format!(
                "ALERT: Keepwatch does not start, since {}. NOTHING is backed up.",
                time(self.since_ms, self.time_zone)
            ),
            format!("Why: {}", clean(self.reason)),
        ];
        push_remedy(&mut head, self.remedy);
        head.push(
            "Whatever starts it tries again; this is told once a day as long as it lasts."
                .to_owned(),
        );
        self.message(head, "ALERT, Keepwatch does not start")
    }

    /// What to send when it has started after all.
    pub fn over(&self) -> Message {
        let head = vec![format!(
            "Keepwatch runs again and looks for everything that has changed meanwhile. It did not start since {}: {}",
            time(self.since_ms, self.time_zone),
            clean(self.reason)
        )];
        self.message(head, "Keepwatch runs again")
    }

    fn message(&self, mut head: Vec<String>, verdict: &str) -> Message {
        head.extend([String::new(), format!("Computer: {}", clean(self.computer))]);
        Message {
            subject: subject(self.computer, verdict),
            body: fit(head, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::testing::{at, berlin};

    #[test]
    fn a_start_that_fails_and_one_that_works_again() {
        let zone = berlin();
        let not_started = NotStarted {
            computer: "OFFICE-PC",
            reason: "cannot open the vault in /mnt/disk: the vault that was there is gone",
            remedy: "connect and mount the disk",
            since_ms: at("2026-11-23T08:00:00Z"),
            time_zone: &zone,
        };
        let alert = not_started.alert();
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, Keepwatch does not start"
        );
        for part in [
            "since 2026-11-23 09:00. NOTHING is backed up.",
            "Why: cannot open the vault in /mnt/disk: the vault that was there is gone",
            "What to do: connect and mount the disk",
            "Computer: OFFICE-PC",
        ] {
            assert!(alert.body.contains(part), "{}", alert.body);
        }
        let over = not_started.over();
        assert_eq!(over.subject, "Keepwatch OFFICE-PC: Keepwatch runs again");
        assert!(
            over.body.contains("since 2026-11-23 09:00"),
            "{}",
            over.body
        );
    }
}
