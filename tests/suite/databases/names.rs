//! Files beside which nothing can stand: their name is as long as names may be.

use crate::harness::Rig;
use std::fs;

/// Before: what could belong to it was looked for, and "name too long" kept the file
/// itself out of the backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_the_longest_name_is_stored_changed_and_marked() {
    let rig = Rig::new();
    let name = "l".repeat(255);
    rig.write(&name, "as it was");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    rig.write(&name, "another state");
    rig.until_equal(&daemon).await;
    fs::remove_file(rig.path(&name)).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}
