//! The loops of maintenance, side by side.

use super::alarm::Alarm;
use super::broken::Broken;
use super::heartbeat::Heartbeat;
use super::vault_disk::VaultDisk;
use super::{buckets, clearing, disks, tell};
use crate::backup::{LateChecks, OrphanedUploads};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::Index;
use crate::mail::OutboxSender;
use crate::s3::Store;
use crate::source::{RunSignals, Sources};
use crate::watchdog::LoopPulse;
use crate::work::Queue;
use std::sync::Arc;
use tokio::sync::watch;

/// What maintenance is built from.
pub(crate) struct Maintenance {
    pub(crate) config: Arc<Config>,
    pub(crate) sources: Sources,
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
    pub(crate) signals: RunSignals,
    pub(crate) outbox: Arc<OutboxSender>,
    /// Second checks after requests that got no answer.
    pub(crate) late: LateChecks,
    /// Clears away uploads that nobody goes on with.
    pub(crate) orphaned: OrphanedUploads,
    /// The heartbeat's sign of life.
    pub(crate) pulse: LoopPulse,
}

impl Maintenance {
    /// Go on until told to stop. What may wait for a network has a loop of its own, so
    /// that a bucket or topic that hangs holds up no retry and no alert.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let broken = Broken::default();
        let Self {
            config,
            sources,
            store,
            index,
            queue,
            clock,
            signals,
            outbox,
            late,
            orphaned,
            pulse,
        } = self;
        let heartbeat = Heartbeat {
            config: &config,
            sources: &sources,
            index: &index,
            queue: &queue,
            clock: &clock,
            signals: &signals,
            outbox: &outbox,
            broken: &broken,
            pulse: &pulse,
        };
        let alarm = Alarm {
            config: &config,
            store: &store,
            index: &index,
            clock: &clock,
            outbox: &outbox,
            broken: &broken,
        };
        let vault_disk = VaultDisk {
            sources: &sources,
            store: &store,
            clock: &clock,
        };
        tokio::select! {
            () = heartbeat.run() => {}
            () = alarm.run(&sources) => {}
            () = outbox.run() => {}
            () = buckets::ask(&sources, &store, &clock) => {}
            () = vault_disk.watch() => {}
            () = clearing::clear_uploads(&orphaned, &clock) => {}
            () = late.run() => {}
            () = clearing::forget_past(&sources, &index, &clock) => {}
            () = disks::revisit(&sources) => {}
            () = tell::at_once(&sources, &outbox) => {}
            () = disks::rescan(&sources, &clock, config.limits.rescan_ms) => {}
            _ = stop.changed() => {}
        }
    }
}
