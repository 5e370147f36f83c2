//! The line to the bucket: its limits by the timetable, and what went over it.
//!
//! Limits follow the clock and the configuration file, without a restart. A
//! file that cannot be used changes nothing: a typing error must neither stop
//! the backup nor take the office's line. What went over the line is kept in
//! the index, so that the digest counts whole days.

use crate::clock::WallClock;
use crate::config::Config;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::s3::Store;
use crate::types::{Fatal, Fault, Rates, Timetable, Traffic};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How often the clock is looked at: a limit begins and ends to the second.
const LOOK: Duration = Duration::from_secs(1);

/// Looks between two at the configuration file, one `stat` each.
const LOOKS_PER_FILE: u32 = 5;

/// How often what went over the line is written down; a kill loses so much of
/// a statistic.
const KEEP: Duration = Duration::from_secs(60);

/// Under which name the index has what went over the line since the digest.
const TRAFFIC: &str = "line:traffic";

/// Reads the configuration again.
pub type Reload = Arc<dyn Fn() -> Result<Config, Fatal> + Send + Sync>;

/// What went over the line, kept in the index over restarts.
pub struct TrafficMeter {
    store: Store,
    index: Index,
    /// What of the store's traffic the index has already.
    kept: Mutex<Traffic>,
}

impl TrafficMeter {
    /// Of this server's line.
    pub fn new(store: Store, index: Index) -> Self {
        Self {
            store,
            index,
            kept: Mutex::default(),
        }
    }

    async fn keep(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(KEEP).await;
            if let Err(fault) = self.traffic().await {
                tracing::warn!("what went over the line is not written down: {fault}");
            }
        }
    }

    /// What went over the line since the last digest; the index has it then.
    ///
    /// # Errors
    /// The index cannot be used.
    pub async fn traffic(self: &Arc<Self>) -> Result<Traffic, Fault> {
        self.change(|period| period).await
    }

    /// Count no more what a digest has reported.
    ///
    /// # Errors
    /// As [`TrafficMeter::traffic`].
    pub async fn forget(self: &Arc<Self>, reported: Traffic) -> Result<(), Fault> {
        self.change(move |period| period.minus(&reported)).await?;
        Ok(())
    }

    async fn change(
        self: &Arc<Self>,
        change: impl FnOnce(Traffic) -> Traffic + Send + 'static,
    ) -> Result<Traffic, Fault> {
        let own = Arc::clone(self);
        blocking(move || {
            // Held throughout: nothing may be counted twice.
            let mut kept = own.kept.lock();
            let now = own.store.traffic();
            let stored = own.index.state_get(TRAFFIC)?;
            let before: Traffic = stored
                .and_then(|value| serde_json::from_value(value).ok())
                .unwrap_or_default();
            let after = change(before.plus(&now.minus(&kept)));
            if after != before {
                let value = serde_json::to_value(after).unwrap_or_default();
                own.index.state_set(TRAFFIC, &value)?;
            }
            *kept = now;
            Ok(after)
        })
        .await
    }
}

/// Keep limits and figures until told to stop.
pub async fn run(
    limits: Limits,
    traffic: Arc<TrafficMeter>,
    clock: WallClock,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = limits.follow(traffic.store.clone(), clock) => {}
        () = traffic.keep() => {}
        _ = stop.changed() => {}
    }
}

/// The limits of the line, as the configuration says at this moment.
pub struct Limits {
    timetable: Timetable,
    zone: TimeZone,
    file: Option<PathBuf>,
    reload: Option<Reload>,
}

/// What shows that a file was changed.
type Stamp = Option<(SystemTime, u64)>;

impl Limits {
    /// Those of `config`, and of what `reload` reads when its file changes.
    pub fn new(config: &Config, reload: Option<Reload>) -> Self {
        Self {
            timetable: config.bandwidth.clone(),
            zone: config.schedule.time_zone.clone(),
            file: config.file.clone().filter(|_| reload.is_some()),
            reload,
        }
    }

    /// What holds at a moment, milliseconds since 1970.
    pub fn at(&self, now_ms: i64) -> Rates {
        match Timestamp::from_millisecond(now_ms) {
            Ok(now) => self.timetable.at(now, &self.zone),
            Err(_) => self.timetable.always,
        }
    }

    /// Keep the store's line to it, for ever.
    pub async fn follow(mut self, store: Store, clock: WallClock) {
        let mut seen = self.stamp().await;
        let mut looks: u32 = 0;
        loop {
            let rates = self.at(clock());
            if rates != store.rates() {
                tracing::info!("the line may be used: {}", in_words(&rates));
                store.limit(rates);
            }
            tokio::time::sleep(LOOK).await;
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_FILE) {
                let stamp = self.stamp().await;
                if stamp != seen {
                    seen = stamp;
                    self.read_again().await;
                }
            }
        }
    }

    async fn stamp(&self) -> Stamp {
        let file = self.file.clone()?;
        let look = move || {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        tokio::task::spawn_blocking(look).await.ok()?
    }

    async fn read_again(&mut self) {
        let Some(reload) = self.reload.clone() else {
            return;
        };
        match tokio::task::spawn_blocking(move || reload()).await {
            Ok(Ok(config)) => {
                let is_new = config.bandwidth != self.timetable;
                self.timetable = config.bandwidth;
                self.zone = config.schedule.time_zone;
                if is_new {
                    tracing::info!("[bandwidth] was read again and holds from now on");
                }
            }
            Ok(Err(fatal)) => tracing::warn!(
                "the configuration was changed but cannot be used; what held before still holds: {fatal}"
            ),
            Err(error) => tracing::error!("the configuration could not be read again: {error}"),
        }
    }
}

/// Limits as people read them.
pub fn in_words(rates: &Rates) -> String {
    let one = |rate: Option<u64>, way: &str| match rate {
        Some(rate) => format!("{way} at most {} kB/s", rate / 1000),
        None => format!("{way} without limit"),
    };
    format!("{}, {}", one(rates.up, "up"), one(rates.down, "down"))
}
