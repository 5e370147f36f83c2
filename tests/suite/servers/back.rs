//! What is in the bucket comes back, as it is and as it was, and is proved.

use super::Site;
use crate::harness::finish_within;
use crate::office::{Clerk, seed};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is said where there are no versions to choose from.
const NO_VERSIONS: &str = "this server keeps no earlier versions";

/// Servers know times by the second: what comes next is of a later one.
async fn next_second() {
    let second = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let now = second();
    while second() == now {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn restore(site: Site) {
    let root = site.rig.root();
    site.rig.write("Kunden/Müller/Angebot.txt", "one");
    site.rig.write("Kunden/stock.csv", "a;b\n".repeat(10_000));
    site.rig.write("gone.txt", "soon gone");
    fs::create_dir(root.join("leer")).unwrap();
    std::os::unix::fs::symlink("Kunden", root.join("link")).unwrap();
    site.reconcile();
    site.comes_back("first", &[], &root);
    if !site.can.keeps_versions {
        return only_current(&site);
    }
    fs::remove_file(root.join("gone.txt")).unwrap();
    site.rig.write("Kunden/Müller/Angebot.txt", "two");
    site.reconcile();
    site.comes_back("back", &[], &root);
    let versions = site.run(&["versions", "Kunden/Müller/Angebot.txt"]);
    versions.check(0, &["current"]);
    let (ran, to) = site.restore("one file", &["Kunden/stock.csv"]);
    ran.check(0, &["1 file "]);
    assert_eq!(
        fs::read(to.join("Kunden/stock.csv")).unwrap(),
        fs::read(root.join("Kunden/stock.csv")).unwrap()
    );
}

/// What is saved again takes the place of what was; what is deleted stays.
fn only_current(site: &Site) {
    let root = site.rig.root();
    let path = "Kunden/Müller/Angebot.txt";
    site.rig.write(path, "two");
    site.reconcile();
    site.comes_back("back", &[], &root);
    let (ran, to) = site.restore("one file", &[path]);
    ran.check(0, &["1 file "]);
    assert_eq!(fs::read(to.join(path)).unwrap(), b"two");
    fs::remove_file(root.join("gone.txt")).unwrap();
    site.reconcile();
    let (ran, to) = site.restore("deleted", &["gone.txt"]);
    ran.check(0, &["1 file "]);
    assert_eq!(fs::read(to.join("gone.txt")).unwrap(), b"soon gone");
    let versions = site.run(&["versions", path]);
    versions.check(0, &["current", NO_VERSIONS]);
    assert!(!versions.text.contains("--at"), "{}", versions.text);
    // Over files of today, and a comparison with them.
    site.rig.write(path, "a third state");
    site.run(&["restore", "--in-place", path])
        .check(0, &["1 file "]);
    assert_eq!(fs::read(root.join(path)).unwrap(), b"two");
    // What stood there is beside it, and the deleted file is in the bucket.
    site.run(&["restore", "--diff"])
        .check(4, &["1 added, 1 removed, 0 changed"]);
}

pub async fn moments(site: Site) {
    let root = site.rig.root();
    let mut clerk = Clerk::new(&root, seed());
    for number in 0..120 {
        site.rig
            .write(&format!("{}/{number}.txt", number % 20), "one");
    }
    site.reconcile();
    if !site.can.keeps_versions {
        for at in ["now", "2026-01-01 12:00"] {
            let (ran, to) = site.restore("back", &["--at", at]);
            ran.check(1, &[NO_VERSIONS, "leave out the moment (--at)"]);
            assert!(!to.join("1").exists());
        }
        site.run(&["moments"]).check(1, &[NO_VERSIONS]);
        return site.comes_back("back", &[], &root);
    }
    let mut moments: Vec<(String, PathBuf)> = Vec::new();
    for number in 0..3 {
        next_second().await;
        moments.push((
            jiff::Timestamp::now().to_string(),
            site.copy(&format!("then {number}")),
        ));
        next_second().await;
        clerk.work(8);
        site.reconcile();
    }
    for (number, (at, then)) in moments.iter().enumerate() {
        site.comes_back(&format!("back {number}"), &["--at", at], then);
    }
}

pub async fn verify(site: Site) {
    let root = site.rig.root();
    for number in 0..8 {
        site.rig
            .write(&format!("{number}.txt"), format!("{number}"));
    }
    site.reconcile();
    site.run(&["verify", "--deep"]).check(0, &["All is well"]);
    // One is taken away, one covered, behind Keepwatch's back.
    let id = match site.can.keeps_versions {
        true => Some(site.newest_version("1.txt").await),
        false => None,
    };
    let removed = site
        .client
        .delete_object()
        .bucket(&site.bucket)
        .key("1.txt");
    removed.set_version_id(id).send().await.unwrap();
    let put = site.client.put_object().bucket(&site.bucket).key("2.txt");
    put.body(b"not ours".to_vec().into()).send().await.unwrap();
    let found = site.run(&["verify", "--deep"]);
    found.check(3, &["1.txt", "2.txt", "NOT everything"]);
    assert!(!found.text.contains("3.txt"), "{}", found.text);
    site.run(&["verify", "--deep", "--repair"]);
    site.run(&["verify", "--deep"]).check(0, &["All is well"]);
    site.comes_back("back", &[], &root);
}

pub async fn drill(site: Site) {
    for number in 0..20 {
        site.rig
            .write(&format!("{number}.txt"), format!("{number}"));
    }
    site.rig.write("table.csv", "a;b\n".repeat(1_000));
    site.reconcile();
    site.rig.write("1.txt", "a second state");
    fs::remove_file(site.rig.path("2.txt")).unwrap();
    site.reconcile();
    let mut digest = site.command(&["digest", "--send", "--json"]);
    let digest = finish_within(super::site::RUN_MAX, &mut digest);
    let told: serde_json::Value = serde_json::from_slice(&digest.stdout).unwrap();
    let drill = &told["drill"];
    assert!(digest.status.success(), "{told}");
    assert_eq!(drill["failures"].as_array().unwrap().len(), 0, "{told}");
    assert!(drill["not_run"].is_null(), "{told}");
    assert!(drill["files"].as_u64().unwrap() >= 10, "{told}");
    let is_well = told["subject"].as_str().unwrap().contains("all is well");
    assert_eq!(is_well, site.can.keeps_versions, "{told}");
}
