//! What is on disk gets into the bucket: by a comparison, by the daemon while
//! people work, under new names.

use super::Site;
use crate::harness::until;
use crate::office::{Clerk, seed};
use std::fs;

/// Pieces of work while the daemon runs, and again after a kill.
const WORK: usize = 40;

/// A few files of each sort that this server takes.
fn office(site: &Site, seed: u64) {
    let root = site.rig.root();
    Clerk::new(&root, seed).small_office();
    if !site.can.takes_large_files {
        fs::remove_file(root.join("Listen/groß.csv")).unwrap();
    }
}

pub async fn reconcile(site: Site) {
    office(&site, seed());
    site.reconcile();
    site.has_everything().await;
    site.sends_nothing();

    site.rig.write("Ablage/0/Brief 0.txt", "changed");
    site.rig.write("new.csv", "a;b\n".repeat(100));
    fs::remove_file(site.rig.path("Ablage/1/Brief 1.txt")).unwrap();
    site.reconcile();
    site.has_everything().await;
    // Where nothing could bring it back, it is left.
    let is_gone = site.object("Ablage/1/Brief 1.txt").await.is_none();
    assert_eq!(is_gone, site.can.keeps_versions);
}

pub async fn churn(site: Site) {
    let seed = seed();
    office(&site, seed);
    let root = site.rig.root();
    let daemon = site.daemon().await;
    let mut clerk = Clerk::new(&root, seed.wrapping_add(1));
    let mut work = |round: usize| match site.can.keeps_versions {
        true => clerk.work(WORK),
        false => saves(&site, round),
    };
    work(0);
    site.until_protected(&daemon).await;
    daemon.kill();
    work(1);
    let daemon = site.daemon().await;
    work(2);
    site.until_protected(&daemon).await;
    site.has_everything().await;
    if site.can.keeps_versions {
        site.stops_well(daemon);
        return site.comes_back("back", &[], &root);
    }
    // The file is still in the bucket, and this server has no room for both.
    fs::remove_file(site.rig.path("new 0.txt")).unwrap();
    site.rig.write("new 0.txt/inside", "now a folder");
    until("it is named", async || {
        let status = daemon.status().unwrap();
        let named = status["sources"][0]["unprotected"].to_string();
        named.contains("new 0.txt/inside")
    })
    .await;
    site.stops_well(daemon);
}

/// Work in which nothing takes the name of something that was deleted.
fn saves(site: &Site, round: usize) {
    for number in 0..WORK / 4 {
        let letter = format!("Ablage/{}/Brief {number}.txt", number % 7);
        site.rig.write(&letter, format!("changed {round}"));
        site.rig.write(&format!("new {round}{number}.txt"), "new");
    }
    site.rig.write(&format!("new {round}.txt"), "new");
    fs::remove_file(
        site.rig
            .path(&format!("Ablage/0/Brief {}.txt", 14 + 7 * round)),
    )
    .unwrap();
}

/// Files and folders under new names: what they hold is in the bucket already.
pub async fn renames(site: Site) {
    const FILES: usize = 12;
    const FILE_BYTES: usize = 512 * 1024;
    for number in 0..FILES {
        let name = format!("old name/{number} +%41.bin");
        site.rig
            .write(&name, super::noise(FILE_BYTES, number as u64));
    }
    site.rig.write("letter.txt", "dear");
    let daemon = site.daemon().await;
    site.until_protected(&daemon).await;
    let sent_before = site.line.sent_bytes();

    fs::rename(site.rig.path("old name"), site.rig.path("new name")).unwrap();
    fs::rename(site.rig.path("letter.txt"), site.rig.path("note.txt")).unwrap();
    let old = || async {
        let letter = site.object("letter.txt").await;
        let file = site.object("old name/1 +%2541.bin").await;
        (letter, file)
    };
    until("the new names are protected", async || {
        site.object("note.txt").await.is_some()
            && site
                .object(&format!("new name/{} +%2541.bin", FILES - 1))
                .await
                .is_some()
    })
    .await;
    site.until_protected(&daemon).await;
    if site.can.keeps_versions {
        until("the old names are marked", async || {
            old().await == (None, None)
        })
        .await;
    }
    site.stops_well(daemon);
    site.has_everything().await;
    if !site.can.keeps_versions {
        let (letter, file) = old().await;
        assert!(letter.is_some() && file.is_some(), "nothing is marked");
    }

    let sent_bytes = site.line.sent_bytes() - sent_before;
    println!("{sent_bytes} bytes sent for new names");
    let all_bytes = (FILES * FILE_BYTES) as u64;
    assert_eq!(sent_bytes < all_bytes / 2, site.can.copies, "{sent_bytes}");
}
