//! The way back: the same objects downloaded into an empty folder, many small
//! files and one large one.
//!
//! The server is the vault, since restore asks for versions and s3s-fs keeps
//! none. Keepwatch verifies every file's SHA-256 and waits for the disk; rclone
//! compares MD5 where the server has one; s5cmd does neither. So each of them is
//! also counted with the hashes of what it wrote, by OpenSSL: the same promise.

use crate::keepwatch_program::Install;
use crate::measure;
use crate::measure::Cost;
use crate::others;
use crate::others::Other;
use crate::servers::Server;
use crate::small;
use crate::table;
use crate::trees;
use crate::trees::Content;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const BUCKET: &str = "bench-bucket";

/// `count` small files, then one file of `mib` MiB.
pub fn run(count: u64, mib: u64, repeat: usize) {
    if count > 0 {
        one(&format!("{count} small files"), count, repeat, |source| {
            let bytes = trees::plant(source, count, small::LEAST_BYTES, small::MOST_BYTES);
            println!("{count} files, {} MiB in all", bytes >> 20);
        });
    }
    if mib > 0 {
        one(&format!("one file of {mib} MiB"), 1, repeat, |source| {
            trees::plant_large(&source.join("large.bin"), Content::Noise, 1, mib);
        });
    }
}

fn one(what: &str, count: u64, repeat: usize, plant: impl FnOnce(&Path)) {
    let space = trees::workspace();
    let source = space.path().join("source");
    fs::create_dir_all(&source).unwrap();
    plant(&source);
    let server = Server::vault(&space.path().join("server"), &[BUCKET.to_owned()]);
    let home = space.path().join("home");
    let install = Install::new(&home, &source, BUCKET, &server.at, "sentinel = false");
    assert!(measure::run(&mut install.reconcile()).ok, "the upload");
    // Only the objects are needed from here on.
    fs::remove_dir_all(&source).unwrap();
    fs::create_dir_all(&source).unwrap();
    let mut costs: BTreeMap<String, Vec<Cost>> = BTreeMap::new();
    for _ in 0..repeat {
        let mut programs = vec![None];
        programs.extend(Other::ALL.map(Some));
        for program in programs {
            if program.is_some_and(|other| other.program().is_none()) {
                continue;
            }
            let out = space.path().join("out");
            fs::create_dir_all(&out).unwrap();
            let mut command = match program {
                None => install.restore(&out),
                Some(other) => other.download(&out, BUCKET, &server.at, &home),
            };
            let before = server.cpu_s();
            let cost = measure::run(&mut command);
            let name = program.map_or("keepwatch", Other::name);
            let cost = Cost {
                server_s: server.cpu_s() - before,
                ..cost
            };
            let files = trees::files_below(&out);
            if files.len() as u64 != count {
                println!("{name}: {} files of {count} are there", files.len());
            }
            costs.entry(name.to_owned()).or_default().push(cost);
            if let (Some(_), Some(mut hashing)) = (program, others::hashing(&files)) {
                let hashed = measure::run(&mut hashing);
                let both = costs.entry(format!("{name}, then hashed")).or_default();
                both.push(cost.and_then(hashed));
            }
            fs::remove_dir_all(&out).unwrap();
        }
    }
    let rows: Vec<(String, Cost)> = costs
        .into_iter()
        .map(|(name, costs)| (name, measure::median(&costs)))
        .collect();
    table::costs(&format!("Download of {what} from {}", server.name), &rows);
}
