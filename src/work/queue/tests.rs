//! What the queue promises, case by case.

use super::*;
use crate::types::{MonotonicMs, RelPath};
use std::cell::Cell;
use std::time::Duration;

fn p(text: &str) -> RelPath {
    RelPath::from_bytes(text).unwrap()
}

fn now_if(is_time: bool) -> Readiness {
    match is_time {
        true => Readiness::Now,
        false => Readiness::No,
    }
}

/// What was set aside comes when all is done that was there before.
fn after_the_rest(_: &SourceQueue, _: MonotonicMs) -> Readiness {
    Readiness::AfterTheRest { given_back: 0 }
}

async fn pop(queue: &Queue, of: &[SourceQueue]) -> Option<String> {
    let next = tokio::time::timeout(
        Duration::from_secs(1),
        queue.pop(of, |_, _, _| true, after_the_rest),
    )
    .await;
    next.ok().flatten().map(|item| item.path.to_string())
}

#[tokio::test(start_paused = true)]
async fn edits_overtake_the_backlog_and_a_path_waits_once() {
    let (queue, of) = Queue::new(1, 10, 16);
    of[0].push_backlog(p("b1"), MonotonicMs(1)).await;
    of[0].push_backlog(p("b2"), MonotonicMs(1)).await;
    of[0].push_edit(p("e"), MonotonicMs(2), false).unwrap();
    of[0].push_edit(p("e"), MonotonicMs(3), false).unwrap();
    of[0].push_edit(p("b2"), MonotonicMs(3), false).unwrap();
    let got = [
        pop(&queue, &of).await,
        pop(&queue, &of).await,
        pop(&queue, &of).await,
        pop(&queue, &of).await,
    ];
    assert_eq!(
        got.map(|g| g.unwrap_or_default()),
        ["b2", "e", "b1", ""].map(str::to_owned)
    );
}

#[tokio::test(start_paused = true)]
async fn a_path_is_never_in_two_workers_and_a_touch_meanwhile_is_not_lost() {
    let (queue, of) = Queue::new(1, 10, 16);
    of[0].push_edit(p("a"), MonotonicMs(5), false).unwrap();
    let first = queue
        .pop(&of, |_, _, _| true, after_the_rest)
        .await
        .unwrap();
    of[0].push_edit(p("a"), MonotonicMs(7), true).unwrap();
    assert_eq!(pop(&queue, &of).await, None, "it is in a worker");
    queue.done(&first);
    let second = queue
        .pop(&of, |_, _, _| true, after_the_rest)
        .await
        .unwrap();
    assert_eq!((second.since_ms, second.deadline), (MonotonicMs(7), true));
    queue.done(&second);
    assert_eq!(pop(&queue, &of).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_full_edit_lane_says_so_and_a_full_backlog_waits() {
    let (queue, of) = Queue::new(1, 2, 16);
    for name in ["a", "b"] {
        of[0].push_edit(p(name), MonotonicMs(1), false).unwrap();
        of[0]
            .push_backlog(p(&format!("x{name}")), MonotonicMs(1))
            .await;
    }
    assert_eq!(of[0].push_edit(p("c"), MonotonicMs(1), false), Err(Full));
    let waiting = {
        let of = of.clone();
        tokio::spawn(async move { of[0].push_backlog(p("xc"), MonotonicMs(1)).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "the scan waits for the queue");
    for _ in 0..3 {
        let item = queue
            .pop(&of, |_, _, _| true, after_the_rest)
            .await
            .unwrap();
        queue.done(&item);
    }
    waiting.await.unwrap();
    assert_eq!(of[0].depth().backlog, 2);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_leaves_a_worker_for_edits() {
    let (queue, of) = Queue::new(1, 10, 2);
    for name in ["a", "b"] {
        of[0].push_backlog(p(name), MonotonicMs(1)).await;
    }
    let running = queue
        .pop(&of, |_, _, _| true, after_the_rest)
        .await
        .unwrap();
    assert_eq!(
        pop(&queue, &of).await,
        None,
        "the second worker is kept for edits"
    );
    of[0].push_edit(p("e"), MonotonicMs(1), false).unwrap();
    assert_eq!(pop(&queue, &of).await.as_deref(), Some("e"));
    queue.done(&running);
    assert_eq!(pop(&queue, &of).await.as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn sources_take_turns_and_an_unreachable_one_waits() {
    let (queue, of) = Queue::new(2, 10, 16);
    for name in ["a", "b"] {
        of[0].push_backlog(p(name), MonotonicMs(1)).await;
        of[1]
            .push_backlog(p(&format!("x{name}")), MonotonicMs(1))
            .await;
    }
    let mut got = Vec::new();
    for _ in 0..2 {
        got.push(pop(&queue, &of).await.unwrap_or_default());
    }
    assert_eq!(got, ["a", "xa"]);
    let item = queue
        .pop(&of, |source, _, _| source.number == 1, after_the_rest)
        .await
        .unwrap();
    assert_eq!(item.path, p("xb"));
    queue.give_back(&item);
    assert_eq!(of[1].depth().backlog, 1);
}

#[tokio::test(start_paused = true)]
async fn drained_means_nothing_waits_and_nothing_runs() {
    let (queue, of) = Queue::new(1, 10, 16);
    of[0].push_backlog(p("a"), MonotonicMs(1)).await;
    let item = queue
        .pop(&of, |_, _, _| true, after_the_rest)
        .await
        .unwrap();
    let drained = {
        let of = of.clone();
        tokio::spawn(async move { of[0].backlog_drained().await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!drained.is_finished());
    queue.done(&item);
    drained.await.unwrap();
    queue.close();
    assert_eq!(queue.pop(&of, |_, _, _| true, after_the_rest).await, None);
}

/// Pop everything there is, as names; each is done at once.
async fn drain(queue: &Queue, of: &[SourceQueue]) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let next = tokio::time::timeout(
            Duration::from_secs(1),
            queue.pop(of, |_, _, _| true, after_the_rest),
        )
        .await;
        let Ok(Some(item)) = next else { return names };
        names.push(item.path.to_string());
        queue.done(&item);
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_edits_come_first_and_every_fourth_is_the_oldest() {
    let (queue, of) = Queue::new(1, 100, 16);
    for number in 0..8 {
        of[0]
            .push_edit(p(&number.to_string()), MonotonicMs(1), false)
            .unwrap();
    }
    // Saved once more while it waits: it is the newest now.
    of[0].push_edit(p("3"), MonotonicMs(1), false).unwrap();
    let order = drain(&queue, &of).await;
    assert_eq!(order, ["3", "7", "6", "0", "5", "4", "2", "1"]);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_is_served_however_many_new_ones_come() {
    let (queue, of) = Queue::new(1, 100, 16);
    for number in 0..20 {
        of[0]
            .push_edit(p(&format!("old{number}")), MonotonicMs(1), false)
            .unwrap();
    }
    let mut old = 0;
    for number in 0..80 {
        of[0]
            .push_edit(p(&format!("new{number}")), MonotonicMs(1), false)
            .unwrap();
        let item = queue
            .pop(&of, |_, _, _| true, after_the_rest)
            .await
            .unwrap();
        old += usize::from(item.path.to_string().starts_with("old"));
        queue.done(&item);
    }
    assert_eq!(old, 20);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_lets_the_others_try_and_keeps_its_place() {
    let (queue, of) = Queue::new(1, 100, 16);
    for name in ["a", "b", "c", "d", "e", "f"] {
        of[0].push_edit(p(name), MonotonicMs(1), false).unwrap();
    }
    let mut tried = Vec::new();
    for _ in 0..3 {
        let item = queue
            .pop(&of, |_, _, _| true, after_the_rest)
            .await
            .unwrap();
        tried.push(item.path.to_string());
        queue.give_back(&item);
    }
    assert_eq!(tried, ["f", "e", "d"], "never the same one again");
    of[0].forget_tries();
    let order = drain(&queue, &of).await;
    assert_eq!(order, ["a", "f", "e", "d", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn one_source_never_holds_all_workers() {
    let (queue, of) = Queue::new(2, 100, 4);
    for number in 0..10 {
        of[0]
            .push_edit(p(&number.to_string()), MonotonicMs(1), false)
            .unwrap();
    }
    for _ in 0..3 {
        assert!(pop(&queue, &of).await.is_some());
    }
    assert_eq!(pop(&queue, &of).await, None, "kept for the other source");
    of[1].push_edit(p("other"), MonotonicMs(1), false).unwrap();
    assert_eq!(pop(&queue, &of).await.as_deref(), Some("other"));
}

/// Named after the bug: with several sources the backlog's share of workers was
/// the source's own, and its edits waited for somebody's gigabyte.
#[tokio::test(start_paused = true)]
async fn a_backlog_leaves_workers_for_the_edits_of_its_own_source() {
    for (workers, backlog) in [(2, 1), (4, 2), (16, 12)] {
        let (queue, of) = Queue::new(2, 100, workers);
        for number in 0..workers {
            of[0]
                .push_backlog(p(&format!("b{number}")), MonotonicMs(1))
                .await;
        }
        for _ in 0..backlog {
            assert!(pop(&queue, &of).await.is_some(), "{workers} workers");
        }
        assert_eq!(pop(&queue, &of).await, None, "{workers} workers");
        of[0].push_edit(p("saved"), MonotonicMs(1), false).unwrap();
        assert_eq!(pop(&queue, &of).await.as_deref(), Some("saved"));
    }
}

#[tokio::test]
async fn what_is_deferred_comes_when_nothing_else_is_left() {
    let (queue, of) = Queue::new(2, 10, 4);
    let next = async || {
        let next = queue.pop(&of, |_, _, _| true, after_the_rest);
        tokio::time::timeout(Duration::from_millis(50), next)
            .await
            .ok()
            .flatten()
    };
    for name in ["gone", "new"] {
        of[0].push_edit(p(name), MonotonicMs(0), false).unwrap();
    }
    // The newest first.
    let new = next().await.unwrap();
    let gone = next().await.unwrap();
    assert_eq!((gone.path.clone(), gone.was_deferred), (p("gone"), false));
    queue.defer(&gone, gone.since_ms);
    assert_eq!(of[0].depth().total(), 2);
    // The other name is in a worker.
    assert_eq!(next().await, None);
    // Another source's affairs are its own.
    of[1].push_edit(p("x"), MonotonicMs(0), false).unwrap();
    assert_eq!(next().await.unwrap().source.number, 1);
    queue.done(&new);
    let again = next().await.unwrap();
    assert_eq!((again.path.clone(), again.was_deferred), (p("gone"), true));
    queue.done(&again);
    assert_eq!(of[0].depth(), Depth::default());
}

/// In an office something always changes.
#[tokio::test]
async fn what_comes_later_does_not_hold_up_what_was_defer() {
    let (queue, of) = Queue::new(1, 10, 8);
    let ripe = Cell::new(Readiness::No);
    let next = async || {
        let next = queue.pop(&of, |_, _, _| true, |_, _| ripe.get());
        tokio::time::timeout(Duration::from_millis(50), next)
            .await
            .ok()
            .flatten()
    };
    let start = async |name: &str| {
        of[0].push_edit(p(name), MonotonicMs(0), false).unwrap();
        let item = next().await.unwrap();
        assert_eq!(item.path, p(name));
        item
    };
    let is_released = async || next().await.is_some_and(|item| item.was_deferred);
    let gone = start("gone").await;
    queue.defer(&gone, MonotonicMs(0));
    // Its other half may be what is being worked on.
    let half = start("half").await;
    ripe.set(Readiness::AfterTheRest { given_back: 0 });
    assert!(!is_released().await);
    let log = start("log 1").await;
    // It is given back, to settle: it has to come round once more.
    ripe.set(Readiness::No);
    queue.done(&half);
    assert!(!is_released().await);
    let half = start("half").await;
    ripe.set(Readiness::AfterTheRest { given_back: 1 });
    assert!(!is_released().await);
    // Given back and come round between two looks: the number tells.
    of[0].push_edit(p("half"), MonotonicMs(0), false).unwrap();
    queue.done(&half);
    ripe.set(Readiness::AfterTheRest { given_back: 2 });
    let half = next().await.unwrap();
    assert_eq!(half.path, p("half"));
    queue.done(&log);
    of[0].push_edit(p("half"), MonotonicMs(0), false).unwrap();
    queue.done(&half);
    let half = next().await.unwrap();
    assert_eq!((half.path.clone(), half.was_deferred), (p("half"), false));
    assert!(!is_released().await);
    // What was there before is done, what came later is not.
    start("log 2").await;
    queue.done(&half);
    assert!(is_released().await);
}

/// The new name of a file is saved again before a worker has come to it.
#[tokio::test]
async fn what_is_touched_while_it_waits_is_waited_for_all_the_same() {
    let (queue, of) = Queue::new(1, 10, 8);
    let next = async |may_start: bool| {
        let next = queue.pop(&of, |_, _, _| may_start, after_the_rest);
        tokio::time::timeout(Duration::from_millis(50), next)
            .await
            .ok()
            .flatten()
    };
    let touch = || of[0].push_edit(p("half"), MonotonicMs(0), false).unwrap();
    of[0].push_edit(p("gone"), MonotonicMs(0), false).unwrap();
    let gone = next(true).await.unwrap();
    touch();
    queue.defer(&gone, MonotonicMs(0));
    // From here on it is known what is waited for.
    assert_eq!(next(false).await, None);
    touch();
    let half = next(true).await.unwrap();
    assert_eq!((half.path.clone(), half.was_deferred), (p("half"), false));
    touch();
    queue.give_back(&half);
    let half = next(true).await.unwrap();
    assert_eq!(half.path, p("half"));
    assert_eq!(next(true).await, None);
    queue.done(&half);
    assert!(next(true).await.unwrap().was_deferred);
}

#[tokio::test]
async fn news_of_what_is_deferred_bring_it_back_and_so_does_its_time() {
    let (queue, of) = Queue::new(1, 10, 4);
    let pop = async |may: fn(&SourceQueue, MonotonicMs) -> Readiness| {
        let next = queue.pop(&of, |_, _, _| true, may);
        tokio::time::timeout(Duration::from_millis(50), next)
            .await
            .ok()
            .flatten()
    };
    let never = |_: &SourceQueue, _: MonotonicMs| Readiness::No;
    of[0].push_edit(p("gone"), MonotonicMs(7), false).unwrap();
    let item = pop(never).await.unwrap();
    queue.defer(&item, item.since_ms);
    assert_eq!(pop(never).await, None);
    // It is there again.
    of[0].push_edit(p("gone"), MonotonicMs(9), false).unwrap();
    let item = pop(never).await.unwrap();
    assert_eq!((item.since_ms, item.was_deferred), (MonotonicMs(7), false));
    // Touched while it was worked on: looked at, not set aside.
    of[0].push_edit(p("gone"), MonotonicMs(9), false).unwrap();
    queue.defer(&item, item.since_ms);
    let item = pop(never).await.unwrap();
    queue.defer(&item, item.since_ms);
    // Its time has come, whatever else waits.
    of[0].push_edit(p("other"), MonotonicMs(20), false).unwrap();
    let other = pop(never).await.unwrap();
    assert_eq!(other.path, p("other"));
    let item = pop(|_, since_ms| now_if(since_ms < MonotonicMs(10)))
        .await
        .unwrap();
    assert!(item.was_deferred);
    queue.done(&item);
    // Gone once more: it waits once more.
    of[0].push_edit(p("gone"), MonotonicMs(30), false).unwrap();
    assert!(!pop(never).await.unwrap().was_deferred);
}

/// After an outage everything has waited for long: what is new still comes first.
#[tokio::test]
async fn what_waited_before_it_was_deferred_waits_all_the_same() {
    let (queue, of) = Queue::new(1, 10, 4);
    let pop = async |now_ms: i64| {
        let next = queue.pop(
            &of,
            |_, _, _| true,
            move |_, deferred_ms| now_if(MonotonicMs(now_ms) - deferred_ms >= 900),
        );
        tokio::time::timeout(Duration::from_millis(50), next)
            .await
            .ok()
            .flatten()
    };
    of[0].push_edit(p("gone"), MonotonicMs(0), false).unwrap();
    let item = pop(3_600_000).await.unwrap();
    queue.defer(&item, MonotonicMs(3_600_000));
    assert_eq!(pop(3_600_100).await, None);
    assert!(pop(3_600_900).await.unwrap().was_deferred);
}

#[tokio::test]
async fn all_that_is_deferred_comes_at_once() {
    let (queue, of) = Queue::new(1, 10, 8);
    for name in ["a", "b", "c"] {
        of[0].push_edit(p(name), MonotonicMs(0), false).unwrap();
    }
    for _ in 0..3 {
        let item = queue
            .pop(&of, |_, _, _| true, |_, _| Readiness::No)
            .await
            .unwrap();
        queue.defer(&item, item.since_ms);
    }
    // Deletions do not wait for one another.
    for _ in 0..3 {
        let next = queue.pop(&of, |_, _, _| true, after_the_rest);
        let item = tokio::time::timeout(Duration::from_secs(5), next).await;
        assert!(item.unwrap().unwrap().was_deferred);
    }
}
