//! Tells the owner what lasts too long: a bucket that takes nothing, an index that cannot
//! be used, a folder that does not answer, files that fail for long.
//!
//! Invariant: an alert is put into the outbox here and sent elsewhere, so that
//! an SNS that hangs holds up no other alert and no retry.

use super::alarm_words::{Speaker, index_message};
use super::beat::BEAT;
use super::broken::Broken;
use super::buckets::is_first_of_its_bucket;
use super::watched::{AlertSubject, Looked, Watched};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::Index;
use crate::mail::{Message, OutboxSender};
use crate::os::blocking::blocking;
use crate::retry::{AlertPolicy, AlertStep, Due, OutageAlert, SharedAlerts, Standing};
use crate::s3::Store;
use crate::source::{SourceRuntime, Sources};
use crate::types::{Class, Fault};
use std::sync::Arc;
use std::time::Duration;

/// Beats between looks for files that fail for long: they are read one by one.
const STUCK_BEATS: u64 = 10;

/// How long a message waits for a bucket that is asked whether it has the trouble of
/// others.
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// What the alarm works with.
pub(super) struct Alarm<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) index: &'a Index,
    pub(super) clock: &'a Clock,
    pub(super) outbox: &'a OutboxSender,
    pub(super) broken: &'a Broken,
}

impl Alarm<'_> {
    /// Look, beat by beat; never ends.
    pub(super) async fn run(&self, sources: &Sources) {
        let policy = AlertPolicy::after(self.config.notify.alert_after_ms);
        let mut shared = SharedAlerts::new(policy);
        let mut index = OutageAlert::new(policy);
        let watch = |source: &Arc<SourceRuntime>| Watched {
            source: Arc::clone(source),
            is_first_of_its_bucket: is_first_of_its_bucket(sources, source),
            stuck: None,
            silence: OutageAlert::new(policy),
        };
        let mut watched: Vec<Watched> = sources.iter().map(watch).collect();
        let mut beats: u64 = 0;
        loop {
            tokio::time::sleep(BEAT).await;
            beats += 1;
            self.of_index(sources, &mut index).await;
            let is_look = beats.is_multiple_of(STUCK_BEATS);
            if is_look {
                for one in &mut watched {
                    self.look_for_stuck(one).await;
                }
            }
            let now = standing(&watched, is_look);
            let looked = Looked {
                now: &now,
                watched: &watched,
            };
            for due in shared.due(&now, self.clock.now_ms()) {
                self.of_subjects(&mut shared, &looked, due).await;
            }
            for one in &mut watched {
                self.of_silence(one).await;
            }
        }
    }

    /// Tell what one cause stops, or stops no more.
    async fn of_subjects(
        &self,
        shared: &mut SharedAlerts<AlertSubject>,
        looked: &Looked<'_>,
        due: Due<AlertSubject>,
    ) {
        let is_alert = matches!(due.step, AlertStep::Alert { .. });
        let answers = match due.may_stop_others() {
            true => self.ask_others(looked, &due).await,
            false => Vec::new(),
        };
        let (mut named, mut foreseen) = (due.subjects.clone(), Vec::new());
        for (subject, answer) in answers {
            let has_it = answer.is_some_and(|fault| due.is_for(&fault));
            match is_alert {
                true if has_it => foreseen.push(subject),
                false if !has_it && due.foreseen.contains(&subject) => named.push(subject),
                _ => {}
            }
        }
        named.extend(&foreseen);
        let message = self.speaker(looked).message(&due, &named);
        let now_ms = self.clock.now_ms();
        match self.outbox.keep(message).await {
            Ok(_) => shared.sent(&due, foreseen, now_ms),
            Err(fault) => {
                tracing::error!("{fault}");
                shared.not_sent(&due, now_ms, fastrand::u64(..));
            }
        }
    }

    fn speaker<'s>(&'s self, looked: &'s Looked<'s>) -> Speaker<'s> {
        Speaker {
            looked,
            server: self.store.place(),
            now_ms: self.clock.now_ms(),
            time_zone: &self.config.schedule.time_zone,
        }
    }

    /// Ask the buckets that nothing was sent to since, all at once. A fault is their
    /// answer; `None` when they are well, or do not answer in time.
    async fn ask_others(
        &self,
        looked: &Looked<'_>,
        due: &Due<AlertSubject>,
    ) -> Vec<(AlertSubject, Option<Fault>)> {
        let others = buckets(looked.watched).filter(|(subject, _)| {
            !due.subjects.contains(subject) && looked.standing(*subject).is_none()
        });
        let asked = others.map(|(subject, one)| async move {
            let reach = self.store.reach(&one.source.config.bucket);
            let answer = tokio::time::timeout(ASK_PATIENCE, reach).await;
            (subject, answer.ok().and_then(Result::err))
        });
        futures::future::join_all(asked).await
    }

    /// A broken index stops the backup as surely as a bucket that is not there.
    async fn of_index(&self, sources: &Sources, alert: &mut OutageAlert) {
        let broken = self.broken.get();
        let now_ms = self.clock.now_ms();
        let step = alert.step(broken.as_ref().map(|(since, _)| *since), now_ms);
        let fault = broken.as_ref().map(|(_, fault)| fault);
        let message = index_message(self.config, sources, &step, fault, now_ms);
        self.send(alert, step, message).await;
    }

    async fn of_silence(&self, one: &mut Watched) {
        let source = &one.source;
        let now_ms = self.clock.now_ms();
        let step = one.silence.step(source.watchdog.stalled_since_ms(), now_ms);
        let what = format!(
            "the folder {} does not answer and cannot be backed up",
            source.config.path.display()
        );
        let message = (step != AlertStep::None).then(|| {
            let nothing = Looked {
                now: &[],
                watched: &[],
            };
            let faults = [source.watchdog.no_answer()];
            self.speaker(&nothing).of_files(
                std::slice::from_ref(&source.config.name),
                &what,
                &faults,
                &step,
            )
        });
        self.send(&mut one.silence, step, message).await;
    }

    async fn look_for_stuck(&self, one: &mut Watched) {
        let (index, id) = (self.index.clone(), one.source.id);
        let oldest =
            blocking(move || index.oldest_unprotected(id, |entry| is_alarming(entry.fault.class)));
        match oldest.await {
            Ok(oldest) => one.stuck = oldest,
            // The last answer stands; a failing index has an alert of its own.
            Err(fault) => tracing::debug!("{fault}"),
        }
    }

    async fn send(&self, alert: &mut OutageAlert, step: AlertStep, message: Option<Message>) {
        let Some(message) = message else { return };
        let now_ms = self.clock.now_ms();
        match self.outbox.keep(message).await {
            Ok(_) => alert.sent(step, now_ms),
            Err(fault) => {
                tracing::error!("{fault}");
                alert.not_sent(now_ms, fastrand::u64(..));
            }
        }
    }
}

/// How every bucket stands, and the files of every source.
fn standing(watched: &[Watched], is_look: bool) -> Vec<Standing<AlertSubject>> {
    let buckets = buckets(watched).map(|(subject, one)| Standing {
        subject,
        failing: one.source.breaker.outage(),
        is_fresh: true,
    });
    let files = watched
        .iter()
        // Where the whole bucket fails, that is told; its files are looked at later.
        .filter(|one| one.source.breaker.outage().is_none())
        .map(|one| Standing {
            subject: AlertSubject::Files(one.source.id),
            failing: one.stuck.as_ref().map(|of| (of.since_ms, of.fault.clone())),
            is_fresh: is_look,
        });
    buckets.chain(files).collect()
}

/// Each bucket by the first source that goes to it.
fn buckets(watched: &[Watched]) -> impl Iterator<Item = (AlertSubject, &Watched)> {
    let firsts = watched.iter().filter(|one| one.is_first_of_its_bucket);
    firsts.map(|one| (AlertSubject::Bucket(one.source.id), one))
}

/// Whether a failure is worth an alert when it lasts, though it is only one
/// file's. Files that somebody holds open are the digest's matter.
fn is_alarming(class: Class) -> bool {
    class.is_destination() || class == Class::Local
}
