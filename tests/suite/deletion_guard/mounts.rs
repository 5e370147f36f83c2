//! Disks that are mounted inside a folder, for real: in a namespace.

use super::{messages, reconcile};
use crate::harness::BUCKET;
use crate::harness::{Rig, finish, in_bucket, on_disk, program, until, write_config};
use crate::needs::Need;
use crate::raw::marked;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A script in which mounting is allowed, and everything else is as here.
fn namespace(script: &str, rig: &Rig, config: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec", script])
        .env("KW", env!("CARGO_BIN_EXE_keepwatch"))
        .env("CONFIG", config)
        .env("ROOT", rig.root())
        .env("DIR", rig.dir.path());
    command
}

fn in_own_namespace(script: &str, rig: &Rig, config: &Path) -> String {
    let output = finish(&mut namespace(script, rig, config));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        output.status.success(),
        "this test needs unshare (util-linux) and user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1 where there is that):\n{text}"
    );
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_mounted_inside_the_folder_that_is_unmounted_holds_back_what_is_on_it() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    // So few on the disk that the share alone would say nothing.
    for i in 0..40 {
        rig.write(&format!("docs/{i}.txt"), format!("content of {i}"));
    }
    fs::create_dir(rig.path("disk")).unwrap();
    let config = write_config(&rig, "");
    let script = r#"
        run() { code=0; "$KW" --config "$CONFIG" --reconcile "$@" || code=$?; echo "code $code"; }
        mount -t tmpfs none "$ROOT/disk"
        mkdir "$ROOT/disk/sub"
        for i in 1 2 3 4 5; do echo "on disk $i" > "$ROOT/disk/sub/$i.txt"; done
        run
        # Unmounted, and a file deleted elsewhere.
        umount "$ROOT/disk"
        rm "$ROOT/docs/1.txt"
        run
        # The mount point is gone as well.
        rmdir "$ROOT/disk"
        run
    "#;
    let text = in_own_namespace(script, &rig, &config);
    let codes: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("code"))
        .collect();
    assert_eq!(codes, ["code 0", "code 3", "code 3"], "{text}");
    assert!(text.contains("the disk on the folder disk in"), "{text}");
    assert_eq!(marked(&rig.store(), BUCKET).await, ["docs/1.txt"]);
    let told = messages(&rig);
    assert!(told.contains("office misses a disk"), "{told}");
    // Really taken out for good.
    let (code, text) = reconcile(&config, &["--confirm-deletions"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(in_bucket(&rig.store()).await, on_disk(&rig.root()));
    assert_eq!(reconcile(&config, &[]).0, Some(0));
}

/// Three times what it takes, for a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_unmounted_under_the_running_daemon_is_noticed_and_its_return_too() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    for i in 0..40 {
        rig.write(&format!("docs/{i}.txt"), format!("content of {i}"));
    }
    fs::create_dir(rig.path("disk")).unwrap();
    let config = write_config(&rig, "");
    // The daemon sees the mounts; this process looks from outside and gives
    // the signs. Nobody waits for ever.
    let script = r#"
        await() { n=0; until [ -e "$DIR/$1" ]; do
            n=$((n + 1)); [ $n -lt 2000 ] || exit 1; sleep 0.1; done; }
        disk() { mount -t tmpfs none "$ROOT/disk"
            for i in 1 2 3 4 5; do echo "on disk $i" > "$ROOT/disk/$i.txt"; done; }
        disk
        "$KW" --config "$CONFIG" >/dev/null 2>&1 &
        daemon=$!
        trap 'kill $daemon' EXIT
        await unmount
        umount "$ROOT/disk"
        await mount
        disk
        await end
    "#;
    let mut child = namespace(script, &rig, &config).spawn().unwrap();
    let sign = |name: &str| fs::write(rig.dir.path().join(name), "").unwrap();
    let status = || {
        let output = finish(program().args(["--config", config.to_str().unwrap(), "status"]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let lost = "the disk on the folder disk";
    until(
        "all is stored (this needs unshare and user namespaces)",
        async || {
            let text = status();
            text.contains("45 files protected") && text.contains("last scan")
        },
    )
    .await;
    sign("unmount");
    until("the disk is missed", async || status().contains(lost)).await;
    sign("mount");
    // New mounts have the watch set up again once a minute at the most, and the
    // scan that finds the files comes with it.
    let began = Instant::now();
    while status().contains(lost) {
        assert!(began.elapsed() < BACK_WITHIN, "{}", status());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(status().contains("45 files protected"), "{}", status());
    sign("end");
    assert!(child.wait().unwrap().success());
    assert_eq!(marked(&rig.store(), BUCKET).await, Vec::<String>::new());
    let told = messages(&rig);
    assert!(told.contains("office misses a disk"), "{told}");
}
