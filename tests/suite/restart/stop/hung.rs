//! Asked to stop while the drive that it protects hangs.

use super::super::until_equal_outside;
use super::{Scene, status};
use crate::dead::DeadDrive;
use crate::harness::os::tell_to_stop;
use crate::harness::until;
use crate::needs::Need;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn while_a_drive_hangs_under_it() {
    if !Need::Mounts.is_met() {
        return;
    }
    let scene = Scene::new().await;
    scene.rig.write("a.txt", "a");
    let mut program = scene.start();
    until_equal_outside(&scene.rig).await;
    let dead = DeadDrive::over(&scene.rig.root());
    // The root is looked at every five seconds.
    tokio::time::sleep(Duration::from_secs(7)).await;
    program.stops_in_time(tell_to_stop);
    // And it starts with the drive still dead, and stops again.
    let mut program = scene.start();
    until("it runs", async || status(&scene.rig).await.is_some()).await;
    program.stops_in_time(tell_to_stop);
    dead.comes_back();
    scene.next_run_is_well().await;
}
