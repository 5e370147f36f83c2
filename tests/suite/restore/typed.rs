//! What people type for a file: its name alone, other capitals, letters and accents
//! put together otherwise, a path of some computer, a name as it was printed, a file
//! that is deleted. Each finds the file, and it is said what it was taken for.

use super::bench::{Bench, Object};
use super::command::text;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
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
                    let name = path.strip_prefix(folder).unwrap().as_os_str();
                    found.insert(name.as_bytes().to_vec(), std::fs::read(&path).unwrap());
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
        let typed = OsStr::from_bytes(typed);
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
        let shown = keepwatch::model::RelPath::from_bytes(*want).unwrap();
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
