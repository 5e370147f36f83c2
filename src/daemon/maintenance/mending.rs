//! Opens a broken index again.

use super::alarm_words::tell_lost_state;
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{Index, Opened};
use crate::mail::OutboxSender;
use crate::os::blocking::blocking;
use crate::source::Sources;
use crate::types::Fault;

/// Beats between two tries to open a broken index, at most: each reads all of it, which
/// helps nobody while the disk is still full.
const MENDING_BEATS_MAX: u32 = 15;

/// What is needed to open a broken index again.
pub(super) struct IndexMender<'a> {
    pub(super) config: &'a Config,
    pub(super) sources: &'a Sources,
    pub(super) index: &'a Index,
    pub(super) clock: &'a Clock,
    pub(super) outbox: &'a OutboxSender,
}

/// Waiting times between tries to open a broken index again.
#[derive(Default)]
pub(super) struct Mending {
    wait_beats: u32,
    left_beats: u32,
    /// Since when it is broken, milliseconds since 1970, and why.
    pub(super) broken: Option<(i64, Fault)>,
}

impl Mending {
    /// Try to open a broken index again, for ever and less and less often: one that failed
    /// (a full disk, a damaged file) fails until then.
    pub(super) async fn mend_index(&mut self, mender: &IndexMender<'_>) {
        let index = mender.index.clone();
        let broken = blocking(move || Ok(index.broken())).await;
        let Ok(Some(fault)) = broken else {
            *self = Self::default();
            return;
        };
        // The first failure says why; later ones say only that it lasts.
        let now_ms = mender.clock.now_ms();
        if self.broken.is_none() {
            tracing::error!("{fault}");
        }
        self.broken.get_or_insert_with(|| (now_ms, fault.clone()));
        if self.left_beats > 0 {
            self.left_beats -= 1;
            return;
        }
        self.wait_beats = (self.wait_beats * 2).clamp(1, MENDING_BEATS_MAX);
        self.left_beats = self.wait_beats;
        reopen(mender, &fault).await;
    }
}

async fn reopen(mender: &IndexMender<'_>, fault: &Fault) {
    let (sources, index) = (mender.sources, mender.index.clone());
    // Before it is known whether it is empty: a worker asks the bucket then.
    let compared: Vec<bool> = sources
        .iter()
        .map(|source| source.comparison.replace(false))
        .collect();
    let reopened = tokio::task::spawn_blocking(move || index.reopen()).await;
    let is_same = matches!(reopened, Ok(Ok(Opened::Existing)) | Ok(Err(_)));
    for (source, was) in sources.iter().zip(compared) {
        if is_same && was {
            source.comparison.replace(true);
        }
    }
    match reopened {
        Ok(Ok(opened)) => {
            tracing::warn!("the index works again after: {fault}");
            let rebuilt = !matches!(opened, Opened::Existing);
            if opened == Opened::Fresh {
                let (config, clock) = (mender.config, mender.clock);
                tell_lost_state(config, sources, clock, mender.outbox).await;
            }
            for source in sources.iter() {
                source.status.warn("index", None);
                source.work.scans.ask_whole(rebuilt);
            }
        }
        Ok(Err(fatal)) => {
            for source in sources.iter() {
                if source.status.warn("index", Some(fatal.one_line())) {
                    tracing::error!("{fatal}");
                }
            }
        }
        Err(error) => tracing::error!("{error}"),
    }
}
