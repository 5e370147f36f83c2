//! Requests for metadata that run while the list is read on.

use super::chosen::{Chosen, Name};
use crate::history::head::head;
use crate::history::legacy_keys::unless_newer;
use crate::history::state_time::came_late;
use crate::history::version_selector::Undecided;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Class, Fault, Operation, Origin, WallMs, chain};
use tokio::task::JoinHandle;

/// The versions whose metadata is asked for, the newest first.
pub(crate) struct MetadataQuestion {
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    pub(crate) at_ms: WallMs,
    /// Each as it is given when it was current.
    pub(crate) undecided: Vec<(Undecided, Chosen)>,
    pub(crate) by_then: Option<Chosen>,
    /// What is given instead of `by_then`, if that came late.
    pub(crate) previous: Option<Chosen>,
    pub(crate) stop: Stop,
}

impl MetadataQuestion {
    fn subject(&self) -> String {
        let first = self.undecided.first().map(|(_, chosen)| chosen);
        let first = first.or(self.by_then.as_ref());
        first.map_or_else(String::new, Chosen::subject)
    }

    pub(crate) async fn ask(mut self) -> Result<Option<Chosen>, Fault> {
        let was = match self.of_undecided().await? {
            Some(was) => Some(was),
            None => self.of_by_then().await?,
        };
        let Some(was) = was else { return Ok(None) };
        let at_ms = Some(self.at_ms);
        unless_newer(&self.store, &self.origin, was, at_ms, &mut self.stop).await
    }

    /// The newest of which the metadata says that it was current.
    async fn of_undecided(&mut self) -> Result<Option<Chosen>, Fault> {
        for (undecided, chosen) in std::mem::take(&mut self.undecided) {
            let seen_ms = self.seen_ms(&chosen).await?;
            if undecided.was_current(self.at_ms, seen_ms) {
                return Ok(Some(chosen));
            }
        }
        Ok(None)
    }

    /// What was stored by then, unless it came late.
    async fn of_by_then(&mut self) -> Result<Option<Chosen>, Fault> {
        let (by_then, previous) = match (self.by_then.take(), self.previous.take()) {
            (Some(by_then), Some(previous)) => (by_then, previous),
            (by_then, _) => return Ok(by_then),
        };
        let seen_ms = self.seen_ms(&by_then).await?;
        let is_late = came_late(seen_ms, self.seen_ms(&previous).await?);
        Ok(Some(if is_late { previous } else { by_then }))
    }

    /// When the file was read, by its metadata. For versions written by other programs, and
    /// for deleted ones, only the server's time is known.
    async fn seen_ms(&mut self, chosen: &Chosen) -> Result<Option<WallMs>, Fault> {
        let head = head(&self.store, &self.origin, chosen, &mut self.stop).await?;
        Ok(head.and_then(|head| head.meta.ok()?.seen_ms))
    }
}

/// A question that is being asked; dropping it ends it.
pub(crate) struct PendingAnswer {
    answer: JoinHandle<Result<Option<Chosen>, Fault>>,
    pub(crate) name: Name,
    pub(crate) subject: String,
}

impl PendingAnswer {
    pub(crate) fn new(question: MetadataQuestion) -> Self {
        // A question is about some version.
        let name = question
            .undecided
            .first()
            .map(|(_, chosen)| chosen)
            .or(question.by_then.as_ref())
            .map(|chosen| chosen.name.clone());
        let name = name.unwrap_or_else(|| Name::Foreign(String::new()));
        Self::of(name, question.subject(), question.ask())
    }

    pub(crate) fn of(
        name: Name,
        subject: String,
        answer: impl Future<Output = Result<Option<Chosen>, Fault>> + Send + 'static,
    ) -> Self {
        Self {
            name,
            subject,
            answer: tokio::spawn(answer),
        }
    }

    pub(crate) async fn answer(mut self) -> Result<Option<Chosen>, Fault> {
        let joined = (&mut self.answer).await;
        let subject = std::mem::take(&mut self.subject);
        joined.unwrap_or_else(|error| {
            Err(Fault::new(
                Class::Local,
                Operation::LookUp,
                subject,
                chain(&error),
            ))
        })
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        self.answer.abort();
    }
}
