//! When a part of the daemon breaks, the whole ends and says so; and when all
//! threads for blocking work are taken, it waits and goes on.

use crate::harness::{Rig, until};
use keepwatch::clock::system_clock;
use keepwatch::daemon::{Daemon, Options};
use keepwatch::types::FatalKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_panics_ends_the_daemon_with_words() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let breaks = Arc::new(AtomicBool::new(false));
    let clock = {
        let (breaks, clock) = (Arc::clone(&breaks), system_clock());
        Arc::new(move || {
            assert!(!breaks.load(Ordering::SeqCst), "the test's clock broke");
            clock()
        })
    };
    let options = Options {
        clock: Some(clock),
        ..Options::default()
    };
    let mut daemon = Daemon::start(rig.config(), options).await.unwrap();
    rig.until_equal(&daemon).await;
    let quiet = tokio::time::timeout(Duration::from_secs(2), daemon.broken()).await;
    assert!(quiet.is_err(), "it is whole: {quiet:?}");
    breaks.store(true, Ordering::SeqCst);
    let fatal = tokio::time::timeout(Duration::from_secs(60), daemon.broken()).await;
    let fatal = fatal.expect("it is noticed");
    assert_eq!((fatal.kind, fatal.exit_code()), (FatalKind::Failed, 1));
    assert!(fatal.cause.contains("panic"), "{fatal}");
    assert!(fatal.hint.contains("start Keepwatch again"), "{fatal}");
    breaks.store(false, Ordering::SeqCst);
    // What is whole still ends in order.
    daemon.stop().await.unwrap();
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

/// As `cli` sets it up.
const BLOCKING_THREADS_MAX: usize = 512;

#[test]
fn when_all_blocking_threads_are_taken_work_waits_and_goes_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let rig = Rig::new();
        for number in 0..20 {
            rig.write(&format!("{number}.txt"), format!("{number}"));
        }
        let daemon = rig.start().await;
        rig.until_equal(&daemon).await;
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let taken = Arc::new(AtomicUsize::new(0));
        for _ in 0..BLOCKING_THREADS_MAX {
            let (gate, taken) = (Arc::clone(&gate), Arc::clone(&taken));
            tokio::task::spawn_blocking(move || {
                taken.fetch_add(1, Ordering::SeqCst);
                let (is_open, changed) = &*gate;
                let mut is_open = is_open.lock().unwrap();
                while !*is_open {
                    is_open = changed.wait(is_open).unwrap();
                }
            });
        }
        until("all threads are taken", async || {
            taken.load(Ordering::SeqCst) >= BLOCKING_THREADS_MAX - 8
        })
        .await;
        for number in 0..20 {
            rig.write(&format!("{number}.txt"), format!("again {number}"));
        }
        rig.write("large.bin", vec![1; 20 * 1024 * 1024]);
        // Long enough for several beats and the settle timers.
        tokio::time::sleep(Duration::from_secs(3)).await;
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        rig.until_equal(&daemon).await;
        // Waiting for a thread was never taken for a disk that hangs.
        assert_eq!(
            daemon.components().sources[0].watchdog.stalled_since_ms(),
            None
        );
        daemon.stop().await.unwrap();
    });
}

#[test]
fn few_threads_are_enough_for_many_large_files_and_scans() {
    // Each large file holds a thread while it waits for memory, and each scan
    // while it waits for the queue.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(24)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let rig = Rig::new();
        for number in 0..20u8 {
            rig.write(
                &format!("large{number}.bin"),
                vec![number; 17 * 1024 * 1024],
            );
        }
        for number in 0..300 {
            rig.write(&format!("small{number}.txt"), format!("{number}"));
        }
        let mut config = rig.config();
        config.limits.workers = 16;
        config.limits.queue_items_max = 100;
        let daemon = rig.start_with(config, None).await;
        rig.until_equal(&daemon).await;
        daemon.stop().await.unwrap();
    });
}
