//! Whether one more version of a file waits.
//!
//! Invariant: pacing is asked once about a version, before the file is read where its
//! fingerprint tells of one, else when the content has been read. It is not asked about
//! a first version, about one that the bucket has to be asked about, and where no content
//! changed.

use super::facts::Facts;
use super::types::{Plan, Question, WaitReason};
use crate::transfer::Content;
use crate::types::{Fingerprint, Kind, Record, WallMs};

/// What pacing says of one more version, if that is not yes: ask it, or wait.
pub(crate) fn unless_paced<'a>(facts: &Facts<'_>) -> Option<Plan<'a>> {
    last_version_ms(facts)?;
    match facts.answers.may_add_version {
        None => Some(Plan::Ask(Question::Pacing)),
        Some(false) => Some(Plan::Wait(WaitReason::Paced)),
        Some(true) => None,
    }
}

/// When the last version was stored of a file that would get one more; `None` where
/// pacing does not apply. The file and its companions count as one.
pub(crate) fn last_version_ms(facts: &Facts<'_>) -> Option<WallMs> {
    let seen = facts.disk.filter(|seen| seen.kind == Kind::File)?;
    let record = facts.record.as_ref();
    if let Some(content) = facts.content() {
        return last_version_read_ms(record, [(record, content)].into_iter());
    }
    let companions = facts.companions.iter();
    let mut present = companions
        .clone()
        .filter_map(|one| Some((one.disk.as_ref()?, one.record.as_ref())));
    let is_new = is_other(&seen, record) || present.any(|(found, record)| is_other(found, record));
    let records = companions.filter_map(|one| one.record.as_ref());
    is_new.then(|| last_ms(record, records)).flatten()
}

/// The same once the contents were read, each with its record; `main` is the record of
/// the file to which the others belong.
pub(crate) fn last_version_read_ms<'a>(
    main: Option<&Record>,
    mut read: impl Iterator<Item = (Option<&'a Record>, &'a Content)> + Clone,
) -> Option<WallMs> {
    let records = read.clone().filter_map(|(record, _)| record);
    let is_other = |record: Option<&Record>, content: &Content| {
        let is_other = |stored| stored != content.hash;
        record.is_none_or(|record| record.content.is_some_and(is_other))
    };
    let is_new = read.any(|(record, content)| is_other(record, content));
    is_new.then(|| last_ms(main, records)).flatten()
}

/// When the last of them was stored; `None` when the bucket is not known to have the file.
fn last_ms<'a>(main: Option<&Record>, others: impl Iterator<Item = &'a Record>) -> Option<WallMs> {
    let main = main.filter(|record| record.content.is_some())?;
    let stored = others.map(|record| record.stored_at_ms);
    Some(stored.fold(main.stored_at_ms, WallMs::max))
}

/// Its size or time says that the content is another one; mode and owner say nothing.
fn is_other(found: &Fingerprint, record: Option<&Record>) -> bool {
    record.is_none_or(|record| {
        let then = &record.fingerprint;
        (then.size_bytes, then.mtime_ns) != (found.size_bytes, found.mtime_ns)
    })
}
