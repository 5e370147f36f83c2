//! One message per cause: what several buckets fail for is told once, with all that it
//! stops, and so is its end.
//!
//! Each subject that can fail by itself keeps its own [`OutageAlert`], which knows since
//! when and how often; here those that fail for one cause are put into one message.
//! Invariants: no subject is told of twice in one message's time, and none is left out:
//! one that fails for a cause that was told already, and was not named there, has another
//! message. What a subject is, the caller says: anything that tells one from another.

use super::MINUTE_MS;
use super::alert::{AlertPolicy, AlertStep, OutageAlert};
use super::times::passed;
use crate::types::{Class, Fault};
use std::collections::BTreeMap;

/// The end is told for all at once. A bucket is probed at least each 15 minutes, so one
/// that still fails after this fails for itself, and keeps nobody else's good news back.
const TOGETHER_MS: u64 = 20 * MINUTE_MS;

/// How a subject stands now.
#[derive(Debug, Clone)]
pub struct Standing<S> {
    /// Which.
    pub subject: S,
    /// Since when it fails (milliseconds since 1970) and for what; `None`: it works.
    pub failing: Option<(i64, Fault)>,
    /// It was looked at just now: what it is due for may be told.
    pub is_fresh: bool,
}

/// One message to send now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<S> {
    /// What it says; never [`AlertStep::None`].
    pub step: AlertStep,
    /// All that it is about.
    pub subjects: Vec<S>,
    /// Of a recovery: subjects that were told of together with these, and still fail.
    pub still: Vec<S>,
    /// Of a recovery: subjects that the alert named though they had not failed.
    pub foreseen: Vec<S>,
    cause: Cause,
}

impl<S> Due<S> {
    /// The cause lies with keys or network, so that it may stop buckets that nothing
    /// was sent to lately.
    pub fn may_stop_others(&self) -> bool {
        matches!(
            self.cause,
            Cause::Common(Class::Credentials | Class::Untrusted | Class::Transient)
        )
    }

    /// Whether that fault is of the cause that this tells of.
    pub fn is_for(&self, fault: &Fault) -> bool {
        self.cause == Cause::of(fault)
    }
}

/// What makes two faults one matter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// There are one server, one line and one pair of keys. The words may differ all
    /// the same: with AWS each bucket has a server's name of its own.
    Common(Class),
    /// The same words.
    Words(Class, String, String),
}

impl Cause {
    fn of(fault: &Fault) -> Self {
        match fault.class {
            class
            @ (Class::Credentials | Class::Untrusted | Class::Transient | Class::SlowDown) => {
                Self::Common(class)
            }
            class => Self::Words(class, fault.cause.clone(), fault.hint.clone()),
        }
    }
}

/// A message that went out.
#[derive(Debug, Clone)]
struct Mail<S> {
    number: u64,
    cause: Cause,
    sent_ms: i64,
    /// Named in it though nothing of theirs had failed yet: they would.
    foreseen: Vec<S>,
}

struct Of {
    alert: OutageAlert,
    /// The message in which it was told of last, until its end is told.
    mail: Option<u64>,
}

/// The alerts of all subjects.
pub struct SharedAlerts<S> {
    policy: AlertPolicy,
    of: BTreeMap<S, Of>,
    /// Those whose end is not told yet, oldest first: at most one per subject.
    mails: Vec<Mail<S>>,
    count: u64,
}

impl<S: Copy + Ord> SharedAlerts<S> {
    /// Nothing told yet.
    pub fn new(policy: AlertPolicy) -> Self {
        Self {
            policy,
            of: BTreeMap::new(),
            mails: Vec::new(),
            count: 0,
        }
    }

    /// The messages to send now.
    pub fn due(&mut self, now: &[Standing<S>], now_ms: i64) -> Vec<Due<S>> {
        self.recall(now);
        let (mut alerts, mut ends) = (Vec::new(), Vec::new());
        for standing in now.iter().filter(|standing| standing.is_fresh) {
            let of = Self::entry(&mut self.of, self.policy, standing.subject);
            let failing = standing.failing.as_ref();
            if let Some((_, fault)) = failing {
                of.alert.is_about(fault.class);
            }
            match (
                of.alert.step(failing.map(|(since, _)| *since), now_ms),
                failing,
            ) {
                (AlertStep::Alert { since_ms, reminder }, Some((_, fault))) => {
                    alerts.push((Cause::of(fault), since_ms, reminder));
                }
                (AlertStep::Recovered { since_ms, until_ms }, _) => {
                    ends.push((standing.subject, since_ms, until_ms));
                }
                _ => {}
            }
        }
        let mut due = told_together(&alerts, now);
        due.extend(self.ended_together(&ends, now, now_ms));
        due
    }

    /// The message has gone out, or is safely in the outbox. `foreseen` were named in
    /// it besides.
    pub fn sent(&mut self, due: &Due<S>, foreseen: Vec<S>, now_ms: i64) {
        let is_alert = matches!(due.step, AlertStep::Alert { .. });
        self.count += u64::from(is_alert);
        for subject in &due.subjects {
            let of = Self::entry(&mut self.of, self.policy, *subject);
            of.alert.sent(due.step, now_ms);
            of.mail = is_alert.then_some(self.count);
        }
        let open: Vec<u64> = self.of.values().filter_map(|of| of.mail).collect();
        if is_alert {
            self.mails.push(Mail {
                number: self.count,
                cause: due.cause.clone(),
                sent_ms: now_ms,
                foreseen,
            });
        }
        self.mails.retain(|mail| open.contains(&mail.number));
    }

    /// It could not be sent: it comes again after a while.
    pub fn not_sent(&mut self, due: &Due<S>, now_ms: i64, random: u64) {
        for subject in &due.subjects {
            let of = Self::entry(&mut self.of, self.policy, *subject);
            of.alert.not_sent(now_ms, random);
        }
    }

    fn entry(of: &mut BTreeMap<S, Of>, policy: AlertPolicy, subject: S) -> &mut Of {
        of.entry(subject).or_insert_with(|| Of {
            alert: OutageAlert::new(policy),
            mail: None,
        })
    }

    /// What fails now as a message has foreseen it has been told of.
    fn recall(&mut self, now: &[Standing<S>]) {
        for standing in now {
            let Some((since_ms, fault)) = &standing.failing else {
                continue;
            };
            let of = Self::entry(&mut self.of, self.policy, standing.subject);
            let cause = Cause::of(fault);
            let mail = self
                .mails
                .iter()
                .find(|mail| mail.cause == cause && mail.foreseen.contains(&standing.subject));
            if let (None, Some(mail)) = (of.mail, mail) {
                let step = AlertStep::Alert {
                    since_ms: *since_ms,
                    reminder: false,
                };
                of.alert.sent(step, mail.sent_ms);
                of.mail = Some(mail.number);
            }
        }
    }

    /// What ended, by the message that it was told of in; not yet where others of that
    /// message fail for the same cause as ever, and may be well in a moment.
    fn ended_together(
        &self,
        ends: &[(S, i64, i64)],
        now: &[Standing<S>],
        now_ms: i64,
    ) -> Vec<Due<S>> {
        let mut due: Vec<Due<S>> = Vec::new();
        for mail in &self.mails {
            let is_of_it =
                |subject: &S| self.of.get(subject).and_then(|of| of.mail) == Some(mail.number);
            let of_it: Vec<_> = ends
                .iter()
                .filter(|(subject, ..)| is_of_it(subject))
                .collect();
            let since_ms = of_it.iter().map(|(_, since_ms, _)| *since_ms).min();
            let until_ms = of_it.iter().map(|(.., until_ms)| *until_ms).max();
            let (Some(since_ms), Some(until_ms)) = (since_ms, until_ms) else {
                continue;
            };
            let fails = |standing: &&Standing<S>| {
                let failing = standing.failing.as_ref();
                failing.is_some_and(|(_, fault)| Cause::of(fault) == mail.cause)
            };
            let still: Vec<S> = now
                .iter()
                .filter(fails)
                .map(|standing| standing.subject)
                .filter(is_of_it)
                .collect();
            let first_ms = of_it.iter().map(|(.., until_ms)| *until_ms).min();
            let waits_until_ms = first_ms
                .unwrap_or(until_ms)
                .saturating_add_unsigned(TOGETHER_MS);
            if !still.is_empty() && !passed(waits_until_ms, now_ms, TOGETHER_MS) {
                continue;
            }
            let foreseen = mail.foreseen.iter().copied();
            let has_none = |subject: &S| self.of.get(subject).is_none_or(|of| of.mail.is_none());
            due.push(Due {
                step: AlertStep::Recovered { since_ms, until_ms },
                subjects: of_it.iter().map(|(subject, ..)| *subject).collect(),
                still,
                foreseen: foreseen.filter(has_none).collect(),
                cause: mail.cause.clone(),
            });
        }
        due
    }
}

/// One message per cause, with all that fails for it: also what was told of already,
/// and what has not failed for long yet.
fn told_together<S: Copy>(alerts: &[(Cause, i64, bool)], now: &[Standing<S>]) -> Vec<Due<S>> {
    let mut due: Vec<Due<S>> = Vec::new();
    for (cause, since_ms, reminder) in alerts {
        if let Some(Due {
            step:
                AlertStep::Alert {
                    since_ms: first_ms,
                    reminder: all,
                },
            ..
        }) = due.iter_mut().find(|due| due.cause == *cause)
        {
            *first_ms = (*first_ms).min(*since_ms);
            *all &= reminder;
            continue;
        }
        let subjects = now.iter().filter(|standing| {
            let failing = standing.failing.as_ref();
            failing.is_some_and(|(_, fault)| Cause::of(fault) == *cause)
        });
        due.push(Due {
            step: AlertStep::Alert {
                since_ms: *since_ms,
                reminder: *reminder,
            },
            subjects: subjects.map(|standing| standing.subject).collect(),
            still: Vec::new(),
            foreseen: Vec::new(),
            cause: cause.clone(),
        });
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Part {
        Bucket(usize),
        Files(usize),
    }

    fn fault(class: Class, cause: &str) -> Fault {
        Fault::new(class, "upload", "a.txt", cause).hint("do something")
    }

    fn standing(part: Part, failing: Option<(i64, Fault)>) -> Standing<Part> {
        Standing {
            subject: part,
            failing,
            is_fresh: true,
        }
    }

    /// Ask each minute, every message goes out; when, what and about whom.
    fn run(
        alerts: &mut SharedAlerts<Part>,
        from_min: i64,
        to_min: i64,
        parts: &[Part],
        failing: impl Fn(Part, i64) -> Option<(i64, Fault)>,
    ) -> Vec<(i64, String)> {
        let mut told = Vec::new();
        for minute in from_min..=to_min {
            let now: Vec<Standing<Part>> = parts
                .iter()
                .map(|part| standing(*part, failing(*part, minute)))
                .collect();
            for due in alerts.due(&now, minute * MIN) {
                let what = match due.step {
                    AlertStep::Alert { reminder: true, .. } => "reminder",
                    AlertStep::Alert { .. } => "alert",
                    _ => "over",
                };
                told.push((minute, format!("{what} {:?} {:?}", due.subjects, due.still)));
                alerts.sent(&due, Vec::new(), minute * MIN);
            }
        }
        told
    }

    fn alerts() -> SharedAlerts<Part> {
        SharedAlerts::new(AlertPolicy::after(30 * 60_000))
    }

    const THREE: [Part; 3] = [Part::Bucket(0), Part::Bucket(1), Part::Bucket(2)];

    #[test]
    fn what_all_buckets_fail_for_is_told_once_and_so_is_its_end() {
        // They are found to fail, and to work again, one after the other.
        let failing = |part, minute: i64| {
            let Part::Bucket(number) = part else {
                return None;
            };
            let begin = number as i64;
            let host = format!("bucket{number}.s3.example refuses the key");
            (begin..3000 + begin * 5)
                .contains(&minute)
                .then(|| (begin * MIN, fault(Class::Credentials, &host)))
        };
        let all = "[Bucket(0), Bucket(1), Bucket(2)] []";
        assert_eq!(
            run(&mut alerts(), 0, 4000, &THREE, failing),
            [
                (5, format!("alert {all}")),
                (5 + 24 * 60, format!("reminder {all}")),
                (5 + 48 * 60, format!("reminder {all}")),
                (3010, format!("over {all}")),
            ]
        );
    }

    #[test]
    fn different_causes_are_told_apart_and_none_is_left_out() {
        let failing = |part, minute: i64| match part {
            Part::Bucket(0) => Some((0, fault(Class::NoBucket, "there is no bucket a"))),
            Part::Bucket(1) => Some((0, fault(Class::NoBucket, "there is no bucket b"))),
            // Fails for the first one's cause, hours after that was told.
            Part::Bucket(_) => {
                (minute >= 300).then(|| (300 * MIN, fault(Class::NoBucket, "there is no bucket a")))
            }
            Part::Files(_) => None,
        };
        assert_eq!(
            run(&mut alerts(), 0, 600, &THREE, failing),
            [
                (5, "alert [Bucket(0)] []".to_owned()),
                (5, "alert [Bucket(1)] []".to_owned()),
                (305, "alert [Bucket(0), Bucket(2)] []".to_owned()),
            ]
        );
    }

    #[test]
    fn one_that_stays_ill_keeps_no_good_news_back_for_long() {
        for (cause_later, over_min) in [
            // The same as ever: the others wait for it a while.
            ("no route", 100 + 20),
            // Another by now: nobody waits for it.
            ("AccessDenied", 100),
        ] {
            let failing = |part, minute: i64| {
                let class = match (minute < 100, cause_later) {
                    (true, _) | (_, "no route") => Class::Transient,
                    _ => Class::Denied,
                };
                (part == Part::Bucket(1) || minute < 100).then(|| (0, fault(class, "x")))
            };
            let told = run(&mut alerts(), 0, 200, &THREE, failing);
            assert_eq!(told.len(), 2, "{told:?}");
            assert_eq!(told[1].0, over_min);
            let still = if cause_later == "no route" {
                "[Bucket(1)]"
            } else {
                "[]"
            };
            assert_eq!(told[1].1, format!("over [Bucket(0), Bucket(2)] {still}"));
        }
    }

    #[test]
    fn single_files_that_fail_for_it_are_in_the_message() {
        let parts = [Part::Bucket(0), Part::Files(1)];
        let failing = |part, minute: i64| {
            let since = if part == Part::Bucket(0) { 0 } else { 20 };
            (minute >= since).then(|| (since * MIN, fault(Class::Transient, "no route")))
        };
        assert_eq!(
            run(&mut alerts(), 0, 300, &parts, failing),
            [(30, "alert [Bucket(0), Files(1)] []".to_owned())]
        );
    }

    #[test]
    fn what_was_foreseen_is_told_no_second_time_unless_it_is_another_matter() {
        for (class, more) in [(Class::Credentials, 0), (Class::NoBucket, 1)] {
            let mut alerts = alerts();
            let one = |minute: i64, second: Option<(i64, Fault)>| {
                let first = (minute < 500).then(|| (0, fault(Class::Credentials, "key")));
                [
                    standing(THREE[0], first),
                    standing(THREE[1], second.filter(|_| minute < 500)),
                ]
            };
            let due = alerts.due(&one(5, None), 5 * MIN);
            assert!(due.len() == 1 && due[0].may_stop_others(), "{due:?}");
            assert!(due[0].is_for(&fault(Class::Credentials, "other words")));
            alerts.sent(&due[0], vec![THREE[1]], 5 * MIN);
            let mut told = Vec::new();
            for minute in 6..600 {
                let second = (minute > 200).then(|| (200 * MIN, fault(class, "key")));
                for due in alerts.due(&one(minute, second), minute * MIN) {
                    alerts.sent(&due, Vec::new(), minute * MIN);
                    told.push(due);
                }
            }
            let ends: Vec<_> = told
                .iter()
                .filter(|due| matches!(due.step, AlertStep::Recovered { .. }))
                .collect();
            assert_eq!(told.len() - ends.len(), more, "{told:?}");
            // One end for each message, and everybody in one.
            assert_eq!(ends.len(), 1 + more, "{told:?}");
            let ended: usize = ends.iter().map(|due| due.subjects.len()).sum();
            assert_eq!(ended, 2);
        }
    }

    #[test]
    fn what_could_not_be_sent_is_tried_again() {
        let mut alerts = alerts();
        let now = [
            standing(THREE[0], Some((0, fault(Class::Denied, "no")))),
            standing(THREE[1], Some((0, fault(Class::Denied, "no")))),
        ];
        let due = alerts.due(&now, 5 * MIN);
        assert_eq!(due.len(), 1);
        alerts.not_sent(&due[0], 5 * MIN, u64::MAX);
        assert!(alerts.due(&now, 5 * MIN).is_empty());
        assert_eq!(alerts.due(&now, 20 * MIN), due);
    }
}
