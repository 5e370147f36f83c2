//! Plans one object and carries the plan out, until it is done with.

use super::object::Object;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Answer, DeferReason, Facts, NothingReason, Plan, RefreshReason, plan};
use crate::guard;
use crate::os::blocking::blocking;
use crate::transfer::Content;
use crate::types::{Class, Fault, Look, Record};

/// What came of carrying out one plan.
pub(crate) enum Progress {
    /// The object is done with.
    Done(Outcome),
    /// Something was learned: plan again.
    Learned(Answer),
}

impl Object<'_> {
    /// Make disk, bucket and index agree about the object.
    pub(crate) async fn run(&mut self, facts: &mut Facts<'_>) -> Result<Outcome, Fault> {
        loop {
            facts.policy = self.policy(facts);
            let plan = plan(facts);
            if !matches!(plan, Plan::Ask(_) | Plan::Nothing(_)) {
                tracing::debug!(source = %self.source.config.name, path = %self.item.path, %plan, "planned");
            }
            // On the heap: what sends a large file is a deep future, and every caller's frame
            // would hold it.
            match Box::pin(self.execute(plan, facts)).await? {
                Progress::Done(outcome) => return Ok(outcome),
                Progress::Learned(answer) => facts.learn(answer),
            }
        }
    }

    async fn execute(&mut self, plan: Plan<'_>, facts: &Facts<'_>) -> Result<Progress, Fault> {
        let outcome = match plan {
            Plan::Ask(question) => {
                return self.ask(question, facts).await.map(Progress::Learned);
            }
            Plan::Nothing(NothingReason::AsStored) => {
                self.item.source.pacing.forget(&self.item.path);
                Outcome::Agreed
            }
            Plan::Nothing(_) | Plan::Wait(_) => Outcome::Agreed,
            Plan::Defer(reason) => match reason {
                // In the queue, where whoever waits for the end of a comparison sees it.
                DeferReason::GuardIsCounting => Outcome::Deferred,
                DeferReason::BusyCompanion
                | DeferReason::ChangedWhileRead
                | DeferReason::BackAgain => Outcome::Changed,
            },
            Plan::RefreshIndex(reason) => {
                self.refresh(facts).await?;
                match reason {
                    RefreshReason::IndexAgrees => Outcome::Agreed,
                    RefreshReason::BucketAgrees => Outcome::Answered,
                }
            }
            Plan::MarkDeleted(_) => self.mark_deleted(facts).await?,
            Plan::ForgetRecord(_) => self.forget_record(facts).await?,
            Plan::ForgetCopy(_) => return self.forget_copy(facts).await,
            Plan::AdoptVersion { .. }
            | Plan::CopyMetadata { .. }
            | Plan::CopyFrom { .. }
            | Plan::PutWhole(_)
            | Plan::Multipart { .. } => {
                let Some(content) = facts.content() else {
                    return Err(self.unread());
                };
                return self.store(plan, facts, content).await;
            }
        };
        Ok(Progress::Done(outcome))
    }

    /// The plans that need the content.
    async fn store(
        &self,
        plan: Plan<'_>,
        facts: &Facts<'_>,
        content: &Content,
    ) -> Result<Progress, Fault> {
        let progress = match plan {
            Plan::AdoptVersion { head, .. } => {
                self.adopt(content, head).await?;
                return Ok(Progress::Done(Outcome::Answered));
            }
            Plan::CopyMetadata { head, .. } => return self.copy_metadata(content, head).await,
            Plan::CopyFrom { from, .. } => self.copy_from(content, &from).await?,
            Plan::Multipart { reuse, .. } => {
                self.send(content, facts.policy.may_copy, reuse).await?
            }
            _ => self.send(content, facts.policy.may_copy, None).await?,
        };
        if matches!(progress, Progress::Done(Outcome::Sent)) {
            // Encrypted content is no better for having been copied.
            self.raise_alarm(facts.record.as_ref(), content.look)
                .await?;
        }
        Ok(progress)
    }

    /// Plans never ask for that; it is no reason to end the process either.
    fn unread(&self) -> Fault {
        let path = self.item.path.to_string();
        Fault::new(Class::Local, "back up", path, "the file was not read")
    }

    /// Tell the guard of content that looks encrypted, or of none; `old` is what was
    /// there.
    async fn raise_alarm(&self, old: Option<&Record>, look: Look) -> Result<(), Fault> {
        if !matches!(look, Look::Noise | Look::Blank) {
            return Ok(());
        }
        let item = self.item.clone();
        let was = old.filter(|old| old.content.is_some()).cloned();
        blocking(move || {
            let (source, path) = (&item.source, &item.path);
            guard::looks_ruined(&source.guard, path, was.as_ref(), look, item.since_ms)
        })
        .await
    }
}
