//! Disks that are nearly full, and one that is full in the middle of a restore.

use super::bench::{Bench, MTIME_NS, Object, read_tree};
use crate::harness::{finish, program};
use crate::needs::Need;
use keepwatch::files::Target;
use keepwatch::restore::{Request, Restored, preflight};
use keepwatch::retry::Stop;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a restore leaves free; see `restore::room`.
const RESERVE: u64 = 16 << 20;

const BYTES: usize = 1 << 20;

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
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

/// What one run of the program left behind and said.
struct Ran {
    code: String,
    said: String,
    tree: std::path::PathBuf,
}

/// Runs the program's restore on a disk of its own, of each of these sizes in
/// turn, without rights: in a user namespace.
fn on_a_disk_of(bench: &Bench, sizes_mib: &[u32], more: &[&str]) -> Vec<Ran> {
    let script = r#"
        sizes=$1; disk=$2; out=$3; shift 3
        mount -t tmpfs -o size=1m tmpfs "$disk" || exit 99
        n=0
        for size in $sizes; do
            mount -o remount,size="${size}m" "$disk" || exit 98
            "$@" >"$out/$n.said" 2>&1
            echo $? >"$out/$n.code"
            cp -a "$disk" "$out/$n.tree" || exit 97
            n=$((n+1))
        done"#;
    let (disk, out) = (bench.folder("disk"), bench.folder("ran"));
    for folder in [&disk, &out] {
        fs::create_dir_all(folder).unwrap();
    }
    let sizes: Vec<String> = sizes_mib.iter().map(u32::to_string).collect();
    let keepwatch = program();
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(sizes.join(" "))
        .args([&disk, &out])
        .arg(keepwatch.get_program())
        .args(["restore", "--vault"])
        .arg(bench.vault())
        .arg("--to")
        .arg(&disk)
        .args(more);
    for (name, value) in keepwatch.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ended = tokio::task::block_in_place(|| finish(&mut command));
    assert!(ended.status.success(), "user namespaces: {ended:?}");
    let read = |name: String| fs::read_to_string(out.join(name)).unwrap();
    (0..sizes.len())
        .map(|n| Ran {
            code: read(format!("{n}.code")).trim().to_owned(),
            said: read(format!("{n}.said")),
            tree: out.join(format!("{n}.tree")),
        })
        .collect()
}

fn assert_said_once(ran: &Ran) {
    assert_eq!(ran.code, "1", "{}", ran.said);
    assert_eq!(
        ran.said.matches("the disk is full").count(),
        1,
        "{}",
        ran.said
    );
    assert_eq!(
        ran.said.matches("free some space").count(),
        1,
        "{}",
        ran.said
    );
    assert_eq!(ran.said.matches("NOT RESTORED").count(), 0, "{}", ran.said);
    assert!(ran.said.contains("it goes on from here"), "{}", ran.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_in_the_middle_of_many_files() {
    if !Need::Namespaces.is_met() {
        return;
    }
    const FILES: usize = 200;
    const FILE_BYTES: usize = 128 << 10;
    let bench = Bench::new();
    for number in 0..FILES {
        let content = noise(number as u64, FILE_BYTES);
        let path = format!("d{}/{number}", number % 7);
        bench.put(&path, &Object::file(&content)).await;
    }
    let refused = on_a_disk_of(&bench, &[20], &["--quiet"]).remove(0);
    assert_eq!(refused.code, "1", "{}", refused.said);
    assert!(
        refused.said.contains("it needs at least 26.2 MB"),
        "{}",
        refused.said
    );
    assert_eq!(read_tree(&refused.tree), [""; 0]);
    fs::remove_dir_all(bench.folder("ran")).unwrap();

    // Up to its end, and then with room.
    let ran = on_a_disk_of(&bench, &[20, 100], &["--ignore-space"]);
    assert_said_once(&ran[0]);
    let there = read_tree(&ran[0].tree);
    assert!(there.len() > FILES / 2 && there.len() < FILES, "{there:?}");
    assert_eq!(ran[1].code, "0", "{}", ran[1].said);
    assert_eq!(read_tree(&ran[1].tree).len(), FILES);
    let again = format!("{} were there already and are the same", there.len());
    assert!(ran[1].said.contains(&again), "{again}: {}", ran[1].said);
    for run in &ran {
        for path in read_tree(&run.tree) {
            let number = path.rsplit('/').next().unwrap().parse().unwrap();
            let content = fs::read(run.tree.join(&path)).unwrap();
            assert!(content == noise(number, FILE_BYTES), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_in_the_middle_of_a_large_file() {
    if !Need::Namespaces.is_met() {
        return;
    }
    // Beyond the first checkpoint, which is written every 64 MiB.
    let bench = Bench::new();
    let content = noise(9, 96 << 20);
    bench.put("mail.pst", &Object::file(&content)).await;
    let ran = on_a_disk_of(&bench, &[80, 120], &["--ignore-space"]);
    assert_said_once(&ran[0]);
    let left = read_tree(&ran[0].tree);
    let is_partial = |name: &String| name.starts_with(".keepwatch-partial-");
    assert!(left.len() == 2 && left.iter().all(is_partial), "{left:?}");
    assert!(left[1].ends_with(".state"), "{left:?}");
    assert_eq!(ran[1].code, "0", "{}", ran[1].said);
    assert_eq!(read_tree(&ran[1].tree), ["mail.pst"]);
    assert!(fs::read(ran[1].tree.join("mail.pst")).unwrap() == content);
}
