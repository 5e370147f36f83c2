//! The line to the bucket: limits that hold and follow the configuration, and
//! requests that are counted and told.

use crate::harness::{Rig, Running, finish, program, until, write_config};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn limited(rig: &Rig, bandwidth: &str) -> std::path::PathBuf {
    write_config(rig, &format!("[bandwidth]\n{bandwidth}\n"))
}

fn rate(daemon: &Running, direction: &str) -> Option<u64> {
    daemon.status()?["rates"][direction].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_what_is_sent_and_what_is_fetched() {
    const BYTES: usize = 6_000_000;
    let rig = Rig::new();
    let mut noise = fastrand::Rng::with_seed(7);
    let bytes: Vec<u8> = (0..BYTES).map(|_| noise.u8(..)).collect();
    rig.write("photo.jpg", &bytes);
    let config = limited(&rig, "up = \"2 MB/s\"\ndown = \"3 MB/s\"");
    let began = Instant::now();
    let daemon = Running::start(&config, &[]).await;
    super::restart::until_equal_outside(&rig).await;
    let took = began.elapsed();
    // At 2 MB/s it takes 3 s, less what may be made up for; only "too fast" can
    // be told on a busy machine.
    assert!(took >= Duration::from_millis(2_750), "{took:?}");
    assert_eq!(daemon.stop(), Some(0));
    let began = Instant::now();
    let to = rig.dir.path().join("back");
    let output = finish(program().arg("--config").arg(&config).args([
        "restore".as_ref(),
        "--to".as_ref(),
        to.as_os_str(),
    ]));
    let took = began.elapsed();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(fs::read(to.join("photo.jpg")).unwrap() == bytes);
    assert!(took >= Duration::from_millis(1_750), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_limit_holds_without_a_restart_and_a_broken_one_changes_nothing() {
    let rig = Rig::new();
    let config = limited(&rig, "up = \"1 MB/s\"");
    let daemon = Running::start(&config, &[]).await;
    assert_eq!(rate(&daemon, "up"), Some(1_000_000));
    let good = fs::read_to_string(&config).unwrap();
    let becomes = async |text: String, up: Option<u64>, down: Option<u64>| {
        fs::write(&config, text).unwrap();
        until("the limit is the new one", async || {
            (rate(&daemon, "up"), rate(&daemon, "down")) == (up, down)
        })
        .await;
    };
    becomes(good.replace("1 MB/s", "16 Mbit/s"), Some(2_000_000), None).await;
    // Broken: told in the log, and what held still holds.
    fs::write(&config, good.replace("1 MB/s", "1 parsec")).unwrap();
    let log = rig.dir.path().join("log");
    until("the log says what is wrong", async || {
        in_log(&log, "what held before still holds") && in_log(&log, "parsec")
    })
    .await;
    // The command reads the same file.
    assert_eq!(rate(&daemon, "up"), None);
    assert!(!in_log(&log, "up without limit"));
    let all_week = "1 MB/s\"\ntimetable = [\"daily 00:00-24:00 up unlimited down 5 MB/s\"]#";
    becomes(good.replace("1 MB/s", all_week), None, Some(5_000_000)).await;
    assert_eq!(daemon.stop(), Some(0));
}

fn in_log(folder: &Path, words: &str) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .any(|text| text.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_over_a_restart_and_told_once() {
    let rig = Rig::new();
    for number in 0..20 {
        rig.write(&format!("{number}.txt"), format!("number {number}"));
    }
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    super::restart::until_equal_outside(&rig).await;
    let traffic = daemon.status().unwrap()["traffic"].clone();
    let writes = traffic["writes"].as_u64().unwrap();
    // One PUT each; the rest is looking at the bucket once.
    assert!((20..40).contains(&writes), "{traffic}");
    assert!(traffic["sent_bytes"].as_u64() >= Some(20 * 8), "{traffic}");
    let now = digest(&config, false);
    assert!(now.contains("for each new version"), "{now}");
    assert_eq!(daemon.stop(), Some(0));
    let told = digest(&config, true);
    assert!(told.contains("Requests: "), "{told}");
    assert!(!told.contains("USD"), "a vault costs nothing: {told}");
    let after = digest(&config, false);
    assert!(!after.contains("for each new version"), "{after}");
}

fn digest(config: &Path, send: bool) -> String {
    let mut command = program();
    command.arg("--config").arg(config).arg("digest");
    if send {
        command.arg("--send");
    }
    String::from_utf8_lossy(&finish(&mut command).stdout).into_owned()
}
