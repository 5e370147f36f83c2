//! What alerts say.

use super::watched::{AlertSubject, Looked, Watched};
use crate::clock::Clock;
use crate::config::Config;
use crate::digest::{
    Outage, Recovery, Stuck, outage_alert, recovery, state_lost, stuck_alert, stuck_over,
};
use crate::mail::{Message, OutboxSender};
use crate::os;
use crate::retry::{AlertStep, Due};
use crate::source::{SourceRuntime, Sources};
use crate::types::{Fault, WallMs, amount};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Puts what was found into words.
pub(super) struct Speaker<'a> {
    pub(super) looked: &'a Looked<'a>,
    /// The server, for people.
    pub(super) server: &'a str,
    pub(super) now_ms: WallMs,
    pub(super) time_zone: &'a TimeZone,
}

impl Speaker<'_> {
    /// The message about these subjects.
    pub(super) fn message(&self, due: &Due<AlertSubject>, subjects: &[AlertSubject]) -> Message {
        let buckets = self.names_of_buckets(subjects);
        let files = self.files_in_words(subjects);
        let faults = self.faults(&due.subjects);
        let sources = self.sources_of(subjects);
        let names = names(sources.iter().copied());
        if buckets.is_empty() {
            let verb = match due.step {
                AlertStep::Recovered { .. } => "could not",
                _ => "cannot",
            };
            let what = format!("{files} {verb} be backed up");
            return self.of_files(&names, &what, &faults, &due.step);
        }
        let (since_ms, end_ms, reminder) = span(&due.step, self.now_ms);
        let computer = os::computer_name();
        let destination = format!("{} on {}", buckets.join(", "), self.server);
        let waiting = waiting(sources.into_iter());
        let time_zone = self.time_zone;
        match due.step {
            AlertStep::Recovered { .. } => recovery(&Recovery {
                computer: &computer,
                sources: &names,
                destination: &destination,
                since_ms,
                until_ms: end_ms,
                still: &self.still_in_words(&due.still),
                waiting,
                time_zone,
            }),
            _ => outage_alert(&Outage {
                computer: &computer,
                sources: &names,
                destination: &destination,
                besides: &match files.is_empty() {
                    true => files,
                    false => format!("{files} cannot be backed up"),
                },
                since_ms,
                now_ms: end_ms,
                faults: &faults,
                waiting,
                reminder,
                time_zone,
            }),
        }
    }

    /// The message that a part of the backup does not go on, or does again.
    pub(super) fn of_files(
        &self,
        sources: &[String],
        what: &str,
        faults: &[Fault],
        step: &AlertStep,
    ) -> Message {
        let (since_ms, now_ms, reminder) = span(step, self.now_ms);
        let reasons: Vec<String> = faults.iter().map(Fault::reason).collect();
        let stuck = Stuck {
            computer: &os::computer_name(),
            sources,
            what,
            since_ms,
            now_ms,
            reason: &reasons.join("; "),
            remedy: faults.first().map_or("", |fault| &fault.hint),
            reminder,
            time_zone: self.time_zone,
        };
        match step {
            AlertStep::Recovered { .. } => stuck_over(&stuck),
            _ => stuck_alert(&stuck),
        }
    }

    /// The faults that they fail for, each wording once.
    fn faults(&self, subjects: &[AlertSubject]) -> Vec<Fault> {
        let mut faults: Vec<Fault> = Vec::new();
        for subject in subjects {
            if let Some((_, fault)) = self.looked.standing(*subject)
                && !faults.iter().any(|other| other.cause == fault.cause)
            {
                faults.push(fault.clone());
            }
        }
        faults
    }

    fn names_of_buckets(&self, subjects: &[AlertSubject]) -> Vec<String> {
        let name = |subject: &AlertSubject| match *subject {
            AlertSubject::Bucket(id) => Some(self.looked.watched(id)?.source.config.bucket.clone()),
            AlertSubject::Files(_) => None,
        };
        subjects.iter().filter_map(name).collect()
    }

    /// All sources that they stop, in the configuration's order.
    fn sources_of(&self, subjects: &[AlertSubject]) -> Vec<&Arc<SourceRuntime>> {
        let stops = |source: &SourceRuntime| {
            subjects.iter().any(|subject| match *subject {
                AlertSubject::Bucket(id) => self
                    .looked
                    .watched(id)
                    .is_some_and(|of| source.breaker.shares_bucket(&of.source.breaker)),
                AlertSubject::Files(id) => source.id == id,
            })
        };
        let all = self.looked.watched.iter().map(|watched| &watched.source);
        all.filter(|source| stops(source)).collect()
    }

    fn still_in_words(&self, subjects: &[AlertSubject]) -> String {
        let buckets = self.names_of_buckets(subjects).join(", ");
        let files = self.files_in_words(subjects);
        let all = [buckets, files]
            .into_iter()
            .filter(|words| !words.is_empty());
        all.collect::<Vec<_>>().join(" and ")
    }

    /// `2 files of letters and a.txt in photos`; empty when no files are among them.
    fn files_in_words(&self, subjects: &[AlertSubject]) -> String {
        let words = subjects.iter().filter_map(|subject| {
            let AlertSubject::Files(id) = *subject else {
                return None;
            };
            let Watched { source, stuck, .. } = self.looked.watched(id)?;
            let name = source.name();
            Some(match stuck {
                None => format!("some files of {name}"),
                Some(oldest) if oldest.count == 1 => format!("{} in {name}", oldest.fault.subject),
                Some(oldest) => format!("{} of {name}", amount(oldest.count, "file")),
            })
        });
        words.collect::<Vec<_>>().join(" and ")
    }
}

fn names<'a>(sources: impl Iterator<Item = &'a Arc<SourceRuntime>>) -> Vec<String> {
    sources.map(|source| source.config.name.clone()).collect()
}

fn waiting<'a>(sources: impl Iterator<Item = &'a Arc<SourceRuntime>>) -> u64 {
    sources
        .map(|source| source.work.queue.depth().total())
        .sum()
}

/// Since when, until when, and whether it was told before.
fn span(step: &AlertStep, now_ms: WallMs) -> (WallMs, WallMs, bool) {
    match *step {
        AlertStep::Recovered { since_ms, until_ms } => (since_ms, until_ms, false),
        AlertStep::Alert { since_ms, reminder } => (since_ms, now_ms, reminder),
        AlertStep::None => (now_ms, now_ms, false),
    }
}

/// The message about an index that cannot be used, or can again.
pub(super) fn index_message(
    config: &Config,
    sources: &Sources,
    step: &AlertStep,
    fault: Option<&Fault>,
    now_ms: WallMs,
) -> Option<Message> {
    let place = format!(
        "its bucket while the index of this computer, in {}, cannot be used,",
        config.state_dir.display()
    );
    let names = names(sources.iter());
    let computer = os::computer_name();
    let (since_ms, end_ms, reminder) = span(step, now_ms);
    let waiting = waiting(sources.iter());
    let time_zone = &config.schedule.time_zone;
    match (step, fault) {
        (AlertStep::Alert { .. }, Some(fault)) => Some(outage_alert(&Outage {
            computer: &computer,
            sources: &names,
            destination: &place,
            besides: "",
            since_ms,
            now_ms: end_ms,
            faults: std::slice::from_ref(fault),
            waiting,
            reminder,
            time_zone,
        })),
        (AlertStep::Recovered { .. }, _) => Some(recovery(&Recovery {
            computer: &computer,
            sources: &names,
            destination: &place,
            since_ms,
            until_ms: end_ms,
            still: "",
            waiting,
            time_zone,
        })),
        _ => None,
    }
}

/// Tell at once that the state folder was removed under the program and is there again:
/// the outbox lies in it.
pub(super) async fn tell_lost_state(
    config: &Config,
    sources: &Sources,
    clock: &Clock,
    outbox: &OutboxSender,
) {
    let now_ms = clock.now_ms();
    let stuck = Stuck {
        computer: &os::computer_name(),
        sources: &names(sources.iter()),
        what: "",
        since_ms: now_ms,
        now_ms,
        reason: "",
        remedy: "",
        reminder: false,
        time_zone: &config.schedule.time_zone,
    };
    let folder = config.state_dir.display().to_string();
    for source in sources.iter() {
        let note = format!(
            "Keepwatch's own folder {folder} was removed while it was running, and was made again"
        );
        source.status.note("state", Some(note));
    }
    if let Err(fault) = outbox.keep(state_lost(&stuck, &folder)).await {
        tracing::error!("{fault}");
    }
}
