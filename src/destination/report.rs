//! Messages about the place that copies go to: it can be reached, and does not
//! do what a backup needs.

use super::policy::{Owed, Trouble};
use crate::mail::{COMPUTER_CHARS_MAX, Message, fit, push_remedy, subject};
use crate::types::{WallMs, clean, duration, shorten, time};
use jiff::tz::TimeZone;

/// Whose destination it is.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The computer's name.
    pub computer: &'a str,
    /// The folder's name in the configuration.
    pub source: &'a str,
    /// Where its copies go, as shown to people.
    pub destination: &'a str,
    /// The zone its times are shown in.
    pub time_zone: &'a TimeZone,
}

impl Place<'_> {
    /// The message that is owed.
    pub fn message(&self, owed: &Owed, now_ms: WallMs) -> Message {
        match owed {
            Owed::Alert { trouble, reminder } => self.alert(trouble, *reminder, now_ms),
            Owed::Over { trouble, until_ms } => self.over(trouble, *until_ms),
        }
    }

    fn alert(&self, trouble: &Trouble, reminder: bool, now_ms: WallMs) -> Message {
        let lasting = duration(now_ms.elapsed_ms(trouble.since_ms));
        let since = time(trouble.since_ms, self.time_zone);
        let mut head = vec![match reminder {
            true => format!(
                "ALERT: {} (still, since {since}, {lasting}).",
                clean(&trouble.text)
            ),
            false => format!("ALERT: {} (seen {since}).", clean(&trouble.text)),
        }];
        push_remedy(&mut head, &trouble.remedy);
        head.extend(self.place());
        let still = if reminder { "still " } else { "" };
        let source = shorten(self.source, COMPUTER_CHARS_MAX);
        let what = format!("ALERT, {still}{}", trouble.kind.verdict(&source));
        Message {
            subject: subject(self.computer, &what),
            body: fit(head, None),
        }
    }

    fn over(&self, trouble: &Trouble, until_ms: WallMs) -> Message {
        let zone = self.time_zone;
        let mut head = vec![
            format!("This is over since {}:", time(until_ms, zone)),
            format!(
                "{} (seen {}).",
                clean(&trouble.text),
                time(trouble.since_ms, zone)
            ),
        ];
        head.extend(trouble.kind.afterwards().map(str::to_owned));
        head.extend(self.place());
        let source = shorten(self.source, COMPUTER_CHARS_MAX);
        Message {
            subject: subject(self.computer, &trouble.kind.over(&source)),
            body: fit(head, None),
        }
    }

    fn place(&self) -> [String; 4] {
        [
            String::new(),
            format!("Computer: {}", clean(self.computer)),
            format!("Folder:   {}", clean(self.source)),
            format!("Copies:   {}", clean(self.destination)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::policy::{Kind, Troubles};
    use crate::mail::testing::{at, berlin};

    #[test]
    fn an_alert_its_reminder_and_its_end() {
        let zone = berlin();
        let place = Place {
            computer: "OFFICE-PC",
            source: "database",
            destination: "bucket b (AWS S3 in eu-central-1)",
            time_zone: &zone,
        };
        let began = at("2026-11-23T08:00:00Z");
        let found = ("the bucket b keeps no old versions", "turn on versioning");
        let found = Some((found.0.to_owned(), found.1.to_owned()));
        let mut troubles = Troubles::default();
        troubles.set(Kind::NoVersions, found, began);
        let next = |troubles: &mut Troubles, now_ms| {
            let owed = troubles.owed(now_ms).remove(0);
            troubles.told(&owed, now_ms);
            place.message(&owed, now_ms)
        };
        let alert = next(&mut troubles, began);
        assert_eq!(
            alert.subject,
            "Keepwatch OFFICE-PC: ALERT, the bucket of database keeps no old versions"
        );
        insta::assert_snapshot!(alert.body, @r"
        ALERT: the bucket b keeps no old versions (seen 2026-11-23 09:00).
        What to do: turn on versioning

        Computer: OFFICE-PC
        Folder:   database
        Copies:   bucket b (AWS S3 in eu-central-1)
        ");
        let reminder = next(&mut troubles, began + 24 * 3_600_000);
        assert!(reminder.body.contains("still, since"), "{}", reminder.body);
        troubles.set(Kind::NoVersions, None, began + 25 * 3_600_000);
        let over = next(&mut troubles, began + 25 * 3_600_000);
        assert_eq!(
            over.subject,
            "Keepwatch OFFICE-PC: the bucket of database keeps old versions again"
        );
        assert!(over.body.contains("only the last state"), "{}", over.body);
    }
}
