//! Two computers and one destination: it is one computer's, and the other is told.

use crate::harness::{
    BUCKET, Fate, Faults, Rig, at_rest, digest_files, finish, history, program, scan_whole, until,
    write_config,
};
use crate::raw::{client, marked, versions};
use keepwatch::config::{Config, StoreConfig};
use keepwatch::control::Words;
use keepwatch::daemon::{Daemon, Options, reconcile_once};
use keepwatch::manifest::owner::key;
use keepwatch::manifest::{Computer, Owner};
use keepwatch::s3::{At, Store};
use keepwatch::status::ScanDone;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A deletion goes by what the destination said so long ago at most.
const WORD_LASTS: Duration = Duration::from_millis(10_100);

/// Another computer, with files of its own and the first one's vault.
struct Second {
    rig: Rig,
    config: Config,
}

impl Second {
    fn of(first: &Rig) -> Self {
        let rig = Rig::new();
        for name in ["x.txt", "y.txt"] {
            rig.write(name, name);
        }
        let mut config = rig.config();
        config.store = StoreConfig::Vault {
            path: first.vault_dir(),
        };
        Self { rig, config }
    }

    async fn start(&self, store: Store) -> Daemon {
        self.rig.start_with(self.config.clone(), Some(store)).await
    }
}

/// A computer of this name and machine.
fn computer(name: &str, machine: &str) -> Option<Computer> {
    Some(Computer::new(name.to_owned(), Some(machine)))
}

async fn start_as(rig: &Rig, computer: Option<Computer>) -> Daemon {
    let options = Options {
        store: Some(rig.store()),
        computer,
        ..Options::default()
    };
    Daemon::start(rig.config(), options).await.unwrap()
}

/// The first computer's backup, made and stopped.
async fn first() -> Rig {
    let rig = Rig::new();
    for number in 0..5 {
        rig.write(&format!("d/{number}.txt"), number.to_string());
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    rig
}

async fn record(store: &Store, prefix: &str) -> Option<Owner> {
    let key = key(prefix);
    let at = At {
        bucket: BUCKET,
        key: &key,
    };
    let (bytes, _) = store.read_record(at, 1 << 16).await.unwrap()?;
    Some(Owner::from_json(&bytes).unwrap())
}

/// Remove what Keepwatch itself keeps in the bucket, as if an earlier version had
/// written the rest: the record, and the manifests unless these are to stay.
async fn without_record(rig: &Rig, manifests_stay: bool) {
    let sdk = client(&rig.vault());
    let listed = sdk
        .list_object_versions()
        .bucket(BUCKET)
        .prefix(".keepwatch/");
    let listed = listed.send().await.unwrap();
    for version in listed.versions() {
        let key = version.key().unwrap();
        if manifests_stay && key.contains("manifests") {
            continue;
        }
        let delete = sdk.delete_object().bucket(BUCKET).key(key);
        let id = version.version_id().unwrap();
        delete.version_id(id).send().await.unwrap();
    }
}

async fn until_told(rig: &Rig, words: &str) {
    until(words, async || {
        digest_files(rig).iter().any(|text| text.contains(words))
    })
    .await;
}

fn is_refused(daemon: &Daemon) -> bool {
    !daemon.components().sources[0].destination.may_send()
}

async fn until_refused(daemon: &Daemon) {
    until("it is refused", async || {
        let board = daemon.components().sources[0].status.snapshot();
        is_refused(daemon) && board.warnings.contains_key("owner")
    })
    .await;
}

/// Named after the bug: its first run marked all files of the first as deleted, and
/// said "All is well".
#[tokio::test(flavor = "multi_thread")]
async fn another_computer_with_the_same_configuration_is_refused_and_sends_nothing() {
    let first = first().await;
    let store = first.store();
    let before = versions(&store, BUCKET).await;
    let second = Second::of(&first);
    let daemon = second.start(first.store()).await;
    until_refused(&daemon).await;
    let ctx = daemon.components();
    let warning = ctx.sources[0].status.snapshot().warnings["owner"].clone();
    let root = first.root().display().to_string();
    for words in [
        root.as_str(),
        "--reconcile --take-over",
        "RECOVERY.md",
        "since 20",
    ] {
        assert!(warning.contains(words), "{warning}");
    }
    until_told(&second.rig, "is another computer's").await;
    // Nothing is sent by anything that happens there, and nothing waits for ever.
    second.rig.write("new.txt", "new");
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(!scan.complete(), "{scan:?}");
    let report = ctx.daily_job().report(ctx.clock.now_ms()).await;
    let message = report.unwrap().message();
    assert!(message.subject.contains("ATTENTION"), "{}", message.subject);
    assert!(message.body.contains("NOTHING IS SENT"), "{}", message.body);
    assert_eq!(versions(&store, BUCKET).await, before);
    daemon.stop().await.unwrap();
    // The first one goes on as ever.
    let daemon = first.start().await;
    first.write("more.txt", "more");
    first.until_equal(&daemon).await;
    assert!(marked(&store, BUCKET).await.is_empty());
    daemon.stop().await.unwrap();
}

fn reconcile(file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let config = ["--config", file.to_str().unwrap(), "--reconcile"];
    let done = finish(program().args(config).args(more));
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code(), text)
}

/// A second computer's configuration as a file, on the first one's vault, and the
/// same files as the first one has: restored, say.
fn restored(first: &Rig) -> (Rig, std::path::PathBuf) {
    let second = Rig::new();
    for number in 0..5 {
        second.write(&format!("d/{number}.txt"), number.to_string());
    }
    let file = write_config(&second, "");
    let text = fs::read_to_string(&file).unwrap();
    let vault = format!("path = '{}'", first.vault_dir().display());
    fs::write(&file, text.replace("path = \"vault\"", &vault)).unwrap();
    (second, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_and_takes_over_when_that_is_said() {
    let first = first().await;
    let (second, file) = restored(&first);
    let was = record(&first.store(), "").await.unwrap();
    let (code, text) = reconcile(&file, &[]);
    assert_eq!(code, Some(3), "{text}");
    for words in ["NOTHING IS SENT", "--take-over", "NOT COMPLETE", &was.root] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("All is well"), "{text}");
    assert_eq!(record(&first.store(), "").await.unwrap(), was);

    let (code, text) = reconcile(&file, &["--take-over"]);
    assert_eq!(code, Some(0), "{text}");
    let now = record(&first.store(), "").await.unwrap();
    assert_eq!(now.root, second.root().display().to_string());
    assert_ne!(now.id, was.id);
    // From then on without a word.
    let (code, text) = reconcile(&file, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(record(&first.store(), "").await.unwrap(), now);
    assert!(marked(&first.store(), BUCKET).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_computer_sees_that_another_took_over_before_it_marks_anything() {
    let first = first().await;
    let store = first.store();
    let old = first.start().await;
    first.until_equal(&old).await;
    // As fresh as can be: the old one goes by it for seconds.
    let ctx = old.components();
    scan_whole(&ctx.sources[0], false).await;

    let second = Second::of(&first);
    fs::remove_file(second.rig.path("x.txt")).unwrap();
    fs::remove_file(second.rig.path("y.txt")).unwrap();
    for number in 0..5 {
        let name = format!("d/{number}.txt");
        second.rig.write(&name, number.to_string());
    }
    let (progress, _far) = tokio::sync::mpsc::channel(1);
    let options = Options {
        store: Some(first.store()),
        ..Options::default()
    };
    let words = Words {
        take_over: true,
        ..Words::default()
    };
    let done = reconcile_once(second.config.clone(), options, progress, words).await;
    let done = done.unwrap();
    assert!(done[0].is_whole(), "{done:?}");
    let now = record(&store, "").await.unwrap();
    assert_eq!(now.root, second.rig.root().display().to_string());

    let before = versions(&store, BUCKET).await;
    tokio::time::sleep(WORD_LASTS).await;
    fs::remove_file(first.path("d/1.txt")).unwrap();
    until_refused(&old).await;
    until_told(&first, "is another computer's").await;
    first.write("late.txt", "late");
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(!scan.complete(), "{scan:?}");
    assert_eq!(versions(&store, BUCKET).await, before);
    old.stop().await.unwrap();
    // It does not take it back by itself, whenever it is started.
    let old = first.start().await;
    until_refused(&old).await;
    assert_eq!(record(&store, "").await.unwrap().id, now.id);
    old.stop().await.unwrap();
}

/// Named after the bug: before it was known whose the bucket is, its list was taken for
/// that of this folder, and a manifest said what another computer has.
#[tokio::test(flavor = "multi_thread")]
async fn no_list_counts_and_no_manifest_is_written_before_it_is_known_whose_the_bucket_is() {
    let first = first().await;
    let store = first.store();
    let second = Second::of(&first);
    let lists = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lists);
    let faults = Faults::new(move |seen| {
        let is_list = seen.uri.contains("versions") || seen.uri.contains("list-type=");
        count.fetch_add(u64::from(is_list), Ordering::Relaxed);
        match seen.uri.contains("owner.json") {
            // The record of its owner cannot be read now.
            true => Fate::Answer(500, "InternalError"),
            false => Fate::Pass,
        }
    });
    let daemon = second.start(first.faulty_store(&faults)).await;
    let ctx = daemon.components();
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(!scan.listed_whole && !scan.complete(), "{scan:?}");
    let said = scan.incomplete.join("; ");
    assert!(
        said.contains("does not say whether it belongs to this computer"),
        "{said}"
    );
    // Named after the bug: a comparison with nothing to send named neither cause nor remedy.
    assert!(
        said.contains("InternalError") && said.contains("(what to do: "),
        "{said}"
    );
    assert_eq!(lists.load(Ordering::Relaxed), 0, "nothing was listed");
    let id = ctx.sources[0].id;
    assert_eq!(
        ctx.index.range(id, "", None).count(),
        0,
        "nothing is taken over"
    );
    let everything = async || {
        let page = store.list_versions(BUCKET, "", None).await.unwrap();
        assert!(page.next.is_none());
        page.items
    };
    // As if the list had been read before.
    let before = everything().await;
    let whole = ScanDone {
        listed_whole: true,
        ..ScanDone::default()
    };
    assert!(whole.complete());
    ctx.manifests().write_all(&[Some(whole)]).await;
    assert_eq!(everything().await, before);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_computer_goes_on_and_a_copied_state_folder_does_not() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let store = rig.store();
    let run = async |who: Option<Computer>| {
        let daemon = start_as(&rig, who).await;
        let ours = async || {
            is_refused(&daemon) || (at_rest(&daemon) && !history(&store, "a.txt").await.is_empty())
        };
        until("it has started", ours).await;
        let refused = is_refused(&daemon);
        daemon.stop().await.unwrap();
        refused
    };
    assert!(!run(computer("pc", "m1")).await);
    let was = record(&store, "").await.unwrap();
    // Another name, the same machine.
    assert!(!run(computer("new-name", "m1")).await);
    let now = record(&store, "").await.unwrap();
    assert_eq!(
        (now.computer.as_str(), now.id == was.id),
        ("new-name", false)
    );
    // The state folder on another machine, whatever its name.
    assert!(run(computer("new-name", "m2")).await);
    // The same without the state folder.
    rig.lose_state();
    assert!(run(computer("new-name", "m2")).await);
    // A lost state folder on the machine that it belongs to.
    rig.lose_state();
    assert!(!run(computer("new-name", "m1")).await);
    assert_eq!(
        history(&store, "a.txt").await.len(),
        1,
        "nothing is sent twice"
    );
}

/// Two that start at once on an empty bucket: one has it, the other has sent nothing.
async fn race(demands_count: bool) {
    let first = Rig::new();
    first.write("first.txt", "first");
    let second = Second::of(&first);
    let vault = first.vault();
    let store = || {
        let faults = Faults::new(move |_| match demands_count {
            true => Fate::Pass,
            false => Fate::WithoutDemands,
        });
        Store::vault(faults.wrap(vault.connector()), "the test vault")
    };
    let (one, other) = tokio::join!(
        first.start_with(first.config(), Some(store())),
        second.start(store())
    );
    let both = [&one, &other];
    until("one of them has it, and the other knows", async || {
        let refused = both.iter().filter(|daemon| is_refused(daemon)).count();
        let owner = both.iter().find(|daemon| !is_refused(daemon));
        refused == 1 && owner.is_some_and(|owner| owner.components().sources[0].marks_deletions())
    })
    .await;
    let (winner, rig) = match is_refused(&one) {
        true => (&other, &second.rig),
        false => (&one, &first),
    };
    let looker = first.store();
    until("the winner's files are in the bucket", async || {
        at_rest(winner)
            && crate::harness::in_bucket(&looker).await == crate::harness::on_disk(&rig.root())
    })
    .await;
    let root = record(&looker, "").await.unwrap().root;
    assert_eq!(root, rig.root().display().to_string());
    assert!(marked(&looker, BUCKET).await.is_empty());
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_claim_at_once_one_wins_and_the_other_sends_nothing() {
    race(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_on_a_server_that_lets_everybody_overwrite() {
    race(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_there_were_records() {
    // By the same state folder, with manifests and without.
    for manifests_stay in [true, false] {
        let rig = first().await;
        without_record(&rig, manifests_stay).await;
        let daemon = rig.start().await;
        rig.write("more.txt", "more");
        rig.until_equal(&daemon).await;
        daemon.stop().await.unwrap();
        assert!(record(&rig.store(), "").await.is_some());
    }
    // The same computer and folder, its state folder lost: the manifest says who it was.
    let rig = first().await;
    let daemon = rig.start().await;
    let ctx = daemon.components();
    let settled = std::future::ready(());
    ctx.comparison().run(false, settled).await;
    daemon.stop().await.unwrap();
    without_record(&rig, true).await;
    let before = versions(&rig.store(), BUCKET).await;
    // Another computer, with and without that word.
    for manifests_stay in [true, false] {
        let second = Second::of(&rig);
        let daemon = second.start(rig.store()).await;
        until_refused(&daemon).await;
        let warning = daemon.components().sources[0].status.snapshot().warnings["owner"].clone();
        let told = rig.root().display().to_string();
        assert_eq!(warning.contains(&told), manifests_stay, "{warning}");
        assert_eq!(warning.contains("last seen"), manifests_stay, "{warning}");
        daemon.stop().await.unwrap();
        if manifests_stay {
            rig.lose_state();
            let daemon = rig.start().await;
            rig.until_equal(&daemon).await;
            daemon.stop().await.unwrap();
            without_record(&rig, false).await;
        }
    }
    assert_eq!(versions(&rig.store(), BUCKET).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_it_is_known_whose_the_destination_is() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::new(|seen| match seen.uri.contains("owner.json") {
        true => Fate::Answer(500, "InternalError"),
        false => Fate::Pass,
    });
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    let ctx = daemon.components();
    let asked = faults.requests();
    until("it has asked again and again", async || {
        faults.requests() > asked + 10 && ctx.index.has_unprotected(ctx.sources[0].id)
    })
    .await;
    assert!(history(&rig.store(), "a.txt").await.is_empty());
    faults.set(|_| Fate::Pass);
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_around_or_inside_anothers_is_refused() {
    // Inside one that has everything.
    let outer = first().await;
    let mut inner = Second::of(&outer);
    inner.config.sources[0].prefix = "d/inner/".into();
    let daemon = inner.start(outer.store()).await;
    until_refused(&daemon).await;
    let warning = daemon.components().sources[0].status.snapshot().warnings["owner"].clone();
    assert!(warning.contains("overlaps with office/,"), "{warning}");
    daemon.stop().await.unwrap();
    // Around one that has a part.
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let mut config = rig.config();
    config.sources[0].prefix = "part/".into();
    let daemon = rig.start_with(config, Some(rig.store())).await;
    let store = rig.store();
    until("it is stored", async || {
        !history(&store, "part/a.txt").await.is_empty()
    })
    .await;
    let around = Second::of(&rig);
    let other = around.start(rig.store()).await;
    until_refused(&other).await;
    let warning = other.components().sources[0].status.snapshot().warnings["owner"].clone();
    assert!(warning.contains("overlaps with office/part/,"), "{warning}");
    assert!(marked(&store, BUCKET).await.is_empty());
    other.stop().await.unwrap();
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_nobodys_leave_to_send() {
    let rig = first().await;
    let sdk = client(&rig.vault());
    let put = sdk.put_object().bucket(BUCKET).key(key(""));
    put.body(b"<html>".to_vec().into()).send().await.unwrap();
    let before = versions(&rig.store(), BUCKET).await;
    rig.write("new.txt", "new");
    let daemon = rig.start().await;
    until_refused(&daemon).await;
    until_told(&rig, "is another computer's").await;
    assert_eq!(versions(&rig.store(), BUCKET).await, before);
    // Somebody's word ends it, beside the running daemon.
    keepwatch::destination::take_over(&daemon.components().sources[0].destination)
        .await
        .unwrap();
    rig.until_equal(&daemon).await;
    until_told(&rig, "is this computer's").await;
    daemon.stop().await.unwrap();
}

/// A lifecycle rule that moves everything to Glacier takes the record along.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_cold_storage_is_read_all_the_same() {
    let rig = first().await;
    let cold = || {
        Faults::new(
            |seen| match seen.method == "GET" && seen.uri.contains("owner.json") {
                true => Fate::Answer(403, "InvalidObjectState"),
                false => Fate::Pass,
            },
        )
    };
    let store = rig.faulty_store(&cold());
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.write("more.txt", "more");
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let second = Second::of(&rig);
    let daemon = second.start(rig.faulty_store(&cold())).await;
    until_refused(&daemon).await;
    let board = daemon.components().sources[0].status.snapshot();
    let warning = &board.warnings["owner"];
    let root = rig.root().display().to_string();
    assert!(warning.contains(&root), "{warning}");
    daemon.stop().await.unwrap();
}
