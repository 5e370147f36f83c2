//! What goes wrong between a folder and its bucket: the daemon says so in words
//! that help, holds up nothing else, and goes on by itself once it is over.
//!
//! Every fault sits on the wire or on the disk; the SDK, the daemon and the
//! vault are the real ones. Clocks run fast here, so that waits of minutes take
//! seconds; nothing waits for a length of time, only for things to be so.

mod alerts;
mod away;
// Limits the size of files of a process.
#[cfg(target_os = "linux")]
mod disk_full;
// A drive that hangs: FUSE.
#[cfg(target_os = "linux")]
mod hung;
mod killed;
mod leftovers;
// Names that are no text.
#[cfg(unix)]
mod names;
// Folders without the right to look.
#[cfg(unix)]
mod no_look;
mod no_room;
// Rights, devices and sockets.
#[cfg(unix)]
mod one_path;
mod outage;
mod pace;
mod parts;
mod timeouts;

use crate::harness::{BUCKET, Faults, Rig, Seen, until};
use keepwatch::clock::{WallClock, system_clock};
use keepwatch::config::Config;
use keepwatch::control::{Line, Request, SourceStatus, ask};
use keepwatch::daemon::{Daemon, Options};
use keepwatch::index::Unprotected;
use keepwatch::s3::Store;
use keepwatch::types::{RelKey, RelPath};
use std::sync::Arc;
use std::time::Instant;

/// A probe of a bucket that needs a person comes after a minute: three seconds
/// here. One beat of the heartbeat stays below the minute that looks like sleep.
const FASTER: i64 = 20;

/// A clock that starts now and runs [`FASTER`].
pub fn fast_clock() -> WallClock {
    let (began, start_ms) = (Instant::now(), system_clock()());
    Arc::new(move || {
        let real_ms = i64::try_from(began.elapsed().as_millis()).unwrap();
        start_ms + real_ms * FASTER
    })
}

/// A configuration whose waits suit the fast clock.
pub fn config(rig: &Rig) -> Config {
    let mut config = rig.config();
    config.limits.debounce_ms = 100;
    config.limits.debounce_max_ms = 1_000;
    config
}

/// The daemon through `faults`, under the fast clock.
pub async fn start(rig: &Rig, faults: &Faults) -> Daemon {
    start_on(config(rig), rig.faulty_store(faults)).await
}

pub async fn start_on(config: Config, store: Store) -> Daemon {
    let options = Options {
        store: Some(store),
        clock: Some(fast_clock()),
        ..Options::default()
    };
    Daemon::start(config, options).await.unwrap()
}

/// What `keepwatch status` would show, asked over the control socket.
pub async fn status(rig: &Rig) -> SourceStatus {
    let answer = ask(&rig.state_dir(), &Request::Status, |_| ()).await;
    let Ok(Some(Line::Status(mut status))) = answer else {
        panic!("no status: {answer:?}");
    };
    status.sources.remove(0)
}

/// The unprotected paths, by key.
pub fn unprotected(daemon: &Daemon) -> Vec<(RelKey, Unprotected)> {
    let ctx = daemon.components();
    ctx.index.unprotected(ctx.sources[0].id, 1000).unwrap().0
}

/// The content hash that the index has of a file, in hex.
pub fn indexed(daemon: &Daemon, name: &str) -> Option<String> {
    let ctx = daemon.components();
    let key = RelKey::of_file(&RelPath::from_bytes(name).unwrap());
    let record = ctx.index.get(ctx.sources[0].id, &key).unwrap();
    record.and_then(|r| r.content).map(|c| c.to_hex())
}

pub fn is_put(seen: &Seen) -> bool {
    seen.method == "PUT"
}

/// A request that concerns the object with this (plain) name.
pub fn is_for(seen: &Seen, name: &str) -> bool {
    let path = seen.uri.split('?').next().unwrap_or_default();
    path.ends_with(&format!("/{BUCKET}/{name}"))
}

/// Equal, no outage, nothing unprotected any more.
pub async fn until_well(rig: &Rig, daemon: &Daemon) {
    rig.until_equal(daemon).await;
    until("nothing is unprotected", async || {
        unprotected(daemon).is_empty()
    })
    .await;
    let board = daemon.components().sources[0].status.snapshot();
    assert_eq!(board.outage, None);
}
