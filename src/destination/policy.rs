//! What is wrong with the place that copies go to, and who has been told.
//!
//! Pure: the tasks ask the server and persist; this decides. Invariants: trouble
//! stands until it is known to be over; who was told of it is told of its end;
//! status, digest, reconciliation and alert say the same, from here.

use crate::types::{MonotonicMs, VersionId, WallMs};
use serde::{Deserialize, Serialize};

/// Time between an alert and its reminder: once a day is what people still read.
pub const REMIND_MS: i64 = 24 * 60 * 60 * 1_000;

/// Alerts and reminders of one trouble; the digest and `status` go on saying it.
pub const TOLD_MAX: u32 = 14;

/// Troubles that are over and whose end has not been told yet. More can only
/// come while no message can be kept; then the oldest go.
const ENDED_MAX: usize = 16;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It belongs to another computer.
    OtherOwner,
    /// What was written there is there no more, as far as is known.
    Emptied,
    /// The bucket keeps no old versions.
    NoVersions,
    /// The server does not say whether the bucket keeps old versions.
    VersionsUntold,
    /// The access key may not mark deletions.
    Unmarked,
}

impl Kind {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [
        Self::OtherOwner,
        Self::Emptied,
        Self::NoVersions,
        Self::VersionsUntold,
        Self::Unmarked,
    ];

    /// Under which topic `status` warns of it.
    pub fn topic(self) -> &'static str {
        match self {
            Self::OtherOwner => "owner",
            Self::Emptied => "content",
            Self::NoVersions | Self::VersionsUntold => "versioning",
            Self::Unmarked => "marking",
        }
    }

    /// All topics.
    pub const TOPICS: [&str; 4] = ["owner", "content", "versioning", "marking"];

    /// What a report puts before it.
    pub fn label(self) -> &'static str {
        match self {
            Self::OtherOwner => "NOTHING IS SENT",
            Self::Emptied => "NOT COMPLETE",
            Self::NoVersions | Self::VersionsUntold => "NOT SAFE",
            Self::Unmarked => "NOT MARKED",
        }
    }

    /// Part of a sentence that begins with what is wrong with whose destination.
    pub fn verdict(self, whose: &str) -> String {
        match self {
            Self::OtherOwner => format!("the destination of {whose} is another computer's"),
            Self::Emptied => format!("the bucket of {whose} was emptied or made again"),
            Self::NoVersions => format!("the bucket of {whose} keeps no old versions"),
            Self::VersionsUntold => {
                format!("it is not known whether the bucket of {whose} keeps old versions")
            }
            Self::Unmarked => format!("deleted files of {whose} may not be marked as deleted"),
        }
    }

    /// The same when it is over.
    pub fn over(self, whose: &str) -> String {
        match self {
            Self::OtherOwner => format!("the destination of {whose} is this computer's"),
            Self::Emptied => format!(
                "the bucket of {whose} was emptied or made again, and has been compared with the folder"
            ),
            Self::NoVersions => format!("the bucket of {whose} keeps old versions again"),
            Self::VersionsUntold => format!("the bucket of {whose} keeps old versions"),
            Self::Unmarked => format!("deleted files of {whose} are marked as deleted"),
        }
    }

    /// What it has cost, told when it is over.
    pub fn afterwards(self) -> Option<&'static str> {
        match self {
            Self::NoVersions => Some(
                "Nothing was marked as deleted meanwhile; what has been deleted since is marked now. Of a file that was saved more than once meanwhile only the last state is kept.",
            ),
            Self::OtherOwner => Some("Everything is compared and sent from now on."),
            Self::Emptied => Some(
                "Every file that is not in the bucket is sent again as it is now. Deleted files and earlier versions that were there before are gone, unless whoever runs the server brings them back: ask who emptied it.",
            ),
            Self::VersionsUntold | Self::Unmarked => None,
        }
    }

    /// What is in the bucket may be lost.
    pub fn costs_files(self) -> bool {
        self != Self::Unmarked
    }

    /// That it has been is told though it is over before anybody could be told of it.
    fn is_told_afterwards(self) -> bool {
        self == Self::Emptied
    }

    /// Whether a message goes out at once: it costs files now.
    fn is_alarming(self) -> bool {
        match self {
            Self::OtherOwner | Self::Emptied | Self::NoVersions => true,
            Self::VersionsUntold | Self::Unmarked => false,
        }
    }
}

/// One trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What is wrong.
    pub kind: Kind,
    /// Since when that is known, milliseconds since 1970.
    pub since_ms: WallMs,
    /// The same for people: a sentence without its end.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
    /// How often the owner has been told.
    #[serde(default)]
    pub told: u32,
    /// When last, milliseconds since 1970.
    #[serde(default)]
    pub told_ms: WallMs,
}

impl Trouble {
    /// Text and remedy in one line.
    pub fn line(&self) -> String {
        format!("{}. What to do: {}", self.text, self.remedy)
    }

    /// Whether an alert (`Some(false)`) or a reminder (`Some(true)`) is owed.
    fn owes(&self, now_ms: WallMs) -> Option<bool> {
        if !self.kind.is_alarming() {
            return None;
        }
        if self.told == 0 {
            return Some(false);
        }
        // A clock that was put back must not silence it.
        let waited_ms = (now_ms - self.told_ms).saturating_abs();
        (self.told < TOLD_MAX && waited_ms >= REMIND_MS).then_some(true)
    }
}

/// A message that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owed {
    /// That it is.
    Alert {
        /// What.
        trouble: Trouble,
        /// It has been told before.
        reminder: bool,
    },
    /// That it is over.
    Over {
        /// What.
        trouble: Trouble,
        /// When it was seen to be over, milliseconds since 1970.
        until_ms: WallMs,
    },
}

/// A trouble that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    trouble: Trouble,
    until_ms: WallMs,
}

/// All that is wrong with one destination; survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Troubles {
    standing: Vec<Trouble>,
    ended: Vec<Ended>,
}

impl Troubles {
    /// What stands, in the order of [`Kind`].
    pub fn standing(&self) -> &[Trouble] {
        &self.standing
    }

    /// Whether that stands.
    pub fn has(&self, kind: Kind) -> bool {
        self.standing.iter().any(|trouble| trouble.kind == kind)
    }

    /// It was looked at: this is wrong (text and remedy), or nothing of the kind is.
    pub fn set(&mut self, kind: Kind, found: Option<(String, String)>, now_ms: WallMs) {
        let at = self.standing.iter().position(|one| one.kind == kind);
        match (at, found) {
            (Some(at), Some((text, remedy))) => {
                let trouble = &mut self.standing[at];
                (trouble.text, trouble.remedy) = (text, remedy);
            }
            (None, Some((text, remedy))) => {
                self.standing.push(Trouble {
                    kind,
                    since_ms: now_ms,
                    text,
                    remedy,
                    told: 0,
                    told_ms: WallMs::default(),
                });
                self.standing.sort_by_key(|trouble| trouble.kind);
            }
            (Some(at), None) => {
                let trouble = self.standing.remove(at);
                if trouble.told > 0 || kind.is_told_afterwards() {
                    let until_ms = now_ms;
                    self.ended.push(Ended { trouble, until_ms });
                    let over = self.ended.len().saturating_sub(ENDED_MAX);
                    self.ended.drain(..over);
                }
            }
            (None, None) => {}
        }
    }

    /// Messages that are owed now, what is over first.
    pub fn owed(&self, now_ms: WallMs) -> Vec<Owed> {
        let over = self.ended.iter().map(|ended| Owed::Over {
            trouble: ended.trouble.clone(),
            until_ms: ended.until_ms,
        });
        let alerts = self.standing.iter().filter_map(|trouble| {
            Some(Owed::Alert {
                reminder: trouble.owes(now_ms)?,
                trouble: trouble.clone(),
            })
        });
        over.chain(alerts).collect()
    }

    /// That message is safely on its way.
    pub fn told(&mut self, owed: &Owed, now_ms: WallMs) {
        match owed {
            Owed::Over { trouble, until_ms } => self
                .ended
                .retain(|ended| ended.trouble != *trouble || ended.until_ms != *until_ms),
            Owed::Alert { trouble, .. } => {
                let is_it = |other: &&mut Trouble| {
                    (other.kind, other.since_ms) == (trouble.kind, trouble.since_ms)
                };
                match self.standing.iter_mut().find(is_it) {
                    Some(standing) => {
                        standing.told = standing.told.saturating_add(1);
                        standing.told_ms = now_ms;
                    }
                    // It ended while it was being told: its end is owed, too.
                    None => self.ended.push(Ended {
                        trouble: Trouble {
                            told: 1,
                            ..trouble.clone()
                        },
                        until_ms: now_ms,
                    }),
                }
            }
        }
    }
}

/// How old a bucket's word may be when something is marked as deleted: one
/// request in so long while many files go, and no more than this to lose a file
/// in when somebody switches versioning off.
const FRESH_MS: i64 = 10_000;

/// How often a bucket that keeps versions is asked whether it still does, while
/// nothing is deleted there.
const AGAIN_MS: i64 = 10 * 60 * 1_000;

/// The same while it does not, or does not say: who has put it right wants to see it.
const SOON_MS: i64 = 30_000;

/// What a server last said, and when it was asked. Times are by a clock that
/// nobody sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Word {
    /// It is as a backup needs it; `None` before the first word.
    pub is_well: Option<bool>,
    /// When it was asked for that, milliseconds.
    pub asked_ms: MonotonicMs,
    /// When it was asked last, and did not answer perhaps; 0 for never.
    pub tried_ms: MonotonicMs,
}

impl Word {
    /// Whether something may be marked as deleted by it.
    pub fn is_fresh(&self, now_ms: MonotonicMs) -> bool {
        self.is_well == Some(true) && now_ms - self.asked_ms <= FRESH_MS
    }

    /// Whether it is time to ask again.
    pub fn is_due(&self, now_ms: MonotonicMs) -> bool {
        let is_past = |then_ms: MonotonicMs, ms: i64| now_ms - then_ms >= ms;
        let is_known = self.is_well == Some(true) && !is_past(self.asked_ms, AGAIN_MS);
        self.tried_ms == MonotonicMs::default() || (is_past(self.tried_ms, SOON_MS) && !is_known)
    }
}

/// What the id of a version that was just made says of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It keeps versions.
    Kept,
    /// It does not, or not any more: S3 gives the id `null` then.
    NotKept,
    /// Nothing: the answer has none. Some servers never give any.
    None,
}

/// The sign in an answer to a PUT, a copy or a deletion.
pub fn sign_of(version_id: Option<&VersionId>) -> Sign {
    match version_id {
        None => Sign::None,
        Some(id) if id.is_pinned() => Sign::Kept,
        Some(_) => Sign::NotKept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    fn off() -> Option<(String, String)> {
        Some(("no versions".into(), "turn them on".into()))
    }

    /// Tell all that is owed; how many alerts, reminders and good news.
    fn tell(troubles: &mut Troubles, now_ms: i64) -> [usize; 3] {
        let now_ms = WallMs(now_ms);
        let owed = troubles.owed(now_ms);
        let mut told = [0; 3];
        for one in &owed {
            troubles.told(one, now_ms);
            told[match one {
                Owed::Alert { reminder, .. } => usize::from(*reminder),
                Owed::Over { .. } => 2,
            }] += 1;
        }
        told
    }

    #[test]
    fn told_at_once_reminded_daily_and_told_when_it_is_over() {
        let mut troubles = Troubles::default();
        assert_eq!(tell(&mut troubles, 0), [0, 0, 0]);
        troubles.set(Kind::NoVersions, off(), WallMs(5));
        troubles.set(Kind::NoVersions, off(), WallMs(6));
        assert_eq!(troubles.standing()[0].since_ms, WallMs(5));
        assert_eq!(tell(&mut troubles, 7), [1, 0, 0]);
        assert_eq!(tell(&mut troubles, 8), [0, 0, 0]);
        assert_eq!(tell(&mut troubles, 7 + DAY_MS), [0, 1, 0]);
        // It survives a restart.
        let text = serde_json::to_string(&troubles).unwrap();
        let mut troubles: Troubles = serde_json::from_str(&text).unwrap();
        assert_eq!(tell(&mut troubles, 8 + DAY_MS), [0, 0, 0]);
        troubles.set(Kind::NoVersions, None, WallMs(9 + DAY_MS));
        assert!(!troubles.has(Kind::NoVersions));
        assert_eq!(tell(&mut troubles, 9 + DAY_MS), [0, 0, 1]);
        assert_eq!(tell(&mut troubles, 10 + DAY_MS), [0, 0, 0]);
    }

    #[test]
    fn what_nobody_was_told_of_ends_without_a_word_and_reminders_have_an_end() {
        let mut troubles = Troubles::default();
        troubles.set(Kind::NoVersions, off(), WallMs(0));
        troubles.set(Kind::NoVersions, None, WallMs(1));
        assert_eq!(tell(&mut troubles, 1), [0, 0, 0]);
        troubles.set(Kind::NoVersions, off(), WallMs(0));
        let days = 0..100;
        let messages: usize = days
            .map(|day| tell(&mut troubles, day * DAY_MS).iter().sum::<usize>())
            .sum();
        assert_eq!(messages, TOLD_MAX as usize);
    }

    #[test]
    fn what_ended_while_it_was_told_is_told_to_be_over() {
        let mut troubles = Troubles::default();
        troubles.set(Kind::NoVersions, off(), WallMs(0));
        let owed = troubles.owed(WallMs(1));
        troubles.set(Kind::NoVersions, None, WallMs(2));
        troubles.told(&owed[0], WallMs(3));
        assert_eq!(tell(&mut troubles, 4), [0, 0, 1]);
    }

    #[test]
    fn a_server_that_will_not_say_is_no_alarm() {
        let mut troubles = Troubles::default();
        troubles.set(Kind::VersionsUntold, off(), WallMs(0));
        assert!(troubles.owed(WallMs(DAY_MS)).is_empty() && troubles.has(Kind::VersionsUntold));
    }

    #[test]
    fn a_word_is_asked_for_anew_before_a_deletion_and_every_ten_minutes() {
        let never = Word::default();
        assert!(
            never.is_due(MonotonicMs(0))
                && never.is_due(MonotonicMs(1))
                && !never.is_fresh(MonotonicMs(1))
        );
        for (is_well, age_ms, fresh, due) in [
            (Some(true), 0, true, false),
            (Some(true), 10_000, true, false),
            (Some(true), 10_001, false, false),
            (Some(true), 599_999, false, false),
            (Some(true), 600_000, false, true),
            (Some(false), 1, false, false),
            (Some(false), 30_000, false, true),
            (None, 29_999, false, false),
            (None, 30_000, false, true),
        ] {
            let word = Word {
                is_well,
                asked_ms: MonotonicMs(5),
                tried_ms: MonotonicMs(5),
            };
            let got = (
                word.is_fresh(MonotonicMs(5 + age_ms)),
                word.is_due(MonotonicMs(5 + age_ms)),
            );
            assert_eq!(got, (fresh, due), "{is_well:?} {age_ms}");
        }
    }

    #[test]
    fn ids_and_what_they_say() {
        for (id, want) in [
            ("null", Sign::NotKept),
            ("", Sign::None),
            ("3sL4kqtJlcpXroDTDmJ", Sign::Kept),
        ] {
            assert_eq!(sign_of(VersionId::new(id).as_ref()), want, "{id}");
        }
    }
}
