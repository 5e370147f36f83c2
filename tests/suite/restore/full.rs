//! A disk that is full in the middle of a restore.

use super::bench::{Bench, Object, read_tree};
use super::room::noise;
use crate::harness::{finish, program};
use crate::needs::Need;
use std::fs;
use std::process::Command;

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
