//! More at once than fits: edits overtake, and nothing is missed.

use super::until_arrived;
use crate::harness::{Fate, Faults, PATIENCE, Rig, history, until};
use keepwatch::status::Event;
use keepwatch::types::RelPath;
use keepwatch::work::{HINTS_MAX, Hint};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;

#[tokio::test(flavor = "multi_thread")]
async fn a_save_during_a_large_backlog_overtakes_it() {
    const BACKLOG: usize = 1_500;
    let rig = Rig::new();
    for number in 0..BACKLOG {
        let name = format!("d{}/{number}.txt", number % 40);
        rig.write(&name, format!("{number}"));
        // Last year's: a fresh file would count as an edit.
        let time = filetime::FileTime::from_unix_time(1_750_000_000, 0);
        filetime::set_file_mtime(rig.path(&name), time).unwrap();
    }
    let faults = Faults::new(|seen| match seen.uri.contains("x-id=PutObject") {
        true => Fate::Late(Duration::from_millis(100)),
        false => Fate::Pass,
    });
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    let queue = daemon.components().sources[0].work.queue.clone();
    until("the backlog is under way", async || {
        let depth = queue.depth();
        depth.backlog > BACKLOG / 2 && depth.running > 10
    })
    .await;
    let mut news = daemon.components().events.listen();
    let saved = Instant::now();
    rig.write("letter.txt", "dear customer");
    let took = loop {
        match news.recv().await {
            Ok(Event::Stored { path, .. }) if path == "letter.txt" => break saved.elapsed(),
            Ok(_) | Err(RecvError::Lagged(_)) => assert!(saved.elapsed() < PATIENCE),
            Err(RecvError::Closed) => panic!("the daemon ended"),
        }
    };
    let waiting = queue.depth().backlog;
    println!("saved during a backlog: stored after {took:?}, {waiting} files still waiting");
    // How long it took is a measurement, not a test.
    assert!(waiting > 0, "it overtook nothing");
    let letter = Some(b"dear customer".to_vec());
    assert_eq!(history(&rig.store(), "letter.txt").await, [letter]);
    until_arrived(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_changes_than_the_queue_holds_all_arrive() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.limits.queue_items_max = 20;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    for number in 0..500 {
        rig.write(
            &format!("d{}/{number}.txt", number % 9),
            format!("{number}"),
        );
    }
    let ctx = daemon.components();
    let store = rig.store();
    until("all 500 have arrived", async || {
        // The heartbeat does this twice a minute; a test has not the time.
        ctx.sources[0].work.scans.ripen();
        super::keys(&store).await.len() == 500
    })
    .await;
    // Edits of all of them, too.
    for number in 0..500 {
        rig.write(
            &format!("d{}/{number}.txt", number % 9),
            format!("-{number}"),
        );
    }
    until("all 500 edits have arrived", async || {
        ctx.sources[0].work.scans.ripen();
        crate::harness::at_rest(&daemon)
            && crate::harness::in_bucket(&store).await == crate::harness::on_disk(&rig.root())
    })
    .await;
    daemon.stop().await.unwrap();
}

/// On one thread, so that nobody takes a hint off while they are given.
#[tokio::test]
async fn hints_beyond_the_bound_become_a_scan_and_leave_nothing_unsettled() {
    let rig = Rig::new();
    rig.write("sub/a.txt", "one");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let ctx = daemon.components();
    rig.write("sub/a.txt", "two");
    let now_ms = ctx.clock.steady_ms();
    for number in 0..HINTS_MAX + 100 {
        ctx.sources[0].work.hint(Hint {
            path: RelPath::from_bytes(format!("sub/no-such-{}", number % 50)).unwrap(),
            first_ms: now_ms,
            last_ms: now_ms,
            is_given_back: false,
        });
    }
    assert!(
        ctx.sources[0].work.scans.is_asked(),
        "a scan finds what did not fit"
    );
    until("nothing is unsettled", async || {
        ctx.sources[0].work.in_flight.count() == 0
    })
    .await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}
