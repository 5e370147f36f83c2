//! What people type for a file: its name alone, other capitals, letters and accents
//! put together otherwise, a path of some computer, a name as it was printed, a file
//! that is deleted. Each finds the file, and it is said what it was taken for.

use super::bench::{Bench, Object};
use super::command::text;
use crate::harness::os::name_of;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

const OFFER: &[u8] = b"Customers/Miller/offer.docx";
const CAFE: &[u8] = b"x/caf\xe9.txt";
const GONE: &[u8] = b"old/gone.txt";
const LETTER: &str = "Kunden/M\u{fc}ller/Brief.txt";

async fn office() -> Bench {
    let bench = Bench::new();
    for path in [
        OFFER,
        CAFE,
        LETTER.as_bytes(),
        b"one/same.txt",
        b"two/same.txt",
    ] {
        bench.put_at("", path, &Object::file(path)).await;
    }
    bench.put_at("", GONE, &Object::file(b"first")).await;
    bench.put_at("", GONE, &Object::file(GONE)).await;
    bench.delete("old/gone.txt").await;
    bench
}

/// What is typed by who stands above the source's folder, or has the bucket's name
/// before the eyes. Named after the bug: `docs/2026/Brief.txt` was not found.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_begins_with_the_source_s_own_name_is_found() {
    let bench = Bench::new();
    for path in ["2026/Brief.txt", "2025/Brief.txt", "old/Brief.txt"] {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    bench.delete("old/Brief.txt").await;
    let vault = bench.vault();
    for (number, (typed, want)) in [
        ("office/2026/Brief.txt", &["2026/Brief.txt"][..]),
        ("srv/Office/2026/brief.txt", &["2026/Brief.txt"]),
        ("office/2025", &["2025/Brief.txt"]),
        ("office/old/Brief.txt", &["old/Brief.txt"]),
        ("office", &["2025/Brief.txt", "2026/Brief.txt"]),
    ]
    .into_iter()
    .enumerate()
    {
        let out = bench.folder(&format!("out{number}"));
        let (to, from) = (text(&out), text(&vault));
        let arguments = ["restore", typed, "--vault", from, "--to", to];
        let (code, stdout, stderr) = super::command::run(&arguments);
        assert_eq!(code, 0, "{typed}: {stdout}{stderr}");
        let found: Vec<_> = files(&out).into_keys().collect();
        let want: Vec<_> = want.iter().map(|path| path.as_bytes()).collect();
        assert_eq!(found, want, "{typed}");
        assert!(stderr.contains(&format!("\"{typed}\" is not")), "{stderr}");
    }
    // Folders in front that nobody here knows may belong to another file.
    let out = bench.folder("unknown");
    let (to, from) = (text(&out), text(&vault));
    let arguments = [
        "restore",
        "docs/2026/Brief.txt",
        "--vault",
        from,
        "--to",
        to,
    ];
    let (code, _, stderr) = super::command::run(&arguments);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("there is: 2026/Brief.txt"), "{stderr}");
    assert!(!out.join("2026").exists());
}

/// A slip is named and not taken for what it may have meant; nothing is done, and
/// nobody is told to go on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_name_is_answered_with_what_there_is() {
    let bench = office().await;
    let vault = bench.vault();
    let out = bench.folder("out");
    let (to, from) = (text(&out), text(&vault));
    for (typed, want) in [
        (
            "Custmers/Miller/offer.docx",
            "there is: Customers/Miller/offer.docx",
        ),
        ("ofefr.docx", "there is: Customers/Miller/offer.docx"),
        ("Custmers", "there is: Customers"),
        (
            "no such thing.txt",
            "write paths from the source's folder on",
        ),
    ] {
        let arguments = ["restore", typed, "--vault", from, "--to", to];
        let (code, stdout, stderr) = super::command::run(&arguments);
        assert_eq!(code, 1, "{typed}: {stdout}{stderr}");
        assert!(stderr.contains(want), "{typed}: {stderr}");
        // Named after the bug: it was said of what had not begun.
        let all = format!("{stdout}{stderr}");
        assert!(!all.contains("Running it again"), "{typed}: {all}");
        assert!(!stdout.contains("0 files"), "{typed}: {stdout}");
        let arguments = ["versions", typed, "--vault", from];
        let (code, _, stderr) = super::command::run(&arguments);
        assert_eq!(code, 1, "{typed}: {stderr}");
        let want = want.replace("paths from", "one file's path from");
        assert!(stderr.contains(&want), "{typed}: {stderr}");
    }
    assert!(files(&out).is_empty());
    // With something that is there, it is restored, and the other one is named.
    let arguments = [
        "restore",
        "ofefr.docx",
        "same.text",
        "x/caf%E9.txt",
        "--vault",
        from,
        "--to",
        to,
    ];
    let (code, stdout, stderr) = super::command::run(&arguments);
    assert_eq!(code, 3, "{stdout}{stderr}");
    let line = "NOT FOUND in the backup: ofefr.docx (write it as it is called; there is: Customers/Miller/offer.docx)";
    assert!(stdout.contains(line), "{stdout}");
    assert!(
        stdout.starts_with("NOT everything that was asked for is there: see below.\n"),
        "{stdout}"
    );
    assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), [CAFE]);
}

/// Named after the bug: a deleted folder asked for a moment that nobody knows, and
/// `versions`, which was to say it, sent back to `restore`.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_deleted_comes_back_as_it_was_last() {
    let bench = Bench::new();
    let inside = [
        "gone/a.txt",
        "gone/in/b.txt",
        "gone/in/c.txt",
        "gone/long ago.txt",
    ];
    for path in inside
        .into_iter()
        .chain(["gone too.txt", "part/a.txt", "part/b.txt"])
    {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    bench.put("gone/a.txt", &Object::file(b"newer")).await;
    let there = [
        "gone/a.txt",
        "gone/in/b.txt",
        "gone/in/c.txt",
        "gone/long ago.txt",
    ];
    for path in there.into_iter().chain(["part/b.txt"]) {
        bench.delete(path).await;
    }
    let vault = bench.vault();
    for (number, typed) in ["gone", "gone/", "office/gone", "GONE"]
        .into_iter()
        .enumerate()
    {
        let out = bench.folder(&format!("out{number}"));
        let (to, from) = (text(&out), text(&vault));
        let arguments = ["restore", typed, "--vault", from, "--to", to];
        let (code, stdout, stderr) = super::command::run(&arguments);
        assert_eq!(code, 0, "{typed}: {stdout}{stderr}");
        assert!(stderr.contains("gone was deleted 20"), "{typed}: {stderr}");
        let found = files(&out);
        let mut want: Vec<_> = inside.map(|path| path.as_bytes().to_vec()).to_vec();
        want.sort();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), want, "{typed}");
        assert_eq!(found[&b"gone/a.txt"[..]], b"newer");
    }
    // What is there in part is restored as it is now.
    let out = bench.folder("part");
    let (to, from) = (text(&out), text(&vault));
    let (code, _, stderr) = super::command::run(&["restore", "part", "--vault", from, "--to", to]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), [b"part/a.txt"]);
}

/// Named after the bug: a name whose key is shortened was not found by likeness.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_like_it_is_found_under_a_shortened_key() {
    let bench = office().await;
    let long = format!("{}/Offer of 2026.txt", super::bench::long_path());
    bench.put(&long, &Object::file(b"long")).await;
    let (out, vault) = (bench.folder("out"), bench.vault());
    let (to, from) = (text(&out), text(&vault));
    let (code, stdout, stderr) =
        super::command::run(&["restore", "offer of 2026.TXT", "--vault", from, "--to", to]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(
        files(&out).into_keys().collect::<Vec<_>>(),
        [long.into_bytes()]
    );
}

/// Exit code and what was said on standard output and error.
fn run(arguments: &[&OsStr]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_keepwatch"))
        .args(arguments)
        .env_remove("KEEPWATCH_CONFIG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// All files below a folder, with their contents.
fn files(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = keepwatch::os::os_to_rel(path.strip_prefix(folder).unwrap());
                    let name = name.unwrap().as_bytes().to_vec();
                    found.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_type_for_a_file_finds_it_and_is_said() {
    let bench = office().await;
    let vault = bench.vault();
    let here = "is not there under this very name, but here: ";
    let cases: &[(&[u8], &[u8], &str)] = &[
        (
            b"offer.docx",
            OFFER,
            "but here: Customers/Miller/offer.docx",
        ),
        (b"Miller/offer.docx", OFFER, here),
        (b"miller/OFFER.docx", OFFER, here),
        (b"customers/miller/offer.docx", OFFER, here),
        (
            "Kunden/Mu\u{308}ller/Brief.txt".as_bytes(),
            LETTER.as_bytes(),
            here,
        ),
        ("BRIEF.TXT".as_bytes(), LETTER.as_bytes(), here),
        (br"x/caf\xE9.txt", CAFE, r"but here: x/caf\xE9.txt"),
        (b"x/caf%E9.txt", CAFE, ""),
        // As the shell completes it.
        (CAFE, CAFE, ""),
        (b"./x/caf\xe9.txt", CAFE, ""),
        (b"/srv/office/Customers/Miller/offer.docx", OFFER, here),
        (b"old/gone.txt", GONE, "old/gone.txt was deleted 20"),
        (b"Gone.txt", GONE, "old/gone.txt was deleted 20"),
    ];
    for (number, (typed, want, said)) in cases.iter().enumerate() {
        // Windows cannot hold a name that is no text.
        if cfg!(windows) && *want == CAFE {
            continue;
        }
        let typed = &name_of(typed).unwrap();
        let out = bench.folder(&format!("out{number}"));
        let restore = ["restore", "--vault", text(&vault), "--to", text(&out)].map(OsString::from);
        let mut arguments: Vec<&OsStr> = restore.iter().map(OsString::as_os_str).collect();
        arguments.push(typed);
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!(code, 0, "{typed:?}: {stdout}{stderr}");
        let found = files(&out);
        assert_eq!(
            found,
            BTreeMap::from([(want.to_vec(), want.to_vec())]),
            "{typed:?}"
        );
        assert!(stderr.contains(said), "{typed:?}: {stderr}");

        let versions = ["versions", "--vault", text(&vault)].map(OsString::from);
        let mut arguments: Vec<&OsStr> = versions.iter().map(OsString::as_os_str).collect();
        arguments.push(typed);
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!(code, 0, "{typed:?}: {stdout}{stderr}");
        let shown = keepwatch::types::RelPath::from_bytes(*want).unwrap();
        assert!(stdout.contains(&shown.to_string()), "{typed:?}: {stdout}");
    }
    // A folder of another name, and what is deleted beside what is not.
    let out = bench.folder("both");
    let base = ["restore", "--vault", text(&vault), "--to", text(&out)];
    let of = |more: &[&str]| {
        let all: Vec<OsString> = base.iter().chain(more).map(OsString::from).collect();
        run(&all.iter().map(OsString::as_os_str).collect::<Vec<_>>())
    };
    let (code, stdout, stderr) = of(&["MILLER", "gone.txt"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let found = files(&out);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        [&OFFER.to_vec(), &GONE.to_vec()]
    );
    // Which of two is meant is asked, and nothing is written.
    let (code, _, stderr) = of(&["same.txt"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("there are: one/same.txt, two/same.txt"),
        "{stderr}"
    );
    assert_eq!(files(&out), found);
    // Where a moment is given, it counts.
    let (code, _, stderr) = of(&["gone.txt", "--at", "now"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("it was deleted"), "{stderr}");
    let folder = ["versions", "Miller", "--vault", text(&vault)].map(OsString::from);
    let (code, _, stderr) = run(&folder.iter().map(OsString::as_os_str).collect::<Vec<_>>());
    assert!(
        code == 2 && stderr.contains("Customers/Miller is a folder"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_there_is_never_taken_for_another() {
    let bench = Bench::new();
    for path in ["a.txt", "A.txt", "deep/a.txt", "deep/b.txt"] {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    let vault = bench.vault();
    for (number, (typed, want)) in [
        ("a.txt", "a.txt"),
        ("A.txt", "A.txt"),
        ("B.txt", "deep/b.txt"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = bench.folder(&format!("out{number}"));
        let arguments = [
            "restore",
            typed,
            "--vault",
            text(&vault),
            "--to",
            text(&out),
        ];
        let (code, stdout, stderr) = super::command::run(&arguments);
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert_eq!(
            files(&out).into_keys().collect::<Vec<_>>(),
            [want.as_bytes()]
        );
    }
}
