//! Commands with and without a daemon.

use crate::harness::os::mode_of;
use crate::harness::{BUCKET, Rig, Running, finish, program, write_config};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

fn keepwatch(config: &Path, arguments: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    finish(program().args(["--config", config]).args(arguments))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_state_ends_at_once_and_says_why() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let began = Instant::now();
    let second = keepwatch(&config, &[]);
    assert!(began.elapsed() < Duration::from_secs(10), "{began:?}");
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("what to do:"), "{said}");
    assert!(
        said.contains("running") || said.contains("another"),
        "{said}"
    );
    // The first one does not mind.
    assert_eq!(daemon.status().unwrap()["pid"], daemon.pid());
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_answers_while_the_daemon_runs_and_says_when_it_does_not() {
    let rig = Rig::new();
    rig.write("a.txt", "four");
    rig.write("sub/b.csv", "x;y\n".repeat(100));
    let config = write_config(&rig, "");
    let stopped = |output: Output| {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("NOT running"));
    };
    stopped(keepwatch(&config, &["status"]));
    let json = keepwatch(&config, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let want = serde_json::json!({ "running": false, "overall": "not_running" });
    assert_eq!(json, want);
    let daemon = Running::start(&config, &[]).await;
    super::until_equal_outside(&rig).await;
    // The last answer of S3 and its line in the index are two moments.
    crate::harness::until("status says that all is protected", async || {
        daemon.status().unwrap()["sources"][0]["waiting"] == 0
    })
    .await;
    let output = keepwatch(&config, &["status"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("2 files protected"));
    let status = daemon.status().unwrap();
    assert_eq!(status["pid"], daemon.pid());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["started_ms"].is_i64() && status["place"].is_string());
    assert_eq!(status["outbox"], 0);
    let source = &status["sources"][0];
    assert_eq!(source["name"], BUCKET);
    assert_eq!(source["path"], rig.root().to_str().unwrap());
    assert_eq!(source["files_protected"], 2);
    assert_eq!(source["bytes_protected"], 404);
    assert_eq!(source["unverified"], 0);
    assert_eq!(source["unprotected"], serde_json::json!([]));
    assert_eq!(source["unprotected_total"], 0);
    let board = &source["board"];
    assert_eq!(board["watching"], "on");
    assert_eq!(board["warnings"], serde_json::json!({}));
    assert!(board["outage"].is_null() && board["scanning"].is_null());
    assert_eq!(board["last_scan"]["files"], 2);
    assert_eq!(daemon.stop(), Some(0));
    stopped(keepwatch(&config, &["status"]));
    // A kill leaves the socket's file behind: nobody answers there.
    Running::start(&config, &[]).await.kill();
    stopped(keepwatch(&config, &["status"]));
    let daemon = Running::start(&config, &[]).await;
    assert_eq!(daemon.stop(), Some(0));
}

/// The one digest file there is, as subject and body.
fn digest_file(rig: &Rig) -> (String, String) {
    let folder = rig.state_dir().join("digests");
    let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = files.into_iter().next().unwrap().unwrap().path();
    if keepwatch::os::HAS_MODES {
        let mode = mode_of(&fs::metadata(&path).unwrap());
        assert_eq!(mode, 0o600, "the owner's alone");
    }
    let text = fs::read_to_string(path).unwrap();
    let (subject, body) = text.split_once("\n\n").unwrap();
    (subject.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_topic_the_digest_is_written_to_a_file_by_daemon_and_command_alike() {
    let rig = Rig::new();
    for number in 0..12 {
        rig.write(&format!("{number}.txt"), "text");
    }
    let config = write_config(&rig, "");
    // The command alone does the whole daily job: it compares, uploads, tells.
    let alone = keepwatch(&config, &["digest", "--send"]);
    let said = text(&alone.stdout);
    assert_eq!(
        alone.status.code(),
        Some(0),
        "{said}{}",
        text(&alone.stderr)
    );
    let (subject, body) = digest_file(&rig);
    assert!(
        subject.contains("all is well, 12 files protected"),
        "{subject}"
    );
    assert!(
        said.contains(&subject) && said.contains("written to"),
        "{said}"
    );
    assert!(body.contains("12"), "{body}");
    let daemon = Running::start(&config, &[]).await;
    rig.write("13.txt", "one more");
    let beside = keepwatch(&config, &["digest", "--send", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&beside.stdout).unwrap();
    assert_eq!(beside.status.code(), Some(0));
    let (subject, _) = digest_file(&rig);
    assert_eq!(json["subject"], subject.as_str());
    assert!(subject.contains("all is well"), "{subject}");
    assert!(json["delivery"].as_str().unwrap().contains("digest-"));
    // Only looking sends nothing.
    let look = keepwatch(&config, &["digest", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&look.stdout).unwrap();
    assert!(json["delivery"].is_null(), "{json}");
    assert_eq!(daemon.stop(), Some(0));
}
