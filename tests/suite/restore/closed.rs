//! Folders that are closed to their own owner, restored by an ordinary user: what did
//! not come the first time comes when it is run again, and every folder has its mode.

use super::bench::{BUCKET, Bench, Object};
use crate::harness::{alter, finish};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// An account of nobody.
const ACCOUNT: u32 = 47_113;

const MODES: [(&str, u32); 5] = [
    ("read only", 0o555),
    ("read only/inner", 0o500),
    ("open", 0o750),
    ("nobody", 0o000),
    ("nobody/inner", 0o400),
];

/// Run the program as an ordinary user; its exit code and what it says.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepwatch"));
    if rustix::process::geteuid().is_root() {
        command.uid(ACCOUNT).gid(ACCOUNT);
    }
    command.args(arguments).env_remove("KEEPWATCH_CONFIG");
    let output = finish(&mut command);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), text)
}

/// Modes and files below a folder; this process may be root, or opens what it has to.
fn tree(root: &Path) -> (BTreeMap<String, u32>, Vec<String>) {
    let (mut modes, mut files) = (BTreeMap::new(), Vec::new());
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().mode() & 0o7777;
        let name = |path: &Path| {
            path.strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        modes.insert(name(&folder), mode);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(name(&path)),
            }
        }
    }
    files.sort();
    modes.remove("");
    (modes, files)
}

/// Put the modes back that [`tree`] took.
fn close(root: &Path, modes: &BTreeMap<String, u32>) {
    for (name, mode) in modes.iter().rev() {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(*mode)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_first_restore_left_out_of_closed_folders_comes_with_the_second() {
    let bench = Bench::new();
    let want_modes: BTreeMap<String, u32> = MODES
        .iter()
        .map(|(name, mode)| ((*name).to_owned(), *mode))
        .collect();
    for (name, mode) in MODES {
        bench.put(name, &Object::folder().mode(mode)).await;
        bench
            .put(&format!("{name}/first.txt"), &Object::file(b"first"))
            .await;
    }
    let vault = bench.vault();
    let out = bench.folder("home/out");
    let base = bench.folder("home");
    fs::create_dir(&base).unwrap();
    fs::set_permissions(base.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    give(&base);
    give(&vault);
    let restore = || {
        let arguments = [
            "restore",
            "--vault",
            vault.to_str().unwrap(),
            "--to",
            out.to_str().unwrap(),
        ];
        run(&arguments)
    };
    let (code, said) = restore();
    assert_eq!(code, Some(0), "{said}");
    let (modes, files) = tree(&out);
    assert_eq!(modes, want_modes);
    assert_eq!(files.len(), MODES.len());
    // As after a restore that was cut short: some files and a folder are not there yet.
    for (name, _) in MODES {
        fs::remove_file(out.join(name).join("first.txt")).unwrap();
    }
    fs::remove_dir(out.join("nobody/inner")).unwrap();
    let left: BTreeMap<String, u32> = modes
        .iter()
        .filter(|(name, _)| *name != "nobody/inner")
        .map(|(name, mode)| (name.clone(), *mode))
        .collect();
    close(&out, &left);
    let (code, said) = restore();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("All is well"), "{said}");
    let (modes, files) = tree(&out);
    assert_eq!(modes, want_modes);
    assert_eq!(files.len(), MODES.len());
    close(&out, &modes);
    // Nothing to do is nothing to open.
    let (code, said) = restore();
    assert_eq!(code, Some(0), "{said}");
    let (modes, _) = tree(&out);
    assert_eq!(modes, want_modes);
}

/// Let the account own it and all below it.
fn give(root: &Path) {
    if rustix::process::geteuid().is_root() {
        for path in walk(root) {
            std::os::unix::fs::lchown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        }
    }
}

fn walk(root: &Path) -> Vec<std::path::PathBuf> {
    let (mut all, mut folders) = (vec![root.to_owned()], vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            all.push(path);
        }
    }
    all
}

/// What somebody closed is opened for the writing alone, however the restore ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_somebody_closed_has_its_mode_again_also_after_a_failure() {
    let bench = Bench::new();
    bench.put("theirs", &Object::folder().mode(0o755)).await;
    bench.put("theirs/a.txt", &Object::file(b"a")).await;
    let vault = bench.vault();
    let base = bench.folder("home");
    fs::create_dir(&base).unwrap();
    fs::set_permissions(base.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    for is_damaged in [false, true] {
        let out = base.join(format!("out-{is_damaged}"));
        let theirs = out.join("theirs");
        fs::create_dir_all(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o550)).unwrap();
        if is_damaged {
            alter(&vault.join(BUCKET).join("theirs/a.txt"));
        }
        give(&base);
        give(&vault);
        let arguments = [
            "restore",
            "--vault",
            vault.to_str().unwrap(),
            "--to",
            out.to_str().unwrap(),
        ];
        let (code, said) = run(&arguments);
        assert_eq!(code, Some(if is_damaged { 3 } else { 0 }), "{said}");
        let mode = fs::metadata(&theirs).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o550, "{said}");
        assert_eq!(theirs.join("a.txt").exists(), !is_damaged);
    }
}
