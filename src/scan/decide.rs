//! Ends a scan: what is gone, and whether to believe it.

use super::gone::KEYS_MAX;
use super::merge::Merge;
use crate::config::OnDelete;
use crate::files;
use crate::guard;
use crate::guard::{HoldCause, Scanned, most_is_gone};
use crate::types::{Fault, Kind, RelKey, RelPath};

impl Merge<'_> {
    /// Queue what is gone, as far as the deletion guard allows.
    pub(crate) fn decide_gone(&mut self, subtree: &RelPath, confirmed: bool) -> Result<(), Fault> {
        self.done.gone = self.gone.total;
        let may_mark = match subtree.is_root() {
            true => self.ask_guard(confirmed)?,
            false => self.is_part_believed(subtree)?,
        };
        if !may_mark {
            return Ok(());
        }
        for key in std::mem::take(&mut self.gone.keys) {
            self.queue(&key, None);
        }
        if self.gone.total > KEYS_MAX as u64 {
            self.queue_all_gone(subtree)?;
        }
        Ok(())
    }

    /// Tell the deletion guard what the whole source looks like, and ask whether what is
    /// gone may be marked.
    fn ask_guard(&mut self, confirmed: bool) -> Result<bool, Fault> {
        let keeps = self.source.config.on_delete == OnDelete::Keep;
        // Nobody has looked for what is gone, as at a start without a network.
        let is_blind = !self.marks && !keeps;
        if confirmed && is_blind {
            self.incomplete(
                "deletions cannot be confirmed before the bucket has said that it keeps old versions"
                    .into(),
            );
            return Ok(false);
        }
        let before: Vec<RelKey> = self.gone.lost.iter().map(|(key, _)| key.clone()).collect();
        if !confirmed && guard::lost_mounts(&self.source.guard)? != before {
            self.incomplete("a disk came or went during the scan".into());
            self.source.work.scans.ask_later();
            return Ok(false);
        }
        let found = Scanned {
            on_disk: self.done.files + self.gone.unseen,
            gone: self.gone.total,
            known: self.gone.known,
            complete: !self.had_faults && !is_blind,
            other_root: false,
            absent: self.join.bucket.has_ended().then_some(self.gone.absent),
            mounts: std::mem::take(&mut self.mounts),
            lost: std::mem::take(&mut self.gone.lost),
        };
        let below: u64 = found.lost.iter().map(|(_, files)| files).sum();
        let holds = guard::scanned(&self.source.guard, found, confirmed)?;
        let mut may_mark = true;
        for hold in &holds {
            self.incomplete(guard::line(&self.source.guard, hold));
            may_mark &= matches!(hold.cause, HoldCause::Unmounted { .. });
        }
        if !holds.is_empty() {
            self.done.held = below + if may_mark { 0 } else { self.gone.total };
        }
        Ok(may_mark)
    }

    /// Whether to believe what is gone below `subtree`. A folder that is itself gone or
    /// replaced was deleted. One that has lost most of its files is left to a scan of the
    /// whole source, which asks the deletion guard.
    fn is_part_believed(&mut self, subtree: &RelPath) -> Result<bool, Fault> {
        let root = &self.source.config.path;
        let gone = &self.gone;
        let is_doubtful = most_is_gone(gone.total, gone.known, self.done.files)
            && files::stat(root, subtree)?.is_some_and(|found| found.kind == Kind::Folder);
        if is_doubtful {
            self.source.work.scans.ask_later();
        }
        Ok(!is_doubtful)
    }

    /// More keys are gone than were kept: find them again from the index.
    fn queue_all_gone(&mut self, subtree: &RelPath) -> Result<(), Fault> {
        let prefix = RelKey::of_folder(subtree);
        for entry in self.scanner.index.range(self.id, prefix.as_str(), None) {
            let (key, _) = entry?;
            // A path that cannot be looked at is unknown, not gone.
            if let Ok(None) = files::stat(&self.source.config.path, &key.path()) {
                self.queue(&key, None);
            }
        }
        Ok(())
    }
}
