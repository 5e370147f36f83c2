//! What the server copies: the version that was meant, whatever happens to its path
//! meanwhile, and of large files what did not change, whatever they are called.

use super::{Site, noise};
use crate::harness::until;
use keepwatch::types::ContentHash;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

const MIB: usize = 1024 * 1024;

const FILES: usize = 40;

/// Sent in several parts.
const LARGE_BYTES: usize = 24 * MIB;

/// What a changed byte of that may cost.
const EDIT_BYTES_MAX: u64 = 16 * MIB as u64;

/// An archive of mails, and what a MiB of change may cost of it.
const ARCHIVE_BYTES: usize = 256 * MIB;
const ARCHIVE_EDIT_BYTES_MAX: u64 = 30 * MIB as u64;

/// Longer than what is sent rather than copied; as long as others, so that no size
/// tells them apart.
fn text(name: &str) -> String {
    format!("{name:>40}: the same line again and again\n").repeat(80)
}

/// Of everything in the bucket, earlier versions too: the recorded SHA-256 and size
/// are those of the body, as anybody gets it.
async fn is_what_it_says(site: &Site) {
    let (mut seen, mut marker) = (0, None);
    loop {
        let page = match site.can.keeps_versions {
            true => site.versions(marker.take()).await,
            false => site.objects(marker.take()).await,
        };
        for (key, version_id) in page.items {
            if key.starts_with(".keepwatch/") {
                continue;
            }
            let request = site.client.get_object().bucket(&site.bucket).key(&key);
            let got = request.set_version_id(version_id).send().await.unwrap();
            let says = got.metadata().unwrap().clone();
            let is_packed = got.content_encoding() == Some("gzip");
            let mut body = got.body.collect().await.unwrap().to_vec();
            if is_packed {
                let packed = std::mem::take(&mut body);
                let mut unpack = flate2::read::MultiGzDecoder::new(&packed[..]);
                unpack.read_to_end(&mut body).unwrap();
            }
            assert_eq!(says["kw-sha256"], ContentHash::of(&body).to_hex(), "{key}");
            assert_eq!(says["kw-size"], body.len().to_string(), "{key}");
            seen += 1;
        }
        marker = page.next;
        if marker.is_none() {
            break;
        }
    }
    assert!(seen >= FILES, "{seen}");
}

/// Files that are moved and replaced under their old names at once, twice in a row;
/// then files that change places, and a chain of names.
pub async fn moves(site: Site) {
    let name = |round: usize, file: usize| format!("round {round} file {file:02}.txt");
    let rename = |from: &str, to: &str| {
        fs::rename(site.rig.path(from), site.rig.path(to)).unwrap();
    };
    for file in 0..FILES {
        site.rig
            .write(&name(0, file), text(&format!("first {file}")));
    }
    let daemon = site.daemon().await;
    site.until_protected(&daemon).await;
    for round in 0..2 {
        for file in 0..FILES {
            rename(&name(round, file), &name(round + 1, file));
            let other = text(&format!("other {round} {file}"));
            site.rig.write(&name(round, file), other);
        }
        site.until_protected(&daemon).await;
    }
    for _ in 0..2 {
        for file in 0..FILES / 2 {
            let (one, two) = (name(1, file), name(2, file));
            rename(&one, "swap");
            rename(&two, &one);
            rename("swap", &two);
        }
        site.until_protected(&daemon).await;
    }
    for (from, to) in [(2, 3), (3, 4), (4, 2)] {
        for file in 0..FILES / 4 {
            rename(&name(from, file), &name(to, file));
        }
        if site.can.keeps_versions {
            until("the new names are there", async || {
                site.object(&name(to, 0)).await.is_some()
            })
            .await;
        }
    }
    site.until_protected(&daemon).await;
    site.stops_well(daemon);
    site.has_everything().await;
    is_what_it_says(&site).await;
    if site.can.keeps_versions {
        site.comes_back("back", &[], &site.rig.root());
    }
}

/// Of names with a `%`, too, a large file's next version costs what changed, and the
/// server outlives it.
pub async fn percent(site: Site) {
    if !site.can.takes_large_files {
        return;
    }
    let names = ["100% sure +.bin", "a%41.bin", "50%-60%zz.bin"];
    for (seed, name) in (0..).zip(names) {
        site.rig.write(name, noise(LARGE_BYTES, seed));
    }
    site.reconcile();
    for name in names {
        let file = fs::File::options().write(true).open(site.rig.path(name));
        file.unwrap().write_all_at(b"changed", 9 << 20).unwrap();
    }
    let before = site.line.sent_bytes();
    site.reconcile();
    let sent_bytes = site.line.sent_bytes() - before;
    println!("{sent_bytes} bytes sent for {} edits", names.len());
    let is_little = sent_bytes < EDIT_BYTES_MAX * names.len() as u64;
    assert_eq!(is_little, site.can.copies_parts, "{sent_bytes}");
    site.has_everything().await;
}

/// A MiB of change in 256, by the daemon and by a comparison.
pub async fn archive(site: Site) {
    const NAME: &str = "archive.pst";
    site.rig.write(NAME, noise(ARCHIVE_BYTES, 5));
    site.reconcile();
    let edit = |seed: u64| {
        let file = fs::File::options().write(true).open(site.rig.path(NAME));
        let at = ARCHIVE_BYTES as u64 / 2 + seed * 1000;
        file.unwrap().write_all_at(&noise(MIB, seed), at).unwrap();
    };
    let costs = |before: u64, how: &str| {
        let sent_bytes = site.line.sent_bytes() - before;
        println!("{how}: {sent_bytes} bytes sent of {ARCHIVE_BYTES}");
        assert!(sent_bytes > MIB as u64, "{how}: {sent_bytes}");
        assert!(sent_bytes < ARCHIVE_EDIT_BYTES_MAX, "{how}: {sent_bytes}");
    };
    let before = site.line.sent_bytes();
    edit(11);
    site.reconcile();
    costs(before, "--reconcile");
    let daemon = site.daemon().await;
    let (before, stored) = (site.line.sent_bytes(), site.newest_version(NAME).await);
    edit(12);
    until("the edit is stored", async || {
        site.newest_version(NAME).await != stored
    })
    .await;
    site.until_protected(&daemon).await;
    costs(before, "the daemon");
    site.stops_well(daemon);
    site.has_everything().await;
}
