//! The real program where the system does not let it watch everything: too few
//! watches, too few watchers, a folder that cannot be written to, a disk that
//! is mounted later. It runs in a user namespace of its own, whose limits and
//! mounts nobody else sees.

use crate::harness::{BUCKET, Rig, Running, history, program, until, write_config};
use crate::needs::Need;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Run the daemon in a user and mount namespace after `prepare` (shell).
async fn start(rig: &Rig, more: &str, prepare: &str) -> Running {
    let config = write_config(rig, more);
    let plain = program();
    let mut command = Command::new("unshare");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let script = format!("{prepare}\nexec \"$0\" --config \"$1\"");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script])
        .arg(plain.get_program())
        .arg(&config)
        .current_dir(rig.dir.path())
        .stdin(Stdio::null());
    namespaces_work(rig.dir.path(), prepare);
    Running::start_as(command, &config).await
}

/// These tests must not pass by being skipped.
fn namespaces_work(folder: &Path, prepare: &str) {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", prepare]);
    let output = command.current_dir(folder).output();
    let output = output.expect("this test needs `unshare` (util-linux) and could not run it");
    assert!(
        output.status.success(),
        "this test needs user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, or run it as root), which this machine refuses: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Run a shell command within the daemon's namespaces.
fn inside(daemon: &Running, script: &str) {
    let pid = daemon.pid().to_string();
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &pid,
        "--user",
        "--mount",
        "--preserve-credentials",
    ]);
    let output = command.args(["sh", "-ec", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
}

fn source(daemon: &Running) -> serde_json::Value {
    daemon.status().map_or(serde_json::Value::Null, |status| {
        status["sources"][0].clone()
    })
}

fn warning(daemon: &Running) -> String {
    let source = source(daemon);
    let text = source["board"]["warnings"]["watch"].as_str();
    text.unwrap_or_default().to_owned()
}

/// Wait until the newest version of a file is this.
async fn until_stored(rig: &Rig, name: &str, content: &str) {
    until(&format!("{name} has arrived"), async || {
        newest(rig, name) == Some(content.as_bytes().to_vec())
    })
    .await;
}

/// The vault shows the newest version of each file as a plain file.
fn newest(rig: &Rig, name: &str) -> Option<Vec<u8>> {
    fs::read(rig.vault_dir().join(BUCKET).join(name)).ok()
}

const PERIOD: &str = "unwatched_scan_ms = 1000\n";

#[tokio::test(flavor = "multi_thread")]
async fn when_watches_run_out_the_rest_is_scanned_and_the_owner_told_what_to_raise() {
    if !Need::Namespaces.is_met() {
        return;
    }
    const FOLDERS: usize = 300;
    let rig = Rig::new();
    for number in 0..FOLDERS {
        rig.write(&format!("d{number}/a.txt"), "one");
    }
    let lower = "echo 40 > /proc/sys/user/max_inotify_watches";
    let daemon = start(&rig, PERIOD, lower).await;
    let text = warning(&daemon);
    assert!(text.contains(rig.root().to_str().unwrap()), "{text}");
    assert!(text.contains("user.max_inotify_watches is 40"), "{text}");
    assert!(
        text.contains("sudo sysctl -p /etc/sysctl.d/90-keepwatch-"),
        "{text}"
    );
    assert!(!text.contains("space"), "{text}");
    // At most 40 of these 300 are watched: the rest comes by the scan.
    for number in 0..FOLDERS {
        rig.write(&format!("d{number}/a.txt"), "two!");
    }
    for number in 0..FOLDERS {
        until_stored(&rig, &format!("d{number}/a.txt"), "two!").await;
    }
    // What is made later cannot be watched either.
    rig.write("late/deep/b.txt", "new");
    until_stored(&rig, "late/deep/b.txt", "new").await;
    rig.write("late/deep/b.txt", "new and changed");
    until_stored(&rig, "late/deep/b.txt", "new and changed").await;
    let board = source(&daemon)["board"].clone();
    assert_eq!(board["watching"], "on", "what is watched stays so");
    assert!(board["proof"]["proven_ms"].is_i64(), "{board}");
    let log = log_of(&rig);
    let times = log.matches("is used up").count();
    assert!(times <= 3, "told {times} times:\n{log}");
    // Raised, everything is watched again by itself.
    inside(&daemon, "echo 100000 > /proc/sys/user/max_inotify_watches");
    until("the limit is not met any more", async || {
        let source = source(&daemon);
        source["board"]["watching"] == "on" && source["board"]["warnings"]["watch"].is_null()
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

fn log_of(rig: &Rig) -> String {
    let entries = fs::read_dir(rig.dir.path().join("log")).unwrap();
    entries
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_watcher_can_be_made_the_folder_is_scanned_until_one_can() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    rig.write("sub/a.txt", "one");
    let none = "echo 0 > /proc/sys/user/max_inotify_instances";
    let daemon = start(&rig, PERIOD, none).await;
    let text = warning(&daemon);
    assert!(text.contains("user.max_inotify_instances is 0"), "{text}");
    assert!(!text.contains("open files"), "{text}");
    rig.write("sub/a.txt", "two");
    until_stored(&rig, "sub/a.txt", "two").await;
    let threads = threads(&daemon);
    until("it has been tried a few times", async || {
        rig.write("sub/a.txt", "again");
        log_of(&rig).matches("folder scanned").count() > 6
    })
    .await;
    let more = threads_more(&daemon, threads);
    assert!(more < 4, "each try leaves a thread behind: {more} more");
    inside(&daemon, "echo 10 > /proc/sys/user/max_inotify_instances");
    until("the folder is watched", async || {
        let source = source(&daemon);
        source["board"]["watching"] == "on"
            && source["board"]["warnings"]["watch"].is_null()
            && source["board"]["proof"]["proven_ms"].is_i64()
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

/// Threads of the debouncer's, one per watcher.
fn threads(daemon: &Running) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    names
        .filter(|name| {
            name.as_ref()
                .is_ok_and(|name| name.starts_with("notify-rs"))
        })
        .count()
}

fn threads_more(daemon: &Running, before: usize) -> usize {
    threads(daemon).saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_is_watched_and_says_that_this_is_not_proved() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let read_only = format!("mount --bind {BUCKET} {BUCKET}; mount -o remount,bind,ro {BUCKET}");
    let daemon = start(&rig, PERIOD, &read_only).await;
    until("it is said", async || {
        let note = source(&daemon)["board"]["notes"]["proof"].clone();
        note.as_str()
            .is_some_and(|note| note.contains("cannot prove") && note.contains("every 1 s"))
    })
    .await;
    let source = source(&daemon);
    assert!(
        source["board"]["warnings"].as_object().unwrap().is_empty(),
        "{source}"
    );
    assert_eq!(source["board"]["watching"], "on");
    // Outside, the folder can be written to.
    rig.write("a.txt", "two");
    until_stored(&rig, "a.txt", "two").await;
    assert_eq!(
        fs::read_dir(rig.root()).unwrap().count(),
        1,
        "nothing is written"
    );
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_mounted_below_the_folder_later_is_watched() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    rig.write("a.txt", "one");
    rig.write("disk/under.txt", "under the mount");
    let daemon = start(&rig, "", "true").await;
    let disk = rig.path("disk");
    let disk = disk.to_str().unwrap();
    inside(
        &daemon,
        &format!("mount -t tmpfs disk {disk}; echo one > {disk}/b.txt"),
    );
    until_stored(&rig, "disk/b.txt", "one\n").await;
    let rebuilt = source(&daemon)["board"]["proof"].clone();
    assert_eq!(rebuilt["rebuilt"], 1, "{rebuilt}");
    let why = rebuilt["rebuilt_why"].as_str().unwrap();
    assert!(why.contains("mounted"), "{why}");
    until("the scan for it is over", async || {
        let source = source(&daemon);
        source["waiting"] == 0 && source["board"]["scanning"].is_null()
    })
    .await;
    // Nothing but the watch finds this within a minute.
    inside(&daemon, &format!("echo two > {disk}/b.txt"));
    until_stored(&rig, "disk/b.txt", "two\n").await;
    assert!(history(&rig.store(), "disk/b.txt").await.len() >= 2);
    assert_eq!(daemon.stop(), Some(0));
}

/// Another disk in the same place, so soon that nobody saw the place empty: it
/// may have the device number and inode of the first. Its files are watched and
/// stored; whether it is the right one is not decided by writing a marker.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_exchanged_for_another_in_its_place_is_watched_and_not_marked_as_the_first() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    let root = rig.root();
    let root = root.to_str().unwrap();
    let disk = format!("mount -t tmpfs first {BUCKET}; echo one > {BUCKET}/a.txt");
    let daemon = start(&rig, "", &disk).await;
    until_stored(&rig, "a.txt", "one\n").await;
    inside(&daemon, &format!("test -f {root}/.keepwatch-source"));
    inside(
        &daemon,
        &format!("umount -l {root}; mount -t tmpfs second {root}; echo two > {root}/b.txt"),
    );
    until_stored(&rig, "b.txt", "two\n").await;
    until("it is said", async || {
        let note = source(&daemon)["board"]["notes"]["proof"].clone();
        note.as_str()
            .is_some_and(|note| note.contains("its marker is missing"))
    })
    .await;
    inside(&daemon, &format!("echo three > {root}/b.txt"));
    until_stored(&rig, "b.txt", "three\n").await;
    inside(&daemon, &format!("! test -e {root}/.keepwatch-source"));
    assert_eq!(daemon.stop(), Some(0));
}
