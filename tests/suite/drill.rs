//! The daily restore drill: what it restores, what it finds, whom it tells.

use crate::harness;
use crate::harness::os::symlink;
use crate::harness::{BUCKET, Fate, Faults, Rig, at_rest, digest_files, until};
use crate::raw;
use keepwatch::daemon::Daemon;
use keepwatch::drill::Drill;
use keepwatch::retry::Stop;
use keepwatch::verify::{Ask, Deep, repair};
use std::fs;
use std::path::PathBuf;

async fn drill(daemon: &Daemon) -> Drill {
    let done = daemon.components().drill().run().await;
    done.unwrap()
}

/// Everything that was written for the owner so far.
fn told(rig: &Rig) -> String {
    digest_files(rig).concat()
}

/// Folders that a drill has at the moment.
fn scratch(rig: &Rig) -> Vec<PathBuf> {
    let entries = fs::read_dir(rig.state_dir()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.to_string_lossy().contains("/drill-");
    paths.filter(is_one).collect()
}

/// Damage the vault's copy of a file; twice is not at all.
fn alter(rig: &Rig, name: &str) {
    harness::alter(&rig.vault_dir().join(BUCKET).join(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_links_and_folders_older_and_deleted_ones_come_back_and_nothing_is_left() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    rig.write("table.csv", "a;b\n".repeat(1_000));
    rig.write("deep/er/x", "x");
    rig.write("gone.txt", "soon gone");
    fs::create_dir(rig.path("empty")).unwrap();
    symlink("a.txt", rig.path("link"));
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    rig.write("a.txt", "two, and longer");
    fs::remove_file(rig.path("gone.txt")).unwrap();
    rig.until_equal(&daemon).await;
    let before = raw::versions(&rig.store(), BUCKET).await;
    let mut deleted = 0;
    // Chance decides: each drill draws one in three from what is deleted.
    for _ in 0..4 {
        let drill = drill(&daemon).await;
        assert!(drill.is_well(), "{drill:?}");
        assert!(drill.files >= 3, "{drill:?}");
        assert!(drill.line().contains("all identical"), "{}", drill.line());
        assert_eq!(drill.dates, 1);
        deleted += drill.deleted_now;
    }
    assert!(deleted > 0, "one of the deleted files in four drills");
    assert_eq!(raw::versions(&rig.store(), BUCKET).await, before);
    until("the scratch folder is gone", async || {
        scratch(&rig).is_empty()
    })
    .await;
    assert_eq!(told(&rig), "", "nobody is told of what is well");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_once_and_its_end_too_and_the_digest_says_it() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    alter(&rig, "a.txt");
    let found = drill(&daemon).await;
    assert_eq!(found.failures.len(), 1, "{found:?}");
    let alert = told(&rig);
    for words in [
        "ALERT",
        "a.txt",
        keepwatch::types::id_text(&found.failures[0].version_id),
        "verify --deep --repair",
    ] {
        assert!(alert.contains(words), "{words}: {alert}");
    }
    drill(&daemon).await;
    assert_eq!(told(&rig), alert, "told once");
    let digest = harness::report(&daemon).await;
    assert!(
        digest.subject().contains("ATTENTION"),
        "{}",
        digest.subject()
    );
    assert!(
        digest.body().contains("1 NOT AS STORED"),
        "{}",
        digest.body()
    );
    // The damaged version stays; a newer one is whole.
    rig.write("a.txt", "the content, saved again");
    until("it is stored", async || {
        at_rest(&daemon) && raw::counts(&rig.store(), BUCKET).await["a.txt"] == 2
    })
    .await;
    drill(&daemon).await;
    let all = told(&rig);
    assert!(all.contains("can be restored again"), "{all}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_in_the_bucket_any_more_is_a_finding() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let client = raw::client(&rig.vault());
    for version in raw::versions(&rig.store(), BUCKET).await {
        let request = client.delete_object().bucket(BUCKET).key(&version.key);
        request
            .version_id(keepwatch::types::id_text(&version.version_id))
            .send()
            .await
            .unwrap();
    }
    let found = drill(&daemon).await;
    assert_eq!(found.failures.len(), 1, "{found:?}");
    assert!(
        told(&rig).contains("holds no version of it"),
        "{}",
        told(&rig)
    );
    drill(&daemon).await;
    assert!(
        !told(&rig).contains("can be restored again"),
        "{}",
        told(&rig)
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_cannot_reach_the_bucket_says_so_and_never_that_all_is_well() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(403, "AccessDenied"));
    let done = drill(&daemon).await;
    assert!(done.not_run.is_some() && !done.is_well(), "{done:?}");
    assert!(done.line().starts_with("NOT DONE"), "{}", done.line());
    let digest = harness::report(&daemon).await;
    assert!(
        digest.body().contains("Drill:    NOT DONE"),
        "{}",
        digest.body()
    );
    assert!(
        digest.subject().contains("ATTENTION"),
        "{}",
        digest.subject()
    );
    faults.set(|_| Fate::Pass);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_holds_and_what_is_larger_is_counted() {
    let rig = Rig::new();
    // Fewer small ones than the drill wants, so that it meets large ones, too.
    for number in 0..2 {
        rig.write(&format!("{number}.txt"), "text");
    }
    for number in 0..10 {
        rig.write(&format!("large{number}.bin"), vec![number; 5_000]);
    }
    let mut config = rig.config();
    config.drill.files = 3;
    config.drill.bytes_max = 1_000;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    let mut too_large = 0;
    for _ in 0..3 {
        let drill = drill(&daemon).await;
        assert!(drill.is_well() && drill.files <= 3, "{drill:?}");
        assert!(drill.bytes <= 1_000, "{drill:?}");
        too_large += drill.too_large;
    }
    assert!(too_large > 0);
    daemon.stop().await.unwrap();
}

/// Named after the bug: second looks at what was found before used up the day's
/// budget, and a drill that restored nothing then counted as well.
#[tokio::test(flavor = "multi_thread")]
async fn older_findings_leave_the_sample_its_budget() {
    let rig = Rig::new();
    let names: Vec<String> = (0..12).map(|number| format!("{number}.txt")).collect();
    for name in &names {
        rig.write(name, vec![b'x'; 900]);
    }
    let mut config = rig.config();
    config.drill.bytes_max = 10_000;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    names.iter().for_each(|name| alter(&rig, name));
    let found = drill(&daemon).await;
    // Four fifths of the budget are the sample's, whatever the findings want.
    for _ in 0..3 {
        let again = drill(&daemon).await;
        assert!(again.not_run.is_none(), "{again:?}");
        assert!(again.failures.len() >= 5, "{again:?}\n{found:?}");
    }
    // And the findings have their turns: all are over one day.
    names.iter().for_each(|name| alter(&rig, name));
    let ends = || told(&rig).matches("can be restored again:").count();
    for _ in 0..20 {
        let again = drill(&daemon).await;
        assert!(again.is_well() && again.files >= 5, "{again:?}");
        assert!(again.traffic.received_bytes < 200_000, "{again:?}");
    }
    assert!(ends() > 1, "a few each day: {}", told(&rig));
    let ctx = daemon.components().clone();
    let open = tokio::task::spawn_blocking(move || ctx.index.state_get("drill:findings"));
    let open = open.await.unwrap().unwrap();
    assert_eq!(open, Some(serde_json::json!([])));
    daemon.stop().await.unwrap();
}

/// Named after the bug: a second look never had room for it, and its end was never
/// told.
#[tokio::test(flavor = "multi_thread")]
async fn a_finding_larger_than_the_second_looks_part_is_over_one_day_too() {
    let rig = Rig::new();
    rig.write("large.bin", vec![7; 9_500]);
    let mut config = rig.config();
    config.drill.bytes_max = 10_000;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    alter(&rig, "large.bin");
    assert_eq!(drill(&daemon).await.failures.len(), 1);
    rig.write("small.txt", vec![b'x'; 900]);
    until("it is stored", async || {
        let counts = raw::counts(&rig.store(), BUCKET).await;
        at_rest(&daemon) && counts.contains_key("small.txt")
    })
    .await;
    // In every other drill it has all; in between, the sample has its part.
    let mut smalls = 0;
    for number in 0..6 {
        let done = drill(&daemon).await;
        assert!(done.not_run.is_none() && done.bytes <= 10_000, "{done:?}");
        let named: Vec<&str> = done.failures.iter().map(|f| f.path.as_str()).collect();
        assert!(named.len() <= 1, "{done:?}");
        if number % 2 == 0 {
            let counts = (done.files, done.dates, done.bytes);
            assert_eq!((counts, named), ((1, 1, 0), vec!["large.bin"]), "{done:?}");
        } else {
            smalls += done.files;
        }
    }
    assert!(smalls >= 3, "the sample had its turns: {smalls}");
    assert_eq!(
        told(&rig).matches("ALERT: the").count(),
        1,
        "{}",
        told(&rig)
    );
    alter(&rig, "large.bin");
    let whole = drill(&daemon).await;
    assert_eq!((whole.files, whole.bytes), (1, 9_500), "{whole:?}");
    assert!(whole.is_well(), "{whole:?}");
    assert!(
        told(&rig).contains("can be restored again"),
        "{}",
        told(&rig)
    );
    daemon.stop().await.unwrap();
}

/// The digest comes after the drill, and waits no longer than the drill may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_hangs_does_not_keep_the_digest_from_coming() {
    for hanging in ["x-id=GetObject", "versions"] {
        let rig = Rig::new();
        rig.write("a.txt", "the content");
        let faults = Faults::none();
        let store = rig.faulty_store(&faults);
        let mut config = rig.config();
        config.drill.time_max_ms = 5_000;
        let daemon = rig.start_with(config, Some(store)).await;
        rig.until_equal(&daemon).await;
        let (asked, is_asked) = tokio::sync::watch::channel(false);
        // Whose the bucket is can be read: the comparison before the drill asks that.
        let hangs = move |uri: &str| uri.contains(hanging) && !uri.contains("owner.json");
        faults.set(move |seen| match hangs(&seen.uri) {
            true => {
                asked.send_replace(true);
                Fate::Late(4 * crate::harness::PATIENCE)
            }
            false => Fate::Pass,
        });
        let ctx = daemon.components();
        let settled = std::future::ready(());
        let daily_job = ctx.daily_job();
        let daily = daily_job.run(ctx.clock.now_ms(), settled);
        let (digest, _) = tokio::time::timeout(crate::harness::PATIENCE, daily)
            .await
            .expect("the digest comes in time")
            .unwrap();
        assert!(*is_asked.borrow(), "the drill met the server that hangs");
        let (subject, body) = (&digest.subject, &digest.body);
        let line = "Drill:    NOT DONE: it was not done within";
        assert!(body.contains(line), "{hanging}: {body}");
        assert!(
            subject.contains("ATTENTION") && subject.contains("restore drill"),
            "{subject}"
        );
        assert!(told(&rig).contains(line), "it was handed over");
        faults.set(|_| Fate::Pass);
        daemon.stop().await.unwrap();
    }
}

/// A file's content is asked for, and not whose the bucket is.
fn is_download(seen: &crate::harness::Seen) -> bool {
    seen.uri.contains("x-id=GetObject") && !seen.uri.contains("owner.json")
}

/// A second look that hangs has its own time.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_finding_that_hangs_leaves_the_sample_its_time() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let mut config = rig.config();
    config.drill.time_max_ms = 20_000;
    let daemon = rig.start_with(config, Some(store)).await;
    rig.until_equal(&daemon).await;
    alter(&rig, "a.txt");
    assert_eq!(drill(&daemon).await.failures.len(), 1);
    alter(&rig, "a.txt");
    let mut downloads = 0;
    faults.set(move |seen| {
        downloads += u32::from(is_download(seen));
        match is_download(seen) && downloads == 1 {
            true => Fate::Late(4 * crate::harness::PATIENCE),
            false => Fate::Pass,
        }
    });
    let done = drill(&daemon).await;
    assert!(done.is_well() && done.files == 1, "{done:?}");
    assert!(
        !told(&rig).contains("can be restored again"),
        "not seen yet"
    );
    drill(&daemon).await;
    assert!(told(&rig).contains("can be restored again"), "at the next");
    daemon.stop().await.unwrap();
}

/// Named after the bug: what lies in an archive of Intelligent-Tiering, whose class
/// does not say so, was told as a file that cannot be restored.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cold_without_its_class_saying_so_is_no_finding() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    faults.set(|seen| match is_download(seen) {
        true => Fate::Answer(403, "InvalidObjectState"),
        false => Fate::Pass,
    });
    let done = drill(&daemon).await;
    assert_eq!((done.failures.len(), done.cold), (0, 1), "{done:?}");
    assert!(
        done.line().contains("is in cold storage"),
        "{}",
        done.line()
    );
    assert_eq!(told(&rig), "", "no alert");
    let ask = Ask {
        deep: Deep::All,
        ..Ask::default()
    };
    let never = Stop::never();
    let verified = repair::run(&daemon.components().repairer(), &ask, |_| (), &never).await;
    let verified = verified.unwrap().remove(0);
    assert_eq!((verified.cold, verified.not_looked_total), (1, 0));
    daemon.stop().await.unwrap();
}

/// Named after the bug: it said `nothing to restore` and counted as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_restored_nothing_of_what_is_there_was_not_done() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.drill.bytes_max = 1_000;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    let empty = drill(&daemon).await;
    assert!(empty.is_well(), "{empty:?}");
    rig.write("large.bin", vec![7; 5_000]);
    rig.until_equal(&daemon).await;
    let done = drill(&daemon).await;
    assert_eq!((done.files, done.is_well()), (0, false), "{done:?}");
    let line = "NOT DONE: no file was restored: all that it drew is larger than it may fetch";
    assert!(done.line().starts_with(line), "{}", done.line());
    let digest = harness::report(&daemon).await;
    assert!(digest.body().contains(line), "{}", digest.body());
    let subject = digest.subject();
    assert!(subject.contains("the restore drill could not"), "{subject}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_drill_left_is_removed_at_the_next_start() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let left = rig.state_dir().join("drill-1/file1");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("secret"), "x").unwrap();
    let daemon = rig.start().await;
    assert_eq!(scratch(&rig), Vec::<PathBuf>::new());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_switched_off_does_nothing() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let mut config = rig.config();
    config.drill.enabled = false;
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    let done = daemon.components().drill().run().await;
    assert_eq!(done, None);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_drill_at_once() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    let (asked, mut is_asked) = tokio::sync::watch::channel(false);
    faults.set(move |seen| {
        if is_download(seen) {
            asked.send_replace(true);
            return Fate::Late(4 * crate::harness::PATIENCE);
        }
        Fate::Pass
    });
    let drill = daemon.components().drill();
    let drilling = tokio::spawn(async move { drill.run().await });
    is_asked.wait_for(|asked| *asked).await.unwrap();
    daemon.stop().await.unwrap();
    let ended = tokio::time::timeout(crate::harness::PATIENCE, drilling).await;
    let done = ended.unwrap().unwrap();
    // It is not told as a success.
    assert!(done.is_some_and(|drill| drill.not_run.is_some()));
}

/// How many alerts there have been about files that did not come back.
fn alerts(rig: &Rig) -> usize {
    told(rig).matches("ALERT: the restore drill").count()
}

async fn save(daemon: &Daemon, rig: &Rig, content: &str, versions: usize) {
    rig.write("a.txt", content);
    until("it is stored", async || {
        at_rest(daemon) && raw::counts(&rig.store(), BUCKET).await["a.txt"] == versions
    })
    .await;
}

/// Drill until chance finds it.
async fn drill_until_found(daemon: &Daemon) -> Drill {
    for _ in 0..50 {
        let done = drill(daemon).await;
        assert!(done.not_run.is_none(), "{done:?}");
        if !done.failures.is_empty() {
            return done;
        }
    }
    panic!("50 drills have not found it");
}

/// Named after the bug: nobody can mend an old version, and each day it was told
/// anew, while the drill tested nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_old_version_is_told_once_listed_each_day_and_left_out_of_the_draw() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    alter(&rig, "a.txt");
    save(&daemon, &rig, "two, and longer", 2).await;
    let found = drill_until_found(&daemon).await;
    assert!(found.failures[0].is_older, "{found:?}");
    assert_eq!(alerts(&rig), 1);
    daemon.stop().await.unwrap();

    let daemon = rig.start().await;
    for _ in 0..8 {
        let done = drill(&daemon).await;
        assert!(done.is_well() && done.files == 1, "{done:?}");
        assert_eq!(done.lasting_total, 1, "{done:?}");
    }
    assert_eq!(alerts(&rig), 1, "told once: {}", told(&rig));
    let digest = harness::report(&daemon).await;
    let line = "Damaged:  1 older version that cannot be mended is known";
    let body = digest.body();
    assert_eq!(body.matches(line).count(), 1, "{body}");
    assert!(body.contains("a.txt in office of "), "{body}");

    // A new damage is told.
    alter(&rig, "a.txt");
    assert_eq!(drill(&daemon).await.failures.len(), 1);
    assert_eq!(alerts(&rig), 2);
    alter(&rig, "a.txt");
    drill(&daemon).await;
    // What a lifecycle rule took is forgotten.
    let client = raw::client(&rig.vault());
    let request = client.delete_object().bucket(BUCKET).key("a.txt");
    let gone = request.version_id(keepwatch::types::id_text(&found.failures[0].version_id));
    gone.send().await.unwrap();
    let done = drill(&daemon).await;
    assert_eq!((done.lasting_total, done.is_well()), (0, true), "{done:?}");
    daemon.stop().await.unwrap();
}

/// Named after the bug: "can be restored again" was said of the version that still
/// fails.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_repair_the_message_names_the_version_that_stays_damaged() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    alter(&rig, "a.txt");
    let found = drill(&daemon).await;
    assert_eq!(found.failures.len(), 1, "{found:?}");
    let ask = Ask {
        deep: Deep::All,
        repair: true,
        ..Ask::default()
    };
    let never = Stop::never();
    let verified = repair::run(&daemon.components().repairer(), &ask, |_| (), &never).await;
    assert_eq!(verified.unwrap()[0].open_findings(), 0);
    for _ in 0..8 {
        let done = drill(&daemon).await;
        assert!(done.is_well(), "{done:?}");
        assert_eq!(done.lasting_total, 1, "{done:?}");
    }
    let all = told(&rig);
    for words in [
        "1 file that could not be restored can be restored as it is now.",
        "This version of it stays damaged and cannot be mended",
        keepwatch::types::id_text(&found.failures[0].version_id),
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    assert!(!all.contains("This is over"), "{all}");
    assert_eq!((alerts(&rig), all.matches("stays damaged").count()), (1, 1));
    daemon.stop().await.unwrap();
}

/// An object encrypted with a key that is gone is refused, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_server_refuses_to_give_is_one_finding_and_ends_no_drill() {
    let rig = Rig::new();
    rig.write("lost.txt", "nobody has its key");
    rig.write("well.txt", "the content");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    for method in ["GET", "HEAD"] {
        faults.set(move |seen| {
            let is_it = seen.uri.contains("lost.txt?") && seen.uri.contains("versionId");
            match is_it && seen.method == method {
                true if method == "HEAD" => Fate::Answer(400, "InvalidRequest"),
                true => Fate::Answer(403, "AccessDenied"),
                false => Fate::Pass,
            }
        });
        let done = drill_until_found(&daemon).await;
        let named: Vec<&str> = done.failures.iter().map(|f| f.path.as_str()).collect();
        assert_eq!((named, done.files), (vec!["lost.txt"], 2), "{done:?}");
    }
    assert_eq!(alerts(&rig), 1, "{}", told(&rig));
    // Where nothing is given it says nothing of any file.
    faults.set(
        |seen| match seen.method == "GET" && seen.uri.contains("versionId") {
            true => Fate::Answer(403, "AccessDenied"),
            false => Fate::Pass,
        },
    );
    let done = drill(&daemon).await;
    assert!(done.not_run.is_some(), "{done:?}");
    daemon.stop().await.unwrap();
}
