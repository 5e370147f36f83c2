//! Extended attributes and access control lists.

use super::{reconcile, restore, said};
use crate::harness::{Rig, finish, in_bucket, program, until, write_config};
use crate::needs::Need;
use crate::restore::bench::{Bench, Object};
use keepwatch::files;
use keepwatch::s3::At;
use keepwatch::types::{ACL, Attributes, Carried, ContentHash};
use rustix::fs::XattrFlags;
use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

const DEFAULT_ACL: &str = "system.posix_acl_default";

/// An account that is nobody's, as whom root plays an ordinary user.
const ACCOUNT: u32 = 47_113;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set(path: &Path, name: &str, value: &[u8]) {
    let done = rustix::fs::setxattr(path, name, value, XattrFlags::empty());
    done.unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
}

fn of(path: &Path) -> Attributes {
    let kept = files::attributes_of(&File::open(path).unwrap());
    assert_eq!(kept.lost, None);
    kept.attributes
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// user::rw-, user:ACCOUNT:`user`, group::---, mask::rwx, other::---
fn acl(user: u16) -> Vec<u8> {
    let entry = |tag: u16, perm: u16, id: u32| {
        let [tag, perm] = [tag, perm].map(u16::to_le_bytes);
        [&tag[..], &perm, &id.to_le_bytes()].concat()
    };
    [
        vec![2, 0, 0, 0],
        entry(1, 7, u32::MAX),
        entry(2, user, ACCOUNT),
        entry(4, 0, u32::MAX),
        entry(16, 7, u32::MAX),
        entry(32, 0, u32::MAX),
    ]
    .concat()
}

/// What has attributes of every kind: files small and large, folders empty and filled.
const WITH: [&str; 6] = [
    "a.txt",
    "large.bin",
    "many.txt",
    "table.csv",
    "empty",
    "filled",
];

fn office(rig: &Rig) {
    rig.write("a.txt", "a");
    rig.write("plain.txt", "none");
    rig.write("large.bin", vec![7; 9 << 20]);
    rig.write("many.txt", "more than metadata holds");
    rig.write("table.csv", "a;b\n".repeat(500));
    rig.write("filled/in.txt", "in");
    fs::create_dir(rig.path("empty")).unwrap();
    for name in WITH {
        set(&rig.path(name), "user.comment", name.as_bytes());
        set(&rig.path(name), ACL, &acl(6));
    }
    set(&rig.path("many.txt"), "user.icon", &[9; 3_000]);
    for folder in ["empty", "filled"] {
        set(&rig.path(folder), DEFAULT_ACL, &acl(7));
    }
    if is_root() {
        set(&rig.path("a.txt"), "security.NTACL", b"what Samba keeps");
        // The computer's own: it stays here.
        set(&rig.path("a.txt"), "trusted.overlay", b"x");
    }
}

fn assert_same(rig: &Rig, to: &Path) {
    for name in WITH.iter().chain(&["plain.txt", "filled/in.txt"]) {
        assert_eq!(of(&to.join(name)), of(&rig.path(name)), "{name}");
        assert_eq!(mode(&to.join(name)), mode(&rig.path(name)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_come_back_from_nothing_but_the_bucket() {
    let rig = Rig::new();
    office(&rig);
    reconcile(&rig);
    let to = rig.dir.path().join("back");
    let output = restore(&rig, &to, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // The object that has the many is nobody's file, and no stranger's.
    assert!(text.contains("All is well"), "{text}");
    assert!(!text.contains("were not written by Keepwatch"), "{text}");
    assert_same(&rig, &to);
    assert_eq!(of(&to.join("plain.txt")), Attributes::default());
    if is_root() {
        let mut buffer = [0; 16];
        let own = rustix::fs::getxattr(to.join("a.txt"), "trusted.overlay", &mut buffer[..]);
        assert_eq!(own, Err(rustix::io::Errno::NODATA));
    }

    // Nothing is stored again for them, with the index and without it.
    let again = reconcile(&rig);
    assert!(again.contains("nothing to send"), "{again}");
    assert!(!again.contains("were not written by Keepwatch"), "{again}");
    rig.lose_state();
    let anew = reconcile(&rig);
    assert!(anew.contains("nothing to send"), "{anew}");
}

/// A list that changes alone is a version of its own, without its content being sent,
/// and each moment has its own.
/// Named after the bug: what came back into a folder that gives its list to all that is
/// new could be read by whom that list names.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_gets_no_list_from_the_folder_that_it_comes_into() {
    let rig = Rig::new();
    rig.write("plain.txt", "none");
    rig.write("folder/in.txt", "in");
    fs::create_dir(rig.path("empty")).unwrap();
    reconcile(&rig);
    let to = rig.dir.path().join("shared");
    fs::create_dir(&to).unwrap();
    set(&to, DEFAULT_ACL, &acl(7));
    let output = restore(&rig, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for name in ["plain.txt", "folder", "folder/in.txt", "empty"] {
        let (was, is) = (rig.path(name), to.join(name));
        assert_eq!(of(&is), Attributes::default(), "{name}");
        assert_eq!(mode(&is), mode(&was), "{name}");
    }
    assert!(!of(&to).is_empty(), "the folder itself is the user's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_list_alone_is_stored_and_each_moment_has_its_own() {
    let rig = Rig::new();
    office(&rig);
    let (before, lists) = (of(&rig.path("large.bin")), of(&rig.path("empty")));
    reconcile(&rig);
    // Beyond the grain of the clocks on both sides.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let at = jiff::Timestamp::now().to_string();
    tokio::time::sleep(Duration::from_millis(50)).await;
    set(&rig.path("large.bin"), ACL, &acl(4));
    set(&rig.path("a.txt"), "user.comment", b"another");
    set(&rig.path("empty"), DEFAULT_ACL, &acl(4));
    rustix::fs::removexattr(rig.path("table.csv"), "user.comment").unwrap();
    let text = reconcile(&rig);
    let words =
        "0 versions stored (0 bytes, 0 bytes in the bucket), 4 updated without sending content";
    assert!(text.contains(words), "{text}");
    let now = rig.dir.path().join("now");
    assert_eq!(restore(&rig, &now, &[]).status.code(), Some(0));
    assert_same(&rig, &now);
    let then = rig.dir.path().join("then");
    let output = restore(&rig, &then, &["--at", &at]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(of(&then.join("large.bin")), before);
    assert_eq!(of(&then.join("empty")), lists);
    let comment = |name: &str| {
        let all = of(&then.join(name));
        all.iter()
            .find(|(n, _)| *n == "user.comment")
            .map(|(_, v)| v.to_vec())
    };
    assert_eq!(comment("a.txt"), Some(b"a.txt".to_vec()));
    assert_eq!(comment("table.csv"), Some(b"table.csv".to_vec()));

    // With the folder of today, and with the moment now.
    for against in [&["--diff"][..], &["--diff", "now"]] {
        let config = write_config(&rig, "");
        let mut command = program();
        command.args(["--config", config.to_str().unwrap()]);
        command.args(["restore", "large.bin", "many.txt", "--at", &at]);
        let differ = finish(command.args(against));
        let text = said(&differ);
        assert_eq!(differ.status.code(), Some(4), "{text}");
        assert!(
            text.contains("large.bin") && !text.contains("many.txt"),
            "{text}"
        );
    }

    // To overwrite what stands there means these as well.
    let output = restore(&rig, &then, &["--overwrite"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for name in ["large.bin", "a.txt"] {
        assert_eq!(of(&then.join(name)), of(&rig.path(name)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_sees_them_change() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let store = rig.store();
    let carried = async || {
        let at = At {
            bucket: crate::harness::BUCKET,
            key: "a.txt",
        };
        let head = store.head(at, None).await.unwrap().unwrap();
        head.meta.unwrap().attributes
    };
    assert_eq!(carried().await, Carried::Nothing);
    set(&rig.path("a.txt"), ACL, &acl(6));
    let wanted = of(&rig.path("a.txt"));
    until("the list is in the bucket", async || {
        carried().await == Carried::Here(wanted.clone())
    })
    .await;
    rustix::fs::removexattr(rig.path("a.txt"), ACL).unwrap();
    until("it is gone there", async || {
        carried().await == Carried::Nothing
    })
    .await;
    assert_eq!(in_bucket(&store).await.len(), 1);
    daemon.stop().await.unwrap();
}

/// Whoever writes into the bucket gives no program here the computer's rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gives_no_rights_to_programs() {
    let bench = Bench::new();
    let mut attributes = Attributes::default();
    attributes.insert("user.comment".into(), b"harmless".to_vec());
    for name in [
        "security.capability",
        "trusted.overlay",
        "security.selinux",
        "system.nfs4_acl",
    ] {
        attributes.insert(name.into(), vec![1; 20]);
    }
    let mut object = Object::file(b"#!/bin/sh").mode(0o755);
    object.meta.attributes = Carried::Here(attributes);
    bench.put("program", &object).await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.otherwise), (1, 1), "{restored:?}");
    let fault = restored.left_out.items[0].to_string();
    for name in ["security.capability", "trusted.overlay", "security.selinux"] {
        assert!(fault.contains(name), "{fault}");
    }
    let program = bench.folder("out").join("program");
    let all = files::attributes_of(&File::open(&program).unwrap()).attributes;
    assert_eq!(all.to_text(), "user.comment:aGFybWxlc3M=");
    let mut buffer = [0; 64];
    let capability = rustix::fs::getxattr(&program, "security.capability", &mut buffer[..]);
    assert_eq!(capability, Err(rustix::io::Errno::NODATA));
}

/// Named after the bug: what came from Windows differed here for ever, as nothing on this
/// computer can have what Windows keeps of a file.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_windows_keeps_is_named_and_is_no_difference_here() {
    let bench = Bench::new();
    let mut attributes = Attributes::default();
    attributes.insert("user.comment".into(), b"mine".to_vec());
    attributes.insert("windows.attributes".into(), b"hidden".to_vec());
    attributes.insert("windows.sddl".into(), b"O:BA".to_vec());
    let mut object = Object::file(b"hello");
    object.meta.attributes = Carried::Here(attributes);
    bench.put("a.txt", &object).await;
    let to = bench.folder("out");
    let run = |more: &[&str]| {
        let mut command = program();
        command.args(["restore", "--vault", bench.vault().to_str().unwrap()]);
        command.args(["--to", to.to_str().unwrap()]).args(more);
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        said(&output)
    };
    let text = run(&[]);
    for name in ["windows.attributes", "windows.sddl"] {
        let line = format!("{name}: it is of another operating system");
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(of(&to.join("a.txt")).to_text(), "user.comment:bWluZQ==");
    let text = run(&["--in-place"]);
    assert!(
        text.contains("1 was there already and is the same"),
        "{text}"
    );
    set(&to.join("a.txt"), "user.comment", b"another");
    let text = run(&["--in-place"]);
    assert!(text.contains("1 file (0 bytes)"), "{text}");
    assert_eq!(of(&to.join("a.txt")).to_text(), "user.comment:bWluZQ==");
}

/// What this account may not give is named, and costs neither the file nor the run.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_ordinary_account_may_not_give_is_named() {
    let bench = Bench::new();
    let mut attributes = Attributes::default();
    attributes.insert("user.comment".into(), b"mine".to_vec());
    attributes.insert("security.NTACL".into(), b"root's alone".to_vec());
    attributes.insert(ACL.into(), acl(6));
    let mut object = Object::file(b"hello").mode(0o670);
    object.meta.attributes = Carried::Here(attributes.clone());
    bench.put("a.txt", &object).await;
    let to = tempfile::tempdir().unwrap();
    for folder in [to.path(), bench.vault().parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = program();
    command.args(["restore", "--vault", bench.vault().to_str().unwrap()]);
    command.args(["--to", to.path().join("out").to_str().unwrap()]);
    if is_root() {
        open_to_all(&bench.vault());
        command.uid(ACCOUNT).gid(ACCOUNT).env("HOME", to.path());
    }
    let output = finish(&mut command);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("security.NTACL: Operation not permitted"),
        "{text}"
    );
    let file = to.path().join("out/a.txt");
    let mut buffer = [0; 100];
    let bytes = rustix::fs::getxattr(&file, ACL, &mut buffer[..]).unwrap();
    assert_eq!(buffer[..bytes], acl(6));
    let bytes = rustix::fs::getxattr(&file, "user.comment", &mut buffer[..]).unwrap();
    assert_eq!(&buffer[..bytes], b"mine");
}

fn open_to_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_folder = path.is_dir();
        let mode = if is_folder { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if is_folder {
            open_to_all(&path);
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where they lie apart and are gone or altered, the file comes back and is named.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_object_that_has_them_the_file_comes_back_and_is_named() {
    let text = "user.comment:aGFybWxlc3M=";
    for body in [Some(text), Some("user.comment:x"), None] {
        let bench = Bench::new();
        let hash = ContentHash::of(text.as_bytes());
        if let Some(body) = body {
            let key = format!(".keepwatch/attributes/{}", hash.to_hex());
            bench
                .put_raw(&key, &Object::file(body.as_bytes()), &[])
                .await;
        }
        let mut object = Object::file(b"hello");
        object.meta.attributes = Carried::Apart(hash);
        object.meta.mode = 0o660;
        bench.put("a.txt", &object).await;
        let restored = bench.restore("out").await.unwrap();
        let is_whole = body == Some(text);
        assert_eq!(restored.files, 1, "{body:?}: {restored:?}");
        assert_eq!(restored.failed.total, 0, "{body:?}: {restored:?}");
        assert_eq!(
            restored.otherwise,
            u64::from(!is_whole),
            "{body:?}: {restored:?}"
        );
        let file = bench.folder("out").join("a.txt");
        assert_eq!(fs::read(&file).unwrap(), b"hello");
        let wanted = if is_whole { text } else { "" };
        assert_eq!(of(&file).to_text(), wanted);
        // They may have been a list, whose mask the group's bits are.
        let group = if is_whole { 0o060 } else { 0 };
        assert_eq!(mode(&file) & 0o070, group, "{body:?}");
    }
}

/// On a disk that has no lists, the group gets no more than its entry gave it.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_lists_gives_the_group_no_more() {
    if !Need::Mounts.is_met() {
        return;
    }
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let disk = tempfile::tempdir().unwrap();
    mount("ramfs", disk.path(), "ramfs", MountFlags::empty(), c"")
        .unwrap_or_else(|error| panic!("this test mounts a disk of its own: {error}"));
    let bench = Bench::new();
    let mut attributes = Attributes::default();
    attributes.insert(ACL.into(), acl(7));
    let mut object = Object::file(b"hello").mode(0o670);
    object.meta.attributes = Carried::Here(attributes);
    bench.put("a.txt", &object).await;
    let target = keepwatch::files::Target::open(&disk.path().join("out")).unwrap();
    let restored = bench
        .restore_with("out", |request| {
            request.target = std::sync::Arc::new(target);
            request.options.ignore_space = true;
        })
        .await;
    let found = mode(&disk.path().join("out/a.txt"));
    unmount(disk.path(), UnmountFlags::DETACH).unwrap();
    let restored = restored.unwrap();
    assert_eq!((restored.files, found), (1, 0o600), "{restored:?}");
    let fault = restored.left_out.items[0].to_string();
    assert!(fault.contains(ACL), "{fault}");
    assert!(restored.is_complete(), "{restored:?}");
}
