//! What the service manager that has started this process is told of it.

use crate::config::{Config, StoreConfig};
use crate::daemon::{Alive, Daemon};
use crate::os;
use crate::os::Told;
use crate::types::amount;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Pings in the time after which the manager's watchdog takes the process for stuck.
const PINGS: u32 = 4;

/// Time that a stop takes at most beside `shutdown_timeout`: index and state are written down
/// within 10 s each.
const STOP_REST: Duration = Duration::from_secs(25);

/// Ends the telling when it is dropped.
pub(super) struct Telling(Option<JoinHandle<()>>);

impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The daemon is up; from now on its watchdog hears of it for as long as it is alive.
pub(super) fn up(daemon: &Daemon, config: &Config) -> Telling {
    let folders = amount(config.sources.len() as u64, "folder");
    let place = match &config.store {
        StoreConfig::S3(s3) => s3.endpoint_url.clone().unwrap_or_else(|| "AWS".to_owned()),
        StoreConfig::Vault { path } => path.display().to_string(),
    };
    os::tell_manager(&Told::Ready(format!("backing up {folders} to {place}")));
    Telling(os::manager_watchdog().map(|within| {
        let alive = daemon.alive();
        tokio::spawn(keep(alive, within / PINGS, tell))
    }))
}

/// macOS keeps folders from programs that nobody has allowed to read them.
pub(super) async fn of_disk_access() {
    let access = tokio::task::spawn_blocking(os::full_disk_access).await;
    match access {
        Ok(Some(true)) => tracing::info!("macOS has given Full Disk Access"),
        Ok(Some(false)) => tracing::warn!(
            "macOS has NOT given Full Disk Access: Documents, Desktop and other disks cannot be read. What to do: add the program under System Settings, Privacy & Security, Full Disk Access, and start Keepwatch anew (for an account that is no administrator this may be said wrongly: see whether files are unreadable)"
        ),
        Ok(None) | Err(_) => {}
    }
}

/// The daemon ends.
pub(super) async fn down(config: &Config) {
    let limit = Duration::from_millis(config.limits.shutdown_timeout_ms) + STOP_REST;
    tell(Told::Stopping(limit)).await;
}

/// A manager that is busy must not hold up an async thread.
async fn tell(told: Told) {
    // It cannot panic.
    let _ = tokio::task::spawn_blocking(move || os::tell_manager(&told)).await;
}

/// Ping for as long as no loop is stuck.
async fn keep<F: Future<Output = ()>>(mut alive: Alive, every: Duration, tell: impl Fn(Told) -> F) {
    let mut was_stuck = None;
    loop {
        let stuck = alive.stuck().await;
        match &stuck {
            None => tell(Told::Alive).await,
            Some(name) if stuck != was_stuck => {
                let words = format!("a part of it does not go on: {name}");
                tracing::error!(
                    "{words}. The service manager ends it when that lasts, and starts it again"
                );
                tell(Told::Status(words)).await;
            }
            Some(_) => {}
        }
        was_stuck = stuck;
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchdog::{Loops, STUCK_AFTER};
    use parking_lot::Mutex;
    use std::sync::Arc;

    const EVERY: Duration = Duration::from_secs(10);

    /// Named after the danger: a ping that comes from a clock of its own says nothing of the
    /// loops, and a stuck daemon looks alive for ever.
    #[tokio::test(start_paused = true)]
    async fn the_pings_stop_while_a_loop_is_stuck_and_come_again_when_it_turns() {
        let (loops, heard) = (Loops::default(), Arc::new(Mutex::new(Vec::new())));
        let pulse = loops.begin("heartbeat");
        let alive = Alive::new(loops, std::env::temp_dir());
        let telling = Arc::clone(&heard);
        let pinging = tokio::spawn(keep(alive, EVERY, move |told| {
            telling.lock().push(told);
            std::future::ready(())
        }));
        tokio::time::sleep(STUCK_AFTER).await;
        let pings = heard.lock().len();
        assert!(pings >= 6 && heard.lock().iter().all(|told| *told == Told::Alive));
        tokio::time::sleep(EVERY * 5).await;
        {
            let mut heard = heard.lock();
            let later = heard.split_off(pings);
            let is_ping = |told: &&Told| **told == Told::Alive;
            assert!(later.iter().filter(is_ping).count() <= 1, "{later:?}");
            let words = later.iter().filter(|told| matches!(told, Told::Status(_)));
            assert_eq!(words.count(), 1, "{later:?}");
        }
        pulse.turn();
        tokio::time::sleep(EVERY).await;
        assert_eq!(heard.lock().last(), Some(&Told::Alive));
        pinging.abort();
    }
}
