//! Answers to what a plan asks.

use super::object::Object;
use crate::backup::from_memory::from_memory;
use crate::backup::plan::{Answer, Facts, FoundCopy, HeadOfCopy, Question};
use crate::destination;
use crate::os::blocking::blocking;
use crate::transfer::is_final;
use crate::types::{Class, ContentHash, Fault, VersionId};

impl Object<'_> {
    pub(crate) async fn ask(
        &mut self,
        question: Question,
        facts: &Facts<'_>,
    ) -> Result<Answer, Fault> {
        let now_ms = self.executor.clock.now_ms();
        if let Some(answer) = from_memory(facts, question, self.item, now_ms) {
            return Ok(answer);
        }
        match question {
            Question::Content => self.read_content(facts).await,
            Question::HeadOfRecorded => self.head(facts.recorded_version()).await,
            Question::HeadWithChecksums => self.head_with_checksums(facts).await,
            Question::ContentLookup => self.look_up(facts).await,
            Question::HeadOfCopy => self.head_of_copy(facts).await,
            Question::PartLayout => {
                let (index, key, id) = (
                    self.executor.index.clone(),
                    self.key.clone(),
                    self.source.id,
                );
                let parts = blocking(move || index.parts(id, &key)).await?;
                Ok(Answer::PartLayout(parts))
            }
            Question::Guard => self.ask_guard(facts).await,
            Question::KeepsVersions => {
                let may = destination::may_mark(&self.item.source.destination).await?;
                Ok(Answer::KeepsVersions(may))
            }
            // Memory has answered the other two.
            Question::HeadOfNewest | Question::BusyCompanion | Question::Pacing => {
                self.head(None).await
            }
        }
    }

    async fn head(&self, version_id: Option<&VersionId>) -> Result<Answer, Fault> {
        let head = self.executor.store.head(self.at(), version_id).await?;
        Ok(Answer::Head(head.map(Box::new)))
    }

    async fn head_with_checksums(&self, facts: &Facts<'_>) -> Result<Answer, Fault> {
        let head = facts.answers.head.as_ref().and_then(Option::as_ref);
        let version = head.and_then(|head| head.version_id.as_ref());
        let head = self
            .executor
            .store
            .head_with_sums(self.at(), version)
            .await?;
        Ok(Answer::HeadWithChecksums(head.map(Box::new)))
    }

    /// Where the content is, and how it is stored there.
    async fn look_up(&self, facts: &Facts<'_>) -> Result<Answer, Fault> {
        let Some((hash, size_bytes)) = content_of(facts) else {
            return Ok(Answer::ContentLookup(None));
        };
        let (index, id) = (self.executor.index.clone(), self.source.id);
        let found = blocking(move || {
            let Some(entry) = index.elsewhere(id, &hash, size_bytes)? else {
                return Ok(None);
            };
            let part_layout = index
                .parts(id, &entry.key)?
                .filter(|parts| parts.are_of(entry.version_id.as_ref(), &entry.etag));
            Ok(Some(FoundCopy { entry, part_layout }))
        });
        Ok(Answer::ContentLookup(found.await?.map(Box::new)))
    }

    async fn head_of_copy(&self, facts: &Facts<'_>) -> Result<Answer, Fault> {
        let Some(Some(found)) = &facts.answers.lookup else {
            return Ok(Answer::HeadOfCopy(HeadOfCopy::Gone));
        };
        let key = self.source.bucket_key(&found.entry.key).key;
        let version_id = found.entry.version_id.as_ref();
        let head = self
            .executor
            .store
            .head_with_sums(self.at_key(&key), version_id);
        let answer = match head.await {
            Ok(Some(head)) => HeadOfCopy::There(Box::new(head)),
            Ok(None) => HeadOfCopy::Gone,
            Err(fault) if is_final(&fault) => HeadOfCopy::Refused,
            Err(fault) => {
                if fault.class == Class::Transient {
                    self.source.copies.failed();
                }
                return Err(fault);
            }
        };
        Ok(Answer::HeadOfCopy(answer))
    }
}

fn content_of(facts: &Facts<'_>) -> Option<(ContentHash, u64)> {
    let content = facts.content()?;
    Some((content.hash, content.fingerprint.size_bytes))
}
