//! Files that go while the daemon watches: some, most, and folders renamed.

use super::{messages, until_calm, until_told, until_warned};
use crate::harness::{
    BUCKET, Fate, Faults, Rig, Running, finish, program, scan_whole, until, write_config,
};
use crate::raw::marked;
use keepwatch::clock::system_clock;
use keepwatch::daemon::{Daemon, Options};
use std::fs;
use std::sync::Arc;

fn fill(rig: &Rig, files: usize) {
    for i in 0..files {
        rig.write(
            &format!("year/{}/{i}.txt", i % 7),
            format!("content of {i}"),
        );
    }
}

async fn protected(rig: &Rig, files: usize) -> Daemon {
    fill(rig, files);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon
}

async fn marked_files(rig: &Rig) -> usize {
    let marked = marked(&rig.store(), BUCKET).await;
    marked.iter().filter(|key| !key.ends_with('/')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_most_of_a_source_is_held_told_at_once_and_survives_a_restart() {
    let rig = Rig::new();
    let daemon = protected(&rig, 60).await;
    rig.write("stays.txt", "here");
    rig.until_equal(&daemon).await;
    fs::remove_dir_all(rig.path("year")).unwrap();
    let warning = until_warned(&daemon, "deletions").await;
    assert!(warning.contains("--confirm-deletions"), "{warning}");
    let told = until_told(&rig, "office lost most of its files").await;
    assert!(
        told.contains("files are missing from the folder of office"),
        "{told}"
    );
    assert!(told.contains(rig.root().to_str().unwrap()), "{told}");
    // New work goes on, and is not counted against anybody.
    rig.write("new.txt", "seen at once");
    until("the new file is stored", async || {
        super::in_bucket(&rig.store()).await.contains_key("new.txt")
    })
    .await;
    let held = marked_files(&rig).await;
    assert!(held <= 30, "{held} marked: at most half");
    // What is held back is no failure.
    let index = &daemon.components().index;
    let id = daemon.components().sources[0].id;
    assert_eq!(index.unprotected(id, 10).unwrap().1, 0);
    daemon.stop().await.unwrap();

    let daemon = rig.start().await;
    assert_eq!(
        daemon.components().sources[0].guard.holds().len(),
        1,
        "from the index"
    );
    let scan = scan_whole(&daemon.components().sources[0], false).await;
    assert!(!scan.complete() && scan.held > 0);
    assert_eq!(marked_files(&rig).await, held);
    let once = messages(&rig).matches("ALERT, office lost most").count();
    assert_eq!(once, 1, "one alert per incident");

    // Confirmed: all of it is marked, and it is over.
    let scan = scan_whole(&daemon.components().sources[0], true).await;
    assert!(scan.complete(), "{:?}", scan.incomplete);
    rig.until_equal(&daemon).await;
    assert_eq!(marked_files(&rig).await, 60);
    until_calm(&daemon).await;
    assert!(
        daemon.components().sources[0]
            .status
            .snapshot()
            .warnings
            .is_empty()
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_network_ends_no_hold_and_marks_nothing_later() {
    let rig = Rig::new();
    protected(&rig, 60).await.stop().await.unwrap();
    fs::remove_dir_all(rig.path("year")).unwrap();
    let daemon = rig.start().await;
    until_warned(&daemon, "deletions").await;
    until_told(&rig, "office lost most of its files").await;
    daemon.stop().await.unwrap();

    // Whether the bucket keeps versions cannot be asked: nothing counts as gone.
    let faults = Faults::new(|seen| match seen.uri.contains("versioning") {
        true => Fate::Answer(403, "AccessDenied"),
        false => Fate::Pass,
    });
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    let ctx = daemon.components();
    scan_whole(&ctx.sources[0], false).await;
    assert!(!ctx.sources[0].marks_deletions());
    assert_eq!(ctx.sources[0].guard.holds().len(), 1);
    let scan = scan_whole(&ctx.sources[0], true).await;
    assert!(!scan.complete() && ctx.sources[0].guard.holds().len() == 1);
    faults.set(|_| Fate::Pass);
    until("the bucket has been asked", async || {
        ctx.sources[0].marks_deletions()
    })
    .await;
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(scan.held > 0, "{scan:?}");
    assert_eq!(marked_files(&rig).await, 0);
    assert!(!messages(&rig).contains("is well again"));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_ends_the_hold_by_itself_and_is_told() {
    let rig = Rig::new();
    let daemon = protected(&rig, 60).await;
    // To another place on the same disk, where nothing is watched.
    let away = rig.dir.path().join("away");
    fs::rename(rig.path("year"), &away).unwrap();
    until_warned(&daemon, "deletions").await;
    until_told(&rig, "lost most of its files").await;
    // The scan that the hold asks for must not be the one that finds them back.
    until("a scan has held them back", async || {
        let board = daemon.components().sources[0].status.snapshot();
        board.last_scan.is_some_and(|scan| scan.held > 0)
    })
    .await;
    fs::rename(&away, rig.path("year")).unwrap();
    until_calm(&daemon).await;
    rig.until_equal(&daemon).await;
    assert!(
        daemon.components().sources[0]
            .status
            .snapshot()
            .warnings
            .is_empty()
    );
    until_told(&rig, "office is well again").await;
    daemon.stop().await.unwrap();
}

/// The folder of 60 files gets one name after the other.
async fn renamed_in_turn(rig: &Rig) {
    let store = rig.store();
    let names = ["year", "2025", "2025 old", "2025 older", "2025 oldest"];
    for pair in names.windows(2) {
        fs::rename(rig.path(pair[0]), rig.path(pair[1])).unwrap();
        // Long before its old names are marked.
        until("it is stored under its new name", async || {
            let stored = super::in_bucket(&store).await;
            let below = format!("{}/", pair[1]);
            stored.keys().filter(|key| key.starts_with(&below)).count() == 60
        })
        .await;
    }
}

/// Named after the bug: a folder that was renamed four times within seconds stood in
/// the index under all its names, and "240 of 310 files are missing" was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_renamed_again_and_again_has_lost_nothing() {
    let rig = Rig::new();
    let daemon = protected(&rig, 60).await;
    renamed_in_turn(&rig).await;
    rig.until_equal(&daemon).await;
    assert_eq!(daemon.components().sources[0].guard.holds(), []);
    let told = messages(&rig);
    assert!(told.is_empty(), "{told}");
    daemon.stop().await.unwrap();
}

/// The same where all old names stay for longer: 240 of 300 known names are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_old_names_cannot_be_marked_yet_has_lost_nothing() {
    let rig = Rig::new();
    let faults = Faults::new(|seen| match seen.method == "DELETE" {
        true => Fate::Answer(403, "AccessDenied"),
        false => Fate::Pass,
    });
    fill(&rig, 60);
    let daemon = rig
        .start_with(rig.config(), Some(rig.faulty_store(&faults)))
        .await;
    rig.until_equal(&daemon).await;
    renamed_in_turn(&rig).await;
    let scan = scan_whole(&daemon.components().sources[0], false).await;
    assert_eq!(
        (daemon.components().sources[0].guard.holds(), scan.held),
        (vec![], 0)
    );
    assert_eq!(super::in_bucket(&rig.store()).await.len(), 300);
    faults.set(|_| Fate::Pass);
    scan_whole(&daemon.components().sources[0], false).await;
    rig.until_equal(&daemon).await;
    assert_eq!(marked_files(&rig).await, 240);
    let told = messages(&rig);
    assert!(!told.contains("lost most of its files"), "{told}");
    // What goes now is counted by itself.
    for folder in 0..5 {
        fs::remove_dir_all(rig.path(&format!("2025 oldest/{folder}"))).unwrap();
    }
    let told = until_told(&rig, "office lost most of its files").await;
    assert!(told.contains(" of 60 files are missing"), "{told}");
    daemon.stop().await.unwrap();
}

/// Named after the bug: with most names of hard-linked files their deletions were held
/// and let go again, round after round, with a mail each time.
#[tokio::test(flavor = "multi_thread")]
async fn most_names_of_files_that_have_others_may_go() {
    let rig = Rig::new();
    fill(&rig, 30);
    for copy in ["a", "b", "c"] {
        for i in 0..30 {
            let path = rig.path(&format!("{copy}/{i}.txt"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::hard_link(rig.path(&format!("year/{}/{i}.txt", i % 7)), path).unwrap();
        }
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    for copy in ["a", "b", "c"] {
        fs::remove_dir_all(rig.path(copy)).unwrap();
    }
    rig.until_equal(&daemon).await;
    assert_eq!(marked_files(&rig).await, 90);
    assert_eq!(daemon.components().sources[0].guard.holds(), []);
    let told = messages(&rig);
    assert!(told.is_empty(), "{told}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_long_deletion_changes_nothing() {
    let rig = Rig::new();
    fill(&rig, 300);
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let store = rig.store();
    until("all is stored", async || {
        super::in_bucket(&store).await.len() == 300
    })
    .await;
    // Folder by folder, killed while at it.
    for folder in 0..4 {
        fs::remove_dir_all(rig.path(&format!("year/{folder}"))).unwrap();
    }
    until("some are marked or held", async || {
        marked_files(&rig).await > 0 || messages(&rig).contains("ALERT")
    })
    .await;
    daemon.kill();
    for folder in 4..7 {
        fs::remove_dir_all(rig.path(&format!("year/{folder}"))).unwrap();
    }
    let daemon = Running::start(&config, &[]).await;
    until("the status says it", async || {
        let status = daemon.status().unwrap();
        status["sources"][0]["board"]["warnings"]["deletions"].is_string()
    })
    .await;
    until_told(&rig, "lost most of its files").await;
    let marked = marked_files(&rig).await;
    assert!(marked <= 150, "{marked} marked of 300");
    let status = finish(program().args(["--config", config.to_str().unwrap(), "status"]));
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(3), "{text}");
    assert!(text.contains("--confirm-deletions"), "{text}");
    // The command that the message names.
    let told = super::messages(&rig);
    let line = told
        .lines()
        .find(|l| l.contains("--confirm-deletions"))
        .unwrap();
    super::run_line(line);
    until("all of it is marked", async || {
        marked_files(&rig).await == 300
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_nine_of_ten_files_is_renamed_without_a_word() {
    let rig = Rig::new();
    for i in 0..10 {
        rig.write(&format!("other/{i}.txt"), "other");
    }
    let daemon = protected(&rig, 90).await;
    for (from, to) in [
        ("year", "2025"),
        ("2025", "other/2025"),
        ("other/2025", "a"),
    ] {
        fs::rename(rig.path(from), rig.path(to)).unwrap();
        rig.until_equal(&daemon).await;
    }
    assert!(daemon.components().sources[0].guard.holds().is_empty());
    assert!(!messages(&rig).contains("ALERT"), "{}", messages(&rig));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_deletions_each_day_never_trip() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let rig = Rig::new();
    fill(&rig, 60);
    for day in 0..6 {
        let clock = system_clock();
        let options = Options {
            clock: Some(Arc::new(move || clock() + day * DAY_MS)),
            ..Options::default()
        };
        let daemon = Daemon::start(rig.config(), options).await.unwrap();
        rig.until_equal(&daemon).await;
        for i in 0..9 {
            let i = day * 9 + i;
            fs::remove_file(rig.path(&format!("year/{}/{i}.txt", i % 7))).unwrap();
        }
        rig.until_equal(&daemon).await;
        scan_whole(&daemon.components().sources[0], false).await;
        assert!(
            daemon.components().sources[0].guard.holds().is_empty(),
            "day {day}"
        );
        daemon.stop().await.unwrap();
    }
    assert!(!messages(&rig).contains("ALERT"));
}

/// Named after the bug: files that had come and could not be backed up yet made up for
/// missing ones, and the alert said 11 of 20.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_backed_up_yet_make_up_for_none_of_the_missing() {
    let rig = Rig::new();
    for i in 0..6 {
        rig.write(&format!("stays/{i}.txt"), format!("stays, {i}"));
    }
    for i in 0..14 {
        rig.write(&format!("goes/{i}.txt"), format!("goes, {i}"));
    }
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    faults.set(
        |seen| match seen.method == "PUT" && seen.uri.contains("/new/") {
            true => Fate::Answer(400, "InvalidRequest"),
            false => Fate::Pass,
        },
    );
    for i in 0..3 {
        rig.write(&format!("new/{i}.txt"), format!("new, {i}"));
    }
    let ctx = daemon.components();
    let id = ctx.sources[0].id;
    until("none of the new ones is protected", async || {
        ctx.index.unprotected(id, 10).unwrap().1 == 3
    })
    .await;
    fs::remove_dir_all(rig.path("goes")).unwrap();
    let told = until_told(&rig, "office lost most of its files").await;
    assert!(told.contains("14 of 20 files are missing"), "{told}");
    daemon.stop().await.unwrap();
}

/// Named after the bug: a deletion that came while another worker counted the files was
/// given back to nobody that a comparison waits for. It ended before, and said that the
/// bucket had everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_waits_for_deletions_that_wait_for_a_count() {
    let rig = Rig::new();
    let daemon = protected(&rig, 40).await;
    let ctx = daemon.components().clone();
    ctx.sources[0].guard.counts(true);
    for i in 0..3 {
        fs::remove_file(rig.path(&format!("year/{i}/{i}.txt"))).unwrap();
    }
    // A folder takes the place of one more.
    fs::remove_file(rig.path("year/3/3.txt")).unwrap();
    rig.write("year/3/3.txt/inner.txt", "inner");
    // What is only on its way to the queue no comparison waits for.
    until("all of them wait", async || {
        ctx.sources[0].work.queue.deletions_waiting() == 4
    })
    .await;
    let counting = ctx.clone();
    let counted = tokio::spawn(async move {
        // Far longer than a comparison takes that waits for nothing.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        counting.sources[0].guard.counts(false);
    });
    let scans = ctx.comparison().run(false, std::future::ready(())).await;
    assert!(scans[0].as_ref().is_some_and(|scan| scan.complete()));
    assert_eq!(marked_files(&rig).await, 4);
    counted.await.unwrap();
    daemon.stop().await.unwrap();
}
