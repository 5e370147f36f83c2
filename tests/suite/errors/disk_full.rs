//! The disk of the index is full: it is said, nothing is lost, and it goes on
//! by itself once there is room. Full is played by a limit on the size of
//! files, which needs no rights and no disk of one's own.

use super::no_room::ENDS_WITHIN;
use crate::harness::{
    Rig, Running, finish_within, in_bucket, on_disk, program, until, write_config,
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Files written while the disk is full: more than the index has room for.
const MORE: usize = 600;

/// Room for the vault's and the log's small files.
const ROOM_MIN: u64 = 64 * 1024;

/// The program, not killed by the signal that comes with the limit.
fn unkillable_by_limit(config: &Path) -> Command {
    let program = program();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .arg("--config")
        .arg(config)
        // The log must not meet the limit first.
        .env("KEEPWATCH_LOG__LEVEL", "error");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// From now on no file of that process grows beyond this.
fn limit_files(daemon: &Running, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// The largest file of the index.
fn index_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    let sizes = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            index_bytes(&path)
        } else {
            path.metadata().unwrap().len()
        }
    });
    sizes.max().unwrap_or(0)
}

/// What the index of a rig may grow to, so that it is full soon.
pub fn room_of_index(rig: &Rig) -> u64 {
    index_bytes(&rig.state_dir().join("index")).max(ROOM_MIN)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start_as(unkillable_by_limit(&config), &config).await;
    let store = rig.store();
    let equal = async || in_bucket(&store).await == on_disk(&rig.root());
    until("the first file is in", equal).await;
    let room = room_of_index(&rig);
    limit_files(&daemon, Some(room));
    for number in 0..MORE {
        rig.write(&format!("{}/{number}.txt", number % 7), format!("{number}"));
    }
    until("it is told what to do", async || {
        let status = daemon.status().unwrap();
        let warning = &status["sources"][0]["board"]["warnings"]["index"];
        warning
            .as_str()
            .is_some_and(|text| text.contains("free some space"))
    })
    .await;
    assert!(
        daemon.status().unwrap()["sources"][0]["files_protected"].as_u64() <= Some(MORE as u64)
    );
    limit_files(&daemon, None);
    until("everything is in", equal).await;
    until("everything counts as protected", async || {
        let status = daemon.status().unwrap();
        let source = &status["sources"][0];
        source["files_protected"] == MORE + 1
            && source["unprotected_total"] == 0
            && source["board"]["warnings"]["index"].is_null()
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

/// `--reconcile` while no file of that process may grow beyond this.
fn reconcile_limited(config: &Path, bytes_max: u64) -> Command {
    let program = program();
    let mut command = Command::new("sh");
    // Not killed by the signal that comes with the limit, which is in 512 bytes.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
        bytes_max / 512
    );
    command
        .args(["-c", &script])
        .arg(program.get_program())
        .arg("--config")
        .arg(config)
        .arg("--reconcile")
        .env("KEEPWATCH_LOG__LEVEL", "error");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The disk that holds the state folder; `no_room` has the same of the destination.
#[test]
fn a_run_on_a_computer_whose_own_disk_is_full_ends_and_says_why() {
    let rig = Rig::new();
    rig.write("first.txt", "first");
    let config = write_config(&rig, "");
    let first = finish_within(
        ENDS_WITHIN,
        program().args(["--config", config.to_str().unwrap(), "--reconcile"]),
    );
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let room = room_of_index(&rig);
    for number in 0..2_000 {
        rig.write(&format!("{}/{number}.txt", number % 7), format!("{number}"));
    }
    let output = finish_within(ENDS_WITHIN, &mut reconcile_limited(&config, room));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        matches!(output.status.code(), Some(1 | 3)),
        "{:?} {text}",
        output.status
    );
    assert!(text.contains("free some space"), "{text}");
    assert!(!text.contains("All is well"), "{text}");
}
