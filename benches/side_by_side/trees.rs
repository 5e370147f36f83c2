//! Folders full of files, the same at every run, and a folder for everything.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files per folder: an office's folders are not larger.
const PER_FOLDER: u64 = 100;

/// How long ago all files were last written: long past any debounce.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder of this run alone, removed at its end.
pub fn workspace() -> tempfile::TempDir {
    let at = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::Builder::new()
        .prefix("keepwatch-bench-")
        .tempdir_in(at)
        .unwrap()
}

/// Noise that no compression and no delta shortens.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; bytes];
    random.fill(&mut out);
    out
}

/// `count` files of `least` to `most` bytes, as many of each order of magnitude.
pub fn plant(root: &Path, count: u64, least: u64, most: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(count);
    let (low, high) = ((least as f64).ln(), (most as f64).ln());
    let old = SystemTime::now() - AGE;
    let mut total = 0;
    for number in 0..count {
        let folder = root.join(format!("folder {:05}", number / PER_FOLDER));
        if number.is_multiple_of(PER_FOLDER) {
            fs::create_dir_all(&folder).unwrap();
        }
        let bytes = (low + (high - low) * random.f64()).exp() as usize;
        let path = folder.join(format!("document {number:07}.dat"));
        fs::write(&path, noise(number, bytes)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        total += bytes as u64;
    }
    total
}

/// What a large file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Noise,
    Csv,
}

/// Bytes of that content; `seed` makes them different.
pub fn content(what: Content, seed: u64, bytes: usize) -> Vec<u8> {
    match what {
        Content::Noise => noise(seed, bytes),
        Content::Csv => {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut out = Vec::with_capacity(bytes + 100);
            while out.len() < bytes {
                let (id, cents) = (random.u32(..1_000_000), random.u32(..10_000_000));
                writeln!(
                    out,
                    "{id};2026-{:02}-{:02};{},{:02};paid by bank transfer;customer {}",
                    random.u8(1..13),
                    random.u8(1..29),
                    cents / 100,
                    cents % 100,
                    random.u16(..5_000)
                )
                .unwrap();
            }
            out.truncate(bytes);
            out
        }
    }
}

/// A file of that many MiB, written piece by piece.
pub fn plant_large(path: &Path, what: Content, seed: u64, mib: u64) {
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    for piece in 0..mib {
        out.write_all(&content(what, seed * 1_000_003 + piece, 1 << 20))
            .unwrap();
    }
    out.into_inner().unwrap().sync_all().unwrap();
}

/// Regular files below a folder that are not hidden: the objects of a server
/// that keeps them as plain files.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| !entry.file_name().as_bytes().starts_with(b"."))
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}
