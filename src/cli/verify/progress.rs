//! Shows the progress of a verification.

use crate::cli::progress_line::ProgressLine;
use crate::types;
use crate::verify::Progress;
use std::time::Duration;

/// What the verification reports to.
pub(super) struct VerifyProgress(ProgressLine);

impl VerifyProgress {
    pub(super) fn new(quiet: bool) -> Self {
        Self(ProgressLine::new(quiet))
    }

    pub(super) fn update(&self, progress: &Progress) {
        self.0.now_and_then(|took| line(progress, took));
    }

    pub(super) fn end(&self) {
        self.0.end();
    }
}

/// `1,200 versions looked at, 30 hashed (3.4 MB, 1.7 MB/s), 1 FOUND DAMAGED`.
pub(super) fn line(progress: &Progress, took: Duration) -> String {
    let mut text = looked_at(progress);
    if progress.hashed > 0 {
        let rate = u128::from(progress.hashed_bytes) * 1_000 / took.as_millis().max(1);
        text += &format!(
            ", {} hashed ({}, {}/s)",
            types::number(progress.hashed),
            types::size(progress.hashed_bytes),
            types::size(u64::try_from(rate).unwrap_or(u64::MAX))
        );
    }
    if progress.found > 0 {
        text += &format!(", {} FOUND DAMAGED", types::number(progress.found));
    }
    text
}

/// `6 versions and 1 manifest looked at`: the backup's own lists are no files.
pub(super) fn looked_at(progress: &Progress) -> String {
    let versions = types::amount(progress.looked, "version");
    match progress.manifests {
        0 => format!("{versions} looked at"),
        more => format!(
            "{versions} and {} looked at",
            types::amount(more, "manifest")
        ),
    }
}
