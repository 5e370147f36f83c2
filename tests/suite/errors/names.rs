//! Names that keys, XML, URLs and terminals do not like: each comes into the
//! bucket under a key of its own, and back byte for byte.

use super::{start, status, unprotected, until_well};
use crate::harness::tree::tree;
use crate::harness::{BUCKET, Faults, Rig, finish, in_bucket, on_disk, program, scan_whole, until};
use crate::raw::versions;
use keepwatch::types::{Class, ContentHash};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

/// One per trap; each as a file, and as a folder with a file in it.
const NAMES: &[&[u8]] = &[
    b"\xff\xfe not UTF-8 \xc3",
    b"half an umlaut \xc3.txt",
    b"line\nbreak",
    b"tab\tand\x01control\x7f",
    b"carriage\rreturn",
    b"%41",
    b"%0A",
    b"100% sure",
    b"%",
    b"%%41",
    b"a+b",
    b"a b",
    b" leading",
    b"trailing ",
    b" ",
    b"a.",
    b"...",
    b"..hidden",
    b".hidden",
    b"-rf",
    b"back\\slash",
    b"quotes\"'`",
    b"<&amp;>",
    b"query?a=b#c",
    b"semi;colon:and,comma",
    b"*",
    b"[x]{y}~",
    b"CON",
    b"nul.txt",
    "NFC \u{fc}".as_bytes(),
    "NFD u\u{308}".as_bytes(),
    "emoji \u{1f389}".as_bytes(),
    "right to left \u{202e}cod.exe".as_bytes(),
    "not a character \u{fffe}\u{ffff}".as_bytes(),
    "C1 control \u{85}".as_bytes(),
    "zero width \u{200b}".as_bytes(),
    b"looks shortened~kw-0123456789abcdef0123456789abcdef",
];

fn restore(rig: &Rig, to: &str) -> std::path::PathBuf {
    let to = rig.dir.path().join(to);
    let vault = rig.vault_dir();
    let output = finish(program().arg("restore").args([
        OsStr::new("--to"),
        to.as_os_str(),
        OsStr::new("--vault"),
        vault.as_os_str(),
    ]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{error}");
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_names_come_in_and_come_back() {
    let rig = Rig::new();
    let long = [b'n'; 255];
    for name in NAMES.iter().copied().chain([&long[..]]) {
        fs::write(rig.root().join(OsStr::from_bytes(name)), name).unwrap();
        let folder = rig.path("folders").join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("inside"), name).unwrap();
        let empty = rig.path("empty folders").join(OsStr::from_bytes(name));
        fs::create_dir_all(&empty).unwrap();
    }
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    let count = NAMES.len() + 1;
    assert_eq!(in_bucket(&rig.store()).await.len(), 3 * count);

    // A comparison with the bucket takes none of them for a stranger's.
    let compared = scan_whole(&daemon.components().sources[0], false).await;
    assert!(compared.with_bucket && compared.complete(), "{compared:?}");
    assert_eq!(compared.foreign, 0, "{compared:?}");
    until_well(&rig, &daemon).await;
    let sent = versions(&rig.store(), BUCKET).await;
    assert_eq!(sent.len(), 3 * count, "something was sent twice");
    daemon.stop().await.unwrap();
    let restored = restore(&rig, "restored");
    assert!(tree(&restored) == tree(&rig.root()));

    // All of them gone again, under the same keys.
    fs::remove_dir_all(rig.root()).unwrap();
    fs::create_dir(rig.root()).unwrap();
    rig.write("the last one", "x");
    let daemon = start(&rig, &Faults::none()).await;
    // So much at once must be confirmed.
    let scan = daemon.components().sources[0].work.scans.ask_and_wait(true);
    assert!(scan.await.unwrap().complete());
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

/// A path of folders and one file with so many bytes.
fn path_of(bytes: usize) -> String {
    let mut path = String::new();
    while bytes - path.len() > 250 {
        path.push_str(&"f".repeat(200));
        path.push('/');
    }
    path.push_str(&"x".repeat(bytes - path.len()));
    path
}

/// A path of names like `name(0)`, `name(1)` with at most so many bytes.
fn path_made_of(name: impl Fn(usize) -> String, bytes: usize) -> String {
    let mut path = name(0);
    for number in 1.. {
        let next = name(number);
        if path.len() + 1 + next.len() > bytes {
            break;
        }
        path = format!("{path}/{next}");
    }
    path
}

/// Beside paths of plain letters those in Cyrillic and with many blanks, which took
/// more than S3's 2 KB of metadata and were refused by the server for ever.
#[tokio::test(flavor = "multi_thread")]
async fn long_paths_are_shortened_and_the_longest_are_named() {
    let rig = Rig::new();
    let storable = [1006, 1007, 1023, 1024, 1025, 1300, 1500, 1501];
    for bytes in storable {
        rig.write(&path_of(bytes), format!("{bytes}"));
    }
    rig.write("a.txt", "a");
    let cyrillic = |n: usize| format!("Договоры с поставщиками, подписанные экземпляры № {n}");
    let blanks = |n: usize| format!("{n} a  b  c  d  e  f  g");
    for path in [path_made_of(cyrillic, 2_200), path_made_of(blanks, 1_400)] {
        rig.write(&path, &path);
    }
    // Nothing packs them.
    let too_long = path_made_of(
        |n| ContentHash::of(n.to_string().as_bytes()).to_hex(),
        3_600,
    );
    rig.write(&too_long, "too long");
    let daemon = start(&rig, &Faults::none()).await;
    let store = rig.store();
    let all_but_one = || {
        let mut disk = on_disk(&rig.root());
        assert!(disk.remove(&too_long).is_some());
        disk
    };
    until("all but one are in", async || {
        !unprotected(&daemon).is_empty() && in_bucket(&store).await == all_but_one()
    })
    .await;
    let told = status(&rig).await;
    assert_eq!((told.unprotected_total, told.board.outage), (1, None));
    let fault = &told.unprotected[0].0;
    assert_eq!(
        (fault.class, &fault.subject),
        (Class::Unstorable, &too_long)
    );
    assert!(fault.hint.contains("shorter name"), "{fault}");
    assert!(fault.to_string().contains("too long for S3"), "{fault}");
    for item in store
        .list(crate::harness::BUCKET, "", None, 1000)
        .await
        .unwrap()
        .items
    {
        assert!(item.key.len() <= 1006, "{}", item.key);
    }

    // With its folders: the last of them, empty, would be too long as well.
    let (top, _) = too_long.split_once('/').unwrap();
    fs::remove_dir_all(rig.path(top)).unwrap();
    until_well(&rig, &daemon).await;
    // A long one is edited, another renamed, as any other file.
    rig.write(&path_of(1500), "edited");
    fs::rename(rig.path(&path_of(1300)), rig.path(&path_of(1301))).unwrap();
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
    let restored = restore(&rig, "restored");
    assert!(tree(&restored) == tree(&rig.root()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_be_a_file_then_a_folder_then_a_file() {
    let rig = Rig::new();
    rig.write("both", "a file");
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    for round in 0..2 {
        fs::remove_file(rig.path("both")).unwrap();
        rig.write("both/inside/deep.txt", format!("{round}"));
        fs::create_dir(rig.path("both/empty")).unwrap();
        until_well(&rig, &daemon).await;
        fs::remove_dir_all(rig.path("both")).unwrap();
        rig.write("both", format!("a file again {round}"));
        until_well(&rig, &daemon).await;
    }
    daemon.stop().await.unwrap();
    let restored = restore(&rig, "restored");
    assert!(tree(&restored) == tree(&rig.root()));
}
