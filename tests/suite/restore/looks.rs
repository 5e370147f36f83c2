//! Times far away and set-user-id bits: what comes back, and what is said of it.

use super::bench::{Bench, Object};
use super::command::{run, text};
use keepwatch::os::time_of_ns;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

const S: i128 = 1_000_000_000;

/// Modification times, nanoseconds since 1970.
const TIMES: [i128; 8] = [
    0,
    -S - 1,
    // 1601, 1901, 2262 and a moment after it, 2446, 9999, and the year 60,000.
    -11_644_473_600 * S,
    -2_177_452_800 * S,
    i64::MAX as i128,
    i64::MAX as i128 + 1,
    253_402_300_799 * S,
    1_830_000_000_000 * S,
];

fn mtime_ns(path: &Path) -> i128 {
    let modified = std::fs::symlink_metadata(path).unwrap().modified().unwrap();
    match modified.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap(),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap(),
    }
}

/// What the disk makes of a time: `None` where it refuses it.
fn held(folder: &Path, ns: i128) -> Option<i128> {
    let path = folder.join("probe");
    let file = File::create(&path).unwrap();
    let done = file.set_modified(time_of_ns(ns));
    let held = mtime_ns(&path);
    std::fs::remove_file(&path).unwrap();
    done.ok().map(|()| held)
}

/// Named after the bug: a date beyond 2262 came back as one in 2262, with "All is
/// well".
#[tokio::test(flavor = "multi_thread")]
async fn a_time_comes_back_exactly_or_is_named() {
    let bench = Bench::new();
    let (out, vault) = (bench.folder("out"), bench.vault());
    for (number, ns) in TIMES.into_iter().enumerate() {
        let name = format!("file{number}");
        bench.put(&name, &Object::file(b"x").mtime_ns(ns)).await;
        let link = format!("link{number}");
        bench.put(&link, &Object::link(b"x").mtime_ns(ns)).await;
        let command = ["restore", &name, &link, "--vault", text(&vault)];
        let command = [&command[..], &["--to", text(&out)]].concat();
        let (code, stdout, stderr) = run(&command);
        let is_held =
            held(bench.folder("").as_path(), ns).is_some_and(|held| (held - ns).abs() < S);
        if is_held {
            assert_eq!(code, 0, "{ns}: {stdout}{stderr}");
            assert!((mtime_ns(&out.join(&name)) - ns).abs() < S, "{ns}");
            assert!((mtime_ns(&out.join(&link)) - ns).abs() < S, "{ns}");
            assert!(stdout.contains("All is well"), "{stdout}");
        } else {
            assert_eq!(code, 3, "{ns}: {stdout}{stderr}");
            assert!(stderr.contains(&name), "{ns}: {stderr}");
            assert!(!stdout.contains("All is well"), "{stdout}");
        }
    }
}

/// The whole way: stored, compared, taken over by a manifest, restored, compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_time_far_away_rests_and_comes_back() {
    let bench = Bench::new();
    let at = |name: &str| bench.folder(name);
    for folder in ["docs", "other-vault"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    let mut kept = Vec::new();
    for (number, ns) in TIMES.into_iter().enumerate() {
        let path = at("docs").join(format!("f{number}"));
        std::fs::write(&path, format!("{ns}")).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        // What this disk cannot hold is another time, and that is the file's.
        if file.set_modified(time_of_ns(ns)).is_ok() {
            kept.push((format!("f{number}"), mtime_ns(&path)));
        }
    }
    let config = at("keepwatch.toml");
    let toml = format!(
        "[vault]\npath = '{}'\n[state]\ndir = '{}'\n[log]\ndir = '{}'\n\
         [[source]]\nname = 'docs'\npath = '{}'\nbucket = 'office-docs'\n",
        text(&at("other-vault")),
        text(&at("state")),
        text(&at("log")),
        text(&at("docs")),
    );
    std::fs::write(&config, toml).unwrap();
    let with = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&[arguments, &["--config", text(&config)]].concat());
        assert_eq!(code, 0, "{arguments:?}: {stdout}{stderr}");
        stdout
    };
    with(&["--reconcile"]);
    for round in ["again", "index lost"] {
        let said = with(&["--reconcile"]);
        let want = "nothing to send: the bucket has everything";
        assert!(said.contains(want), "{round}: {said}");
        std::fs::remove_dir_all(at("state")).unwrap();
    }
    with(&["restore", "--to", text(&at("out"))]);
    for (name, ns) in &kept {
        assert_eq!(mtime_ns(&at("out").join(name)), *ns, "{name}");
    }
    with(&["restore", "--diff"]);
    let said = with(&["restore", "--diff", "--json"]);
    assert!(said.contains("\"same\":8"), "{said}");
}

/// Named after the bug: whoever could write to the bucket could have a program run
/// as root, once root restored it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn set_user_id_comes_back_only_when_it_is_asked_for() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let bench = Bench::new();
    let me = std::fs::metadata(bench.vault()).unwrap();
    let is_root = me.uid() == 0;
    let object = |mode| {
        let mut object = Object::file(b"#!").mode(mode);
        object.meta.owner = Some((me.uid(), me.gid()));
        object
    };
    for (name, mode) in [
        ("su", 0o4755),
        ("sg", 0o2755),
        ("both", 0o6711),
        ("plain", 0o755),
    ] {
        bench.put(name, &object(mode)).await;
    }
    let mut folder = Object::folder().mode(0o2775);
    folder.meta.owner = Some((me.uid(), me.gid()));
    bench.put("shared", &folder).await;
    let vault = bench.vault();
    let mode = |to: &str, name: &str| {
        let meta = std::fs::metadata(bench.folder(to).join(name)).unwrap();
        meta.permissions().mode() & 0o7777
    };
    let restore = |to: &str, more: &[&str]| {
        let to = bench.folder(to);
        let base = ["restore", "--vault", text(&vault), "--to", text(&to)];
        run(&[&base[..], more].concat())
    };
    // The second time all is there, and it is said again.
    for round in 0..2 {
        let (code, stdout, stderr) = restore("out", &[]);
        assert_eq!(code, 3, "{round}: {stdout}{stderr}");
        for (name, want) in [
            ("su", 0o755),
            ("sg", 0o755),
            ("both", 0o711),
            ("plain", 0o755),
        ] {
            assert_eq!(mode("out", name), want, "{name}");
            let named = stderr
                .lines()
                .any(|line| line.contains(&format!(" {name}: cannot give back")));
            assert_eq!(named, name != "plain", "{name}: {stderr}");
        }
        assert!(stdout.contains("LOOK AT 3 files"), "{stdout}");
        assert!(stderr.contains("--keep-set-user-id"), "{stderr}");
    }
    // A folder's group is inherited only.
    assert_eq!(mode("out", "shared"), if is_root { 0o2775 } else { 0o775 });
    let (code, stdout, stderr) = restore("kept", &["--keep-set-user-id"]);
    assert_eq!(code, if is_root { 0 } else { 3 }, "{stdout}{stderr}");
    if is_root {
        assert_eq!(mode("kept", "su"), 0o4755);
        // In place, what the file may do on this computer already stays.
        let su = bench.folder("kept").join("su");
        File::options()
            .write(true)
            .open(&su)
            .unwrap()
            .set_modified(time_of_ns(5 * S))
            .unwrap();
        let (code, stdout, stderr) = restore("kept", &["su", "--in-place"]);
        assert_eq!((code, mode("kept", "su")), (0, 0o4755), "{stdout}{stderr}");
    }
}
