//! What is told, when, and how often; and that telling holds up nothing.

use super::outage::{count, messages};
use super::{config, fast_clock, is_for, is_put, start_on, status, until_well};
use crate::harness::{BUCKET, Fate, Faults, Rig, lose_folder, until};
use keepwatch::daemon::{Daemon, Options};
use keepwatch::sns::{NoticeOptions, Notifier};
use std::fs;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn two_files_that_fail_for_long_are_told_although_the_bucket_works() {
    let rig = Rig::new();
    for name in ["good.txt", "bad1.txt", "bad2.txt"] {
        rig.write(name, name);
    }
    let bad = |name: &'static str| move |seen: &_| is_put(seen) && is_for(seen, name);
    let faults = Faults::new(
        move |seen| match bad("bad1.txt")(seen) || bad("bad2.txt")(seen) {
            true => Fate::Answer(500, "InternalError"),
            false => Fate::Pass,
        },
    );
    let mut config = config(&rig);
    config.notify.alert_after_ms = 120_000;
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    until("it is told", async || {
        count(&messages(&rig), "2 files of office cannot be backed up") > 0
    })
    .await;
    assert_eq!(
        daemon.components().sources[0].breaker.outage(),
        None,
        "no breaker opened"
    );
    assert!(messages(&rig).contains("InternalError"));
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    until("its end is told", async || {
        count(&messages(&rig), "This is over") > 0
    })
    .await;
    let told = messages(&rig);
    assert_eq!(count(&told, "ALERT: "), 1, "{told}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_takes_no_files_does_not_seem_well_because_it_answers_look_ups() {
    let rig = Rig::new();
    for number in 0..30 {
        rig.write(&format!("{number}.txt"), format!("{number}"));
    }
    let daemon = start_on(config(&rig), rig.store()).await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    // Everything is looked up again, and some files are new.
    lose_folder(&rig.state_dir().join("index"));
    for number in 0..5 {
        rig.write(&format!("new{number}.txt"), "new");
    }
    let faults = Faults::new(|seen| match is_put(seen) {
        true => Fate::Answer(403, "AccessDenied"),
        false => Fate::Pass,
    });
    let daemon = start_on(config(&rig), rig.faulty_store(&faults)).await;
    let mut news = daemon.components().events.listen();
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    let (since_ms, _) = status(&rig).await.board.outage.unwrap();
    until("all that is there was found there", async || {
        status(&rig).await.files_protected == 30
    })
    .await;
    let still = status(&rig).await.board.outage.unwrap();
    assert_eq!(still.0, since_ms, "it is one outage");
    while let Ok(item) = news.try_recv() {
        let text = format!("{item:?}");
        assert!(!text.starts_with("Recovered"), "{text}");
    }
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_also_when_nothing_waits_any_more() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let daemon = start_on(config(&rig), rig.faulty_store(&faults)).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
    rig.write("b.txt", "b");
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    fs::remove_file(rig.path("b.txt")).unwrap();
    until("nothing waits", async || status(&rig).await.waiting == 0).await;
    faults.set(|_| Fate::Pass);
    until("it is over", async || {
        status(&rig).await.board.outage.is_none()
    })
    .await;
    daemon.stop().await.unwrap();
}

/// A notifier whose server takes connections and never answers.
async fn hanging(rig: &Rig) -> (Notifier, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = rig.dir.path().join("keys");
    fs::write(
        &keys,
        "[default]\naws_access_key_id = test\naws_secret_access_key = test\n",
    )
    .unwrap();
    let options = NoticeOptions {
        topic_arn: "arn:aws:sns:eu-central-1:111122223333:t".to_owned(),
        endpoint_url: Some(format!("http://{}", listener.local_addr().unwrap())),
        credentials_file: Some(keys),
        ..NoticeOptions::default()
    };
    (Notifier::new(options).await.unwrap(), listener)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sns_that_hangs_holds_up_neither_retries_nor_other_alerts() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let (notifier, _listener) = hanging(&rig).await;
    let faults = Faults::none();
    let mut config = config(&rig);
    config.notify.alert_after_ms = 60_000;
    let second = rig.dir.path().join("second");
    fs::create_dir(&second).unwrap();
    rig.vault().ensure_bucket("second").unwrap();
    let mut other = config.sources[0].clone();
    other.name = "second".into();
    other.bucket = "second".into();
    other.path.clone_from(&second);
    config.sources.push(other);
    let options = Options {
        store: Some(rig.faulty_store(&faults)),
        clock: Some(fast_clock()),
        notifier: Some(notifier),
        ..Options::default()
    };
    let daemon = Daemon::start(config, options).await.unwrap();
    let ctx = daemon.components();
    until("all is in", async || {
        ctx.index.counts(ctx.sources[0].id).protected() == 1
    })
    .await;
    // Two causes: one would be one message.
    faults.set(|seen| match seen.uri.contains("/second") {
        true => Fate::Answer(404, "NoSuchBucket"),
        false => Fate::Answer(403, "InvalidAccessKeyId"),
    });
    rig.write("b.txt", "b");
    until("the first alert is on its way", async || {
        ctx.index.outbox_len() == 1
    })
    .await;
    let hangs = Instant::now();
    fs::write(second.join("c.txt"), "c").unwrap();
    until("the second alert is kept", async || {
        ctx.index.outbox_len() == 2
    })
    .await;
    faults.set(|_| Fate::Pass);
    until("it goes on", async || {
        ctx.index.counts(ctx.sources[1].id).protected() == 1
            && ctx.index.counts(ctx.sources[0].id).protected() == 2
    })
    .await;
    assert!(ctx.index.outbox_len() >= 2, "none of them was sent");
    // By then the first try to publish has not even been given up.
    assert!(hangs.elapsed() < Duration::from_secs(50), "{hangs:?}");
    daemon.stop().await.unwrap();
}

/// Keys, network and certificates are the same for all buckets: three of them fail at
/// different times, one of them only because it would, and the owner gets one mail and
/// one when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn what_stops_all_buckets_is_one_mail_that_names_them_and_so_is_its_end() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let mut config = config(&rig);
    config.notify.alert_after_ms = 60_000;
    for name in ["second", "third"] {
        let folder = rig.dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("c.txt"), name).unwrap();
        rig.vault().ensure_bucket(name).unwrap();
        let mut other = config.sources[0].clone();
        other.name = format!("folder {name}");
        other.bucket = name.into();
        other.path = folder;
        config.sources.push(other);
    }
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    let ctx = daemon.components();
    let protected = |source: usize| ctx.index.counts(ctx.sources[source].id).protected();
    until("all is in", async || (0..3).all(|s| protected(s) == 1)).await;
    faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
    rig.write("b.txt", "b");
    fs::write(rig.dir.path().join("second/d.txt"), "d").unwrap();
    until("it is told", async || count(&messages(&rig), "ALERT: ") > 0).await;
    // Told already, before anything of the third was to be sent.
    let told = messages(&rig);
    let buckets = format!("nothing can be backed up to {BUCKET}, second, third on ");
    assert_eq!(count(&told, &buckets), 1, "{told}");
    assert_eq!(
        count(&told, "Folders:  office, folder second, folder third"),
        1,
        "{told}"
    );
    assert_eq!(count(&told, "Why: "), 1, "{told}");
    fs::write(rig.dir.path().join("third/d.txt"), "d").unwrap();
    until("the third fails too", async || {
        ctx.sources[2].breaker.outage().is_some()
    })
    .await;
    let failing_ms = ctx.sources[2].breaker.outage().unwrap().0;
    until("an alert of its own would be due", async || {
        ctx.clock.now_ms() > failing_ms + 2 * 60_000
    })
    .await;

    faults.set(|_| Fate::Pass);
    until("all is in again", async || {
        (0..3).all(|s| protected(s) == 2)
    })
    .await;
    until("its end is told", async || {
        count(&messages(&rig), "works again") > 0
    })
    .await;
    let beats_ms = ctx.clock.now_ms() + 2 * 60_000;
    until("another would be told by then", async || {
        ctx.clock.now_ms() > beats_ms
    })
    .await;
    let told = messages(&rig);
    assert_eq!(count(&told, "ALERT: "), 1, "{told}");
    let again = format!("The backup to {BUCKET}, second, third on ");
    assert_eq!(count(&told, &again), 1, "{told}");
    assert_eq!(count(&told, "works again"), 1, "{told}");
    daemon.stop().await.unwrap();
}
