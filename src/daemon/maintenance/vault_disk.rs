//! Notices within seconds that the vault's disk is gone, or back, though nothing is stored.

use super::beat::BEAT;
use crate::clock::Clock;
use crate::s3::Store;
use crate::source::{SourceRuntime, Sources, announce};
use crate::types::{Class, Fault, Operation};
use crate::watchdog::ANSWER_WAIT;
use keepwatch_vault::Vault;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Beats between two looks: each is one `stat` of a file on the vault's disk.
const LOOK_BEATS: u32 = 2;

/// Looks after the disk has come back at which a bucket that is still on hold is tried
/// again at once. Then its retries go on as after any outage.
const TRIES_WHEN_BACK: u32 = 5;

/// Looks after the disk of the vault that the copies go to.
pub(super) struct VaultDisk<'a> {
    pub(super) sources: &'a Sources,
    pub(super) store: &'a Store,
    pub(super) clock: &'a Clock,
}

/// What a look found.
enum Found {
    There,
    Gone,
    /// The disk does not answer; this look still waits for it.
    Silent(JoinHandle<bool>),
}

impl VaultDisk<'_> {
    /// Look again and again; never ends. A server is asked by others.
    pub(super) async fn watch(&self) {
        let Some(folder) = self.store.vault_folder().map(Path::to_owned) else {
            return std::future::pending().await;
        };
        let mut tries = 0;
        loop {
            match look(&folder, ANSWER_WAIT).await {
                Found::There => {
                    if tries > 0 {
                        tries -= 1;
                        self.try_again();
                    }
                }
                Found::Gone => {
                    tries = TRIES_WHEN_BACK;
                    self.ask().await;
                }
                Found::Silent(answer) => {
                    tries = TRIES_WHEN_BACK;
                    self.hold(&no_answer(&folder));
                    // No second thread waits for the same disk.
                    let _ = answer.await;
                    continue;
                }
            }
            tokio::time::sleep(BEAT * LOOK_BEATS).await;
        }
    }

    /// The vault says itself what is wrong, and lets go of what it has open there.
    async fn ask(&self) {
        let mut sources = self.sources.iter();
        let is_open = |source: &&Arc<SourceRuntime>| source.breaker.outage().is_none();
        let Some(source) = sources.find(is_open) else {
            return;
        };
        if let Err(fault) = self.store.reach(&source.config.bucket).await {
            self.hold(&fault);
        }
    }

    /// Nothing is sent to any bucket of the vault for now.
    fn hold(&self, fault: &Fault) {
        for source in self.sources.iter() {
            if source.breaker.outage().is_none() {
                let fault = fault.clone().about(&source.config.bucket);
                let change = source.breaker.idle(Err(&fault), self.clock.now_ms());
                announce(self.sources, source, change);
            }
        }
    }

    /// The disk is back: nobody waits until the next try is due.
    fn try_again(&self) {
        for source in self.sources.iter() {
            if source.breaker.outage().is_some() {
                source.breaker.probe_now(self.clock.now_ms());
                source.work.queue.wake();
            }
        }
    }
}

/// Look for the vault, off the async threads and no longer than `wait`.
async fn look(folder: &Path, wait: Duration) -> Found {
    let vault = folder.to_owned();
    answered(move || is_there(&vault), wait).await
}

async fn answered(is_there: impl FnOnce() -> bool + Send + 'static, wait: Duration) -> Found {
    let mut answer = tokio::task::spawn_blocking(is_there);
    match tokio::time::timeout(wait, &mut answer).await {
        Ok(Ok(true)) => Found::There,
        Ok(_) => Found::Gone,
        Err(_) => Found::Silent(answer),
    }
}

/// A disk that fails at it has been pulled while it is mounted.
fn is_there(folder: &Path) -> bool {
    Vault::is_at(folder).unwrap_or(false)
}

fn no_answer(folder: &Path) -> Fault {
    let cause = "the disk or network drive that the vault is on does not answer";
    Fault::new(Class::Transient, Operation::List, folder.display().to_string(), cause).hint(
        "see whether the disk or the network drive is connected and its server runs; Keepwatch goes on by itself when it answers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_vault_is_there_gone_or_does_not_answer() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("vault");
        let seen = || look(&folder, ANSWER_WAIT);
        assert!(matches!(seen().await, Found::Gone));
        drop(Vault::open(&folder).unwrap());
        assert!(matches!(seen().await, Found::There));
        // An empty mount point in its place.
        std::fs::rename(&folder, dir.path().join("away")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert!(matches!(seen().await, Found::Gone));
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_holds_nobody_up() {
        let (back, waits) = mpsc::channel();
        let hangs = move || waits.recv().unwrap_or(false);
        let Found::Silent(answer) = answered(hangs, Duration::from_millis(10)).await else {
            panic!("it has answered");
        };
        back.send(true).unwrap();
        assert!(answer.await.unwrap());
    }
}
