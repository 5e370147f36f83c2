//! Asking a daemon that does not answer, or is hard to reach.

use super::{keepwatch, said};
use crate::harness::os::{go_on, halt, idle_client};
use crate::harness::{Rig, Running, finish_within, program, until, write_config};
use std::fs;
use std::time::{Duration, Instant};

/// What `status` may take: its own limit, and what starting it takes on a busy
/// computer.
const STATUS_ENDS: Duration = Duration::from_secs(40);

/// Named after the bug: it waited for ever.
#[tokio::test(flavor = "multi_thread")]
async fn status_of_a_daemon_that_is_stopped_ends_and_says_what_is_last_known() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until("how things stand is written down", async || {
        rig.state_dir().join("last-status.json").exists()
    })
    .await;
    halt(daemon.pid());
    let ask = |more: &[&str]| {
        let mut command = program();
        command.args(["--config", config.to_str().unwrap(), "status"]);
        let output = finish_within(STATUS_ENDS, command.args(more));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        output
    };
    let words = said(&ask(&[]));
    assert!(words.contains("does NOT answer"), "{words}");
    assert!(words.contains("How things stood"), "{words}");
    assert!(words.contains("office"), "{words}");
    assert!(!words.contains("NOT running"), "{words}");
    let json: serde_json::Value = serde_json::from_slice(&ask(&["--json"]).stdout).unwrap();
    assert_eq!(json["running"], true);
    assert_eq!(json["answers"], false);
    assert_eq!(json["last_known"]["status"]["pid"], daemon.pid());
    assert!(json["last_known"]["at_ms"].is_i64());
    go_on(daemon.pid());
    until("it answers again", async || daemon.status().is_some()).await;
    assert_eq!(daemon.stop(), Some(0));
    // Of one that has ended, the same.
    let words = said(&keepwatch(&config, &["status"]));
    assert!(words.contains("NOT running"), "{words}");
    assert!(words.contains("How things stood"), "{words}");
}

/// Named after the bug: of a daemon that was stopped soon "0 files protected" was known,
/// as things had stood at its start.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_daemon_that_was_stopped_its_end_is_known() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until("its start is written down", async || {
        rig.state_dir().join("last-status.json").exists()
    })
    .await;
    rig.write("a.txt", "a");
    until("the file is stored", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 1
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
    let words = said(&keepwatch(&config, &["status"]));
    assert!(words.contains("1 file protected"), "{words}");
}

/// Named after the bug: exit code 2 in place of the daemon's answer. The daemon
/// knows what is wrong; the configuration does not need the disk.
#[tokio::test(flavor = "multi_thread")]
async fn commands_ask_the_daemon_also_while_the_vault_is_away() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let away = rig.dir.path().join("away");
    fs::rename(rig.vault_dir(), &away).unwrap();
    let status = daemon.status().unwrap();
    assert_eq!(status["pid"], daemon.pid());
    let output = keepwatch(&config, &["digest"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    fs::rename(&away, rig.vault_dir()).unwrap();
    assert_eq!(daemon.stop(), Some(0));
    // Without a daemon the vault is needed, and missing is not made.
    fs::rename(rig.vault_dir(), &away).unwrap();
    for command in [&["digest"][..], &["--reconcile"], &["verify"]] {
        let output = keepwatch(&config, command);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(!rig.vault_dir().exists(), "{command:?} has made one");
    }
    let words = said(&keepwatch(&config, &["status"]));
    assert!(words.contains("NOT running"), "{words}");
}

/// Named after the bug: each of them held one of eight places for five seconds.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_idle_clients_do_not_delay_status() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let began = Instant::now();
    assert!(daemon.status().is_some());
    let usual = began.elapsed();
    for clients in [60, 200] {
        let idle: Vec<_> = (0..clients)
            .map(|_| idle_client(&rig.state_dir()))
            .collect();
        let began = Instant::now();
        assert!(daemon.status().is_some());
        let took = began.elapsed();
        // Less than the five seconds after which an idle client is cut off.
        assert!(
            took < usual * 4 + Duration::from_millis(2_500),
            "{clients}: {took:?}, usually {usual:?}"
        );
        drop(idle);
    }
    assert_eq!(daemon.stop(), Some(0));
}
