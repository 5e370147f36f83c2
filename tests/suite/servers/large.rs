//! Large files: what is sent of one that was edited, and of an upload that was
//! killed.

use super::{Site, noise};
use crate::harness::until;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

const MIB: usize = 1024 * 1024;

/// Its escapes are undone twice by some servers.
const NAME: &str = "mail 100%/archive+ %FF.pst";
const KEY: &str = "mail 100%/archive+ %25FF.pst";

/// Sent in several parts.
const LARGE_BYTES: usize = 48 * MIB;

/// What a changed byte may cost: parts are 5 to 13 MiB, and S3 wants 5 of each.
const EDIT_BYTES_MAX: u64 = 16 * MIB as u64;

/// Of a large upload that is killed, so much is sent before: with four parts of
/// 8 MiB on the wire at once, some are there.
const CUT_BYTES: u64 = 40 * MIB as u64;

const PART_BYTES: u64 = 8 * MIB as u64;

/// Slowly enough that what was acknowledged first is noted for good when the
/// program is killed: it is made to last every half second.
const RATE: &str = "8 MB/s";

/// The large file cannot be stored: it is named, and nothing of it is there.
async fn is_named_as_unprotected(site: &Site) {
    let ran = site.run(&["--reconcile"]);
    ran.check(3, &["NOT PROTECTED", NAME]);
    assert_eq!(site.object(KEY).await, None);
}

pub async fn edit(site: Site) {
    let mut content = noise(LARGE_BYTES, 1);
    site.rig.write(NAME, &content);
    if !site.can.takes_large_files {
        return is_named_as_unprotected(&site).await;
    }
    site.reconcile();
    let mut edit = |at: usize| {
        content[at] ^= 1;
        let file = File::options()
            .write(true)
            .open(site.rig.path(NAME))
            .unwrap();
        file.write_all_at(&content[at..=at], at as u64).unwrap();
        content.clone()
    };
    let costs = |sent_bytes: u64, how: &str| {
        println!("{how}: {sent_bytes} bytes sent of {LARGE_BYTES}");
        let is_little = sent_bytes < EDIT_BYTES_MAX;
        assert_eq!(is_little, site.can.copies_parts, "{how}: {sent_bytes}");
    };

    let edited = edit(LARGE_BYTES / 2);
    let before = site.line.sent_bytes();
    site.reconcile();
    costs(site.line.sent_bytes() - before, "--reconcile");
    assert!(site.object(KEY).await.unwrap() == edited);

    let daemon = site.daemon().await;
    let before = site.line.sent_bytes();
    let edited = edit(LARGE_BYTES / 4);
    until("the edit is stored", async || {
        site.object(KEY).await.unwrap() == edited
    })
    .await;
    site.until_protected(&daemon).await;
    costs(site.line.sent_bytes() - before, "the daemon");
    site.stops_well(daemon);
    site.comes_back("back", &[], &site.rig.root());
}

pub async fn resume(site: Site) {
    site.rig.write(NAME, noise(LARGE_BYTES, 2));
    if !site.can.takes_large_files {
        return is_named_as_unprotected(&site).await;
    }
    site.line.falls_silent_after(CUT_BYTES);
    let mut run = site.begin(RATE);
    until("most of it is sent", async || site.line.is_silent()).await;
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(site.object(KEY).await, None);
    let there_bytes = site.parts_bytes();
    site.line.is_well_again();
    let before = site.line.sent_bytes();
    site.reconcile();
    let sent_bytes = site.line.sent_bytes() - before;
    println!("{there_bytes} bytes were there, {sent_bytes} were sent then, of {LARGE_BYTES}");
    assert!(there_bytes > 0);
    // What the server does not list, and was acknowledged within the last half
    // second, is sent again.
    let goes_on = sent_bytes < LARGE_BYTES as u64 - PART_BYTES / 2;
    assert_eq!(goes_on, site.can.lists_parts);
    assert_eq!(site.parts_bytes(), 0);
    site.comes_back("back", &[], &site.rig.root());
}
