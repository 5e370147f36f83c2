//! Disks that are nearly full.

use super::bench::{Bench, MTIME_NS, Object, read_tree};
use keepwatch::files::Target;
use keepwatch::restore::{Request, Restored, preflight};
use keepwatch::retry::Stop;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a restore leaves free; see `restore::room`.
const RESERVE: u64 = 16 << 20;

const BYTES: usize = 1 << 20;

pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    fastrand::Rng::with_seed(seed).fill(&mut out);
    out
}

fn write_dated(path: &Path, content: &[u8], mtime_ns: i128) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let since = Duration::from_nanos(u64::try_from(mtime_ns).unwrap());
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
}

/// Restore `big` over what is in `to`, onto a disk with so much room.
async fn restore_over(
    bench: &Bench,
    to: &str,
    free: u64,
    change: impl FnOnce(&mut Request),
) -> Result<Restored, String> {
    let target = Target::open(&bench.folder(to)).unwrap();
    let done = bench.restore_with(to, |request| {
        request.target = Arc::new(target.with_free_bytes(free));
        request.options.overwrite = true;
        change(request);
    });
    done.await.map_err(|fatal| fatal.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_counts_what_is_kept_beside() {
    let bench = Bench::new();
    let (then, now, mine) = (noise(1, BYTES), noise(2, BYTES), noise(3, BYTES));
    bench.put("big", &Object::file(&then)).await;
    let at_ms = bench.times("big").await[0];
    let later = Object::file(&now).mtime_ns(MTIME_NS + 5);
    bench.put("big", &later).await;
    let (needed, one) = (RESERVE, BYTES as u64);
    for (name, content, mtime_ns, in_place, free, fits) in [
        // The same: nothing is written.
        ("same", &then, MTIME_NS, true, needed, true),
        // The bucket has it: both are there for a moment.
        ("stored", &now, MTIME_NS + 5, true, needed + one, true),
        (
            "stored-2",
            &now,
            MTIME_NS + 5,
            true,
            needed + one - 1,
            false,
        ),
        // Nobody has it: it stays beside.
        ("mine", &mine, MTIME_NS + 7, true, needed + one - 1, false),
        ("mine-2", &mine, MTIME_NS + 7, true, needed + one, true),
        // Overwritten, not in place.
        ("over", &mine, MTIME_NS + 7, false, needed + one - 1, false),
        ("over-2", &mine, MTIME_NS + 7, false, needed + one, true),
    ] {
        write_dated(&bench.folder(name).join("big"), content, mtime_ns);
        let done = restore_over(&bench, name, free, |request| {
            request.at_ms = Some(at_ms);
            let day = jiff::civil::date(2026, 11, 24).at(9, 0, 0, 0);
            request.options.in_place = in_place.then_some(day);
        });
        match (done.await, fits) {
            (Ok(restored), true) => {
                assert!(restored.is_complete(), "{name}: {restored:?}");
                let came = fs::read(bench.folder(name).join("big")).unwrap();
                assert!(came == then, "{name}");
            }
            (Err(why), false) => {
                assert!(why.contains("it needs at least 1.0 MB"), "{name}: {why}");
                assert!(
                    why.contains("16.8 MB beside that always stay free"),
                    "{name}: {why}"
                );
                let left = fs::read(bench.folder(name).join("big")).unwrap();
                assert!(left == *content, "{name}");
            }
            (done, _) => panic!("{name}: {done:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_ends_the_run_and_says_so_once() {
    let bench = Bench::new();
    for number in 0..100 {
        let name = format!("{number}");
        bench.put(&name, &Object::file(name.as_bytes())).await;
    }
    // Somebody else fills it after the look.
    let (request, stop) = (bench.request("out"), Stop::never());
    let seen = preflight(&bench.store, &request, &|_| (), &stop).await;
    let seen = seen.unwrap();
    let ended = restore_over(&bench, "out", RESERVE - 1, |request| {
        request.preflight = Some(seen);
    });
    let why = ended.await.unwrap_err();
    assert!(why.contains("the disk is full (16.8 MB left)"), "{why}");
    assert!(why.contains("run the same command again"), "{why}");
    assert_eq!(read_tree(&bench.folder("out")), [""; 0]);
}

/// Each file below it is refused, more in a row than end a run.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_where_a_folder_is_needed_ends_no_run() {
    const BELOW: u64 = 40;
    let bench = Bench::new();
    for number in 0..BELOW {
        let path = format!("sub/{number:02}");
        bench.put(&path, &Object::file(path.as_bytes())).await;
    }
    bench.put("z.txt", &Object::file(b"behind")).await;
    for (to, is_link, free) in [
        ("file", false, None),
        ("link", true, None),
        // Hardly any room is left, and it is not for that.
        ("file, no room", false, Some(RESERVE - 1)),
        ("link, no room", true, Some(RESERVE - 1)),
    ] {
        let out = bench.folder(to);
        fs::create_dir_all(&out).unwrap();
        match is_link {
            true => std::os::unix::fs::symlink("elsewhere", out.join("sub")).unwrap(),
            false => fs::write(out.join("sub"), "theirs").unwrap(),
        }
        for run in 1..=2 {
            let target = Target::open(&out).unwrap();
            let done = bench.restore_with(to, |request| {
                request.options.ignore_space = true;
                if let Some(free) = free {
                    request.target = Arc::new(target.with_free_bytes(free));
                }
            });
            let restored = done.await.unwrap_or_else(|why| panic!("{to} {run}: {why}"));
            assert_eq!(restored.failed.total, BELOW, "{to} {run}: {restored:?}");
            for fault in &restored.failed.items {
                assert!(fault.subject.starts_with("sub/"), "{to} {run}: {fault}");
            }
            assert_eq!(read_tree(&out), ["sub", "z.txt"], "{to} {run}");
            assert_eq!(fs::read(out.join("z.txt")).unwrap(), b"behind");
        }
    }
}
