//! A hang-up, which is no reason to stop.

use crate::harness::{PATIENCE, Rig, Running, until, write_config};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Instant;

/// A terminal that is closed, or a service manager's reload, ends no backup.
/// Named after the bug: exit code 0, after which no service starts it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_does_not_end_the_daemon() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    kill_process(pid.unwrap(), Signal::HUP).unwrap();
    until("it says that it goes on", async || {
        super::logged(&rig.dir.path().join("log")).contains("Keepwatch goes on")
    })
    .await;
    rig.write("b.txt", "b");
    until("it backs up as before", async || {
        let status = daemon.status().unwrap();
        status["pid"] == daemon.pid() && status["sources"][0]["files_protected"] == 2
    })
    .await;
    let began = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(began.elapsed() < PATIENCE);
}
