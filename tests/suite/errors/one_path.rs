//! Trouble with one path: it is named with its reason and since when, the
//! others never wait for it, and it is protected as soon as that is possible.

use super::{config, indexed, is_for, is_put, start, start_on, status, unprotected, until_well};
use crate::harness;
use crate::harness::{
    Fate, Faults, Rig, Running, finish, history, in_bucket, on_disk, program, until, write_config,
};
use keepwatch::daemon::Daemon;
use keepwatch::types::Class;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const OTHERS: usize = 40;

/// All but the named files are in the bucket as they are on disk.
async fn all_but(rig: &Rig, bad: &[&str]) -> bool {
    let mut disk = on_disk(&rig.root());
    bad.iter().for_each(|name| {
        disk.remove(*name);
    });
    in_bucket(&rig.store()).await == disk
}

async fn one_file_always_fails(status_code: u16, code: &'static str, class: Class) {
    let rig = Rig::new();
    for number in 0..OTHERS {
        rig.write(&format!("{number}.txt"), format!("{number}"));
    }
    rig.write("bad.txt", "bad");
    let faults = Faults::new(move |seen| match is_put(seen) && is_for(seen, "bad.txt") {
        true => Fate::Answer(status_code, code),
        false => Fate::Pass,
    });
    let daemon = start(&rig, &faults).await;
    until("the others are in and it is listed", async || {
        !unprotected(&daemon).is_empty() && all_but(&rig, &["bad.txt"]).await
    })
    .await;
    let first = status(&rig).await;
    assert_eq!((first.unprotected_total, first.board.outage), (1, None));
    assert_eq!(first.files_protected, OTHERS as u64);
    let (fault, since_ms) = &first.unprotected[0];
    assert_eq!((fault.subject.as_str(), fault.class), ("bad.txt", class));
    assert!(
        fault.cause.contains(code) && !fault.hint.is_empty(),
        "{fault}"
    );
    let report = harness::report(&daemon).await.message();
    assert!(report.body.contains("bad.txt"), "{}", report.body);

    // Tried again, still since then; and an edit meanwhile is not held up.
    until("it is tried again", async || {
        unprotected(&daemon).iter().any(|(_, u)| u.attempts >= 3)
    })
    .await;
    rig.write("0.txt", "edited");
    until("the edit is in", async || all_but(&rig, &["bad.txt"]).await).await;
    assert_eq!(status(&rig).await.unprotected[0].1, *since_ms);
    assert_eq!(indexed(&daemon, "bad.txt"), None);

    // A restart does not forget.
    daemon.stop().await.unwrap();
    let daemon = start(&rig, &faults).await;
    assert_eq!(unprotected(&daemon)[0].1.since_ms, *since_ms);
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    assert_eq!(history(&rig.store(), "bad.txt").await.len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_is_refused_holds_up_no_other() {
    one_file_always_fails(400, "InvalidRequest", Class::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_the_server_chokes_on_holds_up_no_other() {
    one_file_always_fails(500, "InternalError", Class::Transient).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handful_of_files_that_always_fail_hold_up_no_other() {
    let rig = Rig::new();
    let bad = ["bad1", "bad2", "bad3", "bad4"];
    for number in 0..OTHERS {
        rig.write(&format!("{number}.txt"), format!("{number}"));
    }
    bad.iter().for_each(|name| rig.write(name, name));
    let faults = Faults::new(
        move |seen| match bad.iter().any(|name| is_for(seen, name)) {
            true => Fate::Answer(500, "InternalError"),
            false => Fate::Pass,
        },
    );
    let daemon = start(&rig, &faults).await;
    until("the others are in", async || all_but(&rig, &bad).await).await;
    for number in 0..3 {
        rig.write("0.txt", format!("edit {number}"));
        until("the edit is in", async || all_but(&rig, &bad).await).await;
    }
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

/// Runs as whom file permissions bind: root reads everything.
pub const NOBODY: u32 = 65_534;

pub fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        let inside = fs::read_dir(path).unwrap();
        inside.for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

#[test]
fn an_unreadable_file_and_folder_are_named_and_nothing_there_counts_as_deleted() {
    let rig = Rig::new();
    rig.write("good.txt", "good");
    rig.write("secret.txt", "secret");
    rig.write("closed/inside.txt", "inside");
    let file = write_config(&rig, "");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        give_to_nobody(rig.dir.path());
    }
    let reconcile = || {
        let mut command = program();
        command.args(["--config", file.to_str().unwrap(), "--reconcile"]);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = finish(&mut command);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = reconcile();
    assert_eq!(code, Some(0), "{text}");
    rig.write("good.txt", "better");
    rig.write("secret.txt", "changed");
    rig.write("closed/new.txt", "new");
    let close = |mode_file, mode_folder| {
        let set =
            |name, mode| fs::set_permissions(rig.path(name), fs::Permissions::from_mode(mode));
        set("secret.txt", mode_file).unwrap();
        set("closed", mode_folder).unwrap();
    };
    close(0o000, 0o000);
    let (code, text) = reconcile();
    assert_eq!(code, Some(3), "{text}");
    for words in [
        "NOT PROTECTED: secret.txt",
        "closed",
        "ermission denied",
        "let the account",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text) = reconcile();
    let lines = text.matches("NOT PROTECTED: ").count();
    assert_eq!((code, lines), (Some(3), 2), "{text}");
    assert!(text.contains("closed and the 1 file in it"), "{text}");
    close(0o644, 0o755);
    let (code, text) = reconcile();
    assert_eq!(code, Some(0), "{text}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = rig.store();
        assert!(in_bucket(&store).await == on_disk(&rig.root()));
        let versions = history(&store, "closed/inside.txt").await;
        assert_eq!(versions, [Some(b"inside".to_vec())]);
    });
}

/// What is done while the only worker is busy with another file.
async fn while_the_worker_is_busy(rig: &Rig, act: impl AsyncFnOnce(&Daemon)) -> Daemon {
    rig.write("slow.txt", "slow");
    let mut config = config(rig);
    config.limits.workers = 1;
    let busy = Arc::new(AtomicBool::new(false));
    let seen_slow = Arc::clone(&busy);
    let faults = Faults::none();
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    rig.until_equal(&daemon).await;
    faults.set(move |seen| match is_put(seen) && is_for(seen, "slow.txt") {
        true => {
            seen_slow.store(true, Ordering::SeqCst);
            Fate::Late(Duration::from_secs(2))
        }
        false => Fate::Pass,
    });
    rig.write("slow.txt", "slower");
    until("the one worker is busy", async || {
        busy.load(Ordering::SeqCst)
    })
    .await;
    act(&daemon).await;
    until_well(rig, &daemon).await;
    daemon
}

async fn until_it_waits(daemon: &Daemon) {
    let queue = &daemon.components().sources[0].work.queue;
    until("it waits for its turn", async || queue.depth().edits > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_deleted_before_its_turn_leaves_no_trace() {
    let rig = Rig::new();
    let daemon = while_the_worker_is_busy(&rig, async |daemon| {
        rig.write("brief.txt", "brief");
        until_it_waits(daemon).await;
        fs::remove_file(rig.path("brief.txt")).unwrap();
    })
    .await;
    let store = rig.store();
    assert!(history(&store, "brief.txt").await.is_empty());
    assert_eq!(history(&store, "slow.txt").await.len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_emptied_before_its_files_were_stored_is_stored_itself() {
    let rig = Rig::new();
    let daemon = while_the_worker_is_busy(&rig, async |daemon| {
        rig.write("folder/brief.txt", "brief");
        until_it_waits(daemon).await;
        fs::remove_file(rig.path("folder/brief.txt")).unwrap();
    })
    .await;
    assert!(in_bucket(&rig.store()).await.contains_key("folder/"));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_and_sockets_are_counted_and_never_opened() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    fs::create_dir(rig.path("only a pipe")).unwrap();
    let mkfifo = |name: &str| {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, rig.path(name), kind, mode, 0).unwrap();
    };
    // Whoever opens it hangs: nobody ever writes.
    mkfifo("pipe");
    mkfifo("only a pipe/pipe");
    let _socket = std::os::unix::net::UnixListener::bind(rig.path("socket")).unwrap();
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    let board = status(&rig).await.board;
    assert_eq!(board.last_scan.unwrap().special, 3);
    assert!(board.warnings["special"].contains("3 special files in the folder are left out"));

    // A file that becomes a pipe is gone.
    fs::remove_file(rig.path("a.txt")).unwrap();
    mkfifo("a.txt");
    until_well(&rig, &daemon).await;
    assert!(history(&rig.store(), "a.txt").await[0].is_none());
    assert_eq!(status(&rig).await.files_protected, 0);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_in_circles_or_nowhere_are_stored_as_links() {
    let rig = Rig::new();
    rig.write("folder/a.txt", "a");
    for (target, name) in [
        ("b", "a"),
        ("a", "b"),
        ("self", "self"),
        ("..", "folder/up"),
        (".", "folder/here"),
        ("nowhere/at/all", "dangling"),
        ("/", "outside"),
        ("folder", "to folder"),
    ] {
        symlink(target, rig.path(name)).unwrap();
    }
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    assert_eq!(in_bucket(&rig.store()).await.len(), 9);
    // What is written through a link is found at the file's own path.
    fs::write(rig.path("to folder/a.txt"), "through the link").unwrap();
    fs::remove_file(rig.path("self")).unwrap();
    symlink("a", rig.path("self")).unwrap();
    until_well(&rig, &daemon).await;
    assert_eq!(history(&rig.store(), "folder/a.txt").await.len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_names_what_is_not_protected() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    // So long, and nothing packs it.
    let names = (0..56).map(|n: u8| keepwatch::types::ContentHash::of(&[n]).to_hex());
    let deep = names.collect::<Vec<_>>().join("/");
    rig.write(&deep, "too deep");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until("it is listed", async || {
        let status = daemon.status().unwrap();
        status["sources"][0]["unprotected_total"] == 1
    })
    .await;
    let shown = finish(program().args(["--config", config.to_str().unwrap(), "status"]));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(3), "{text}");
    for words in [
        "1 file protected",
        "NOT PROTECTED since",
        "too long for S3",
        "shorter name",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(daemon.stop(), Some(0));
}
