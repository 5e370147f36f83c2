//! Names that Windows cannot hold, and what is printed to be copied for them.

use super::bench::{BUCKET, Bench, Object, long_path, read_tree};
use super::command::{run, text};
use keepwatch::os::shell_word;
use keepwatch::types::{RelKey, RelPath};
use std::path::Path;
use std::process::Command;

/// Named after the bug: `restore "Rechnung [2].docx"` brought `Rechnung 2.docx`
/// back as well, and in place rolled it back.
#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_file_is_no_pattern_for_others() {
    let bench = Bench::new();
    let long = format!("{}/[x]", long_path());
    // What is asked for, what is there, what comes.
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "Rechnung [2].docx",
            &["Rechnung [2].docx", "Rechnung 2.docx"],
            &["Rechnung [2].docx"],
        ),
        ("./a/[b]", &["a/[b]/x", "a/b/x"], &["a/[b]/x"]),
        ("a/[b]/", &["a/[b]/x", "a/b/x"], &["a/[b]/x"]),
        ("x*", &["x*", "xy", "x"], &["x*"]),
        ("what?", &["what?", "what!"], &["what?"]),
        ("{a,b}", &["{a,b}", "a", "b"], &["{a,b}"]),
        (r"a\*", &[r"a\*", r"a\b"], &[r"a\*"]),
        ("[!a]", &["[!a]", "b"], &["[!a]"]),
        ("**", &["**/in", "other"], &["**/in"]),
        (&long, &[&long, "x"], &[&long]),
        // Nothing is called so: a pattern.
        (
            "Rechnung [2].docx",
            &["Rechnung 2.docx", "other"],
            &["Rechnung 2.docx"],
        ),
        ("a/[b]", &["a/b/x", "a/[b]x"], &["a/b/x"]),
        ("[!a]", &["b", "a"], &["b"]),
        ("caf%E9", &["caf%E9"], &["caf%E9"]),
    ];
    for (number, (what, there, want)) in cases.iter().enumerate() {
        let prefix = format!("s{number}/");
        for path in *there {
            bench
                .put_at(&prefix, path, &Object::file(path.as_bytes()))
                .await;
        }
        for is_deleted in [false, true] {
            let at = jiff::Timestamp::now().to_string();
            if is_deleted {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                for path in *there {
                    let key = RelKey::of_file(&RelPath::from_bytes(*path).unwrap());
                    bench.delete(&key.in_bucket(&prefix).key).await;
                }
            }
            let out = bench.folder(&format!("out{number}{is_deleted}"));
            let (code, stdout, stderr) = run(&[
                "restore",
                what,
                "--at",
                &at,
                "--vault",
                text(&bench.vault()),
                "--bucket",
                BUCKET,
                "--prefix",
                &prefix,
                "--to",
                text(&out),
            ]);
            assert_eq!(code, 0, "{what}: {stdout}{stderr}");
            let want: Vec<String> = want.iter().map(|path| path.replace('\\', "/")).collect();
            assert_eq!(read_tree(&out), want, "{what}: {stdout}{stderr}");
            let is_name = there.iter().any(|path| {
                let name = what.trim_start_matches("./").trim_end_matches('/');
                *path == name || path.starts_with(&format!("{name}/"))
            });
            let said = if is_name {
                "as that name alone"
            } else {
                "taken as a pattern"
            };
            let is_ambiguous = what.contains(['*', '?', '[', '{']);
            assert_eq!(stderr.contains(said), is_ambiguous, "{what}: {stderr}");
        }
    }
}

/// What is printed to be copied, run in a shell, means exactly that file.
#[tokio::test(flavor = "multi_thread")]
async fn a_printed_command_brings_back_exactly_that_file() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let names: &[&[u8]] = &[
        b"Rechnung [2].docx",
        b"Rechnung 2.docx",
        b"$(touch x) `y` $HOME",
        b"it's \"so\"",
        b"-rf",
        b"--to",
        b"a\\nb",
        b"a\nb",
        b"caf\xe9",
        b" ",
        b"*",
        b"~",
    ];
    for name in names {
        let path = RelPath::from_bytes(*name).unwrap();
        let key = RelKey::of_file(&path).in_bucket("").key;
        bench.put_raw(&key, &Object::file(name), &[]).await;
    }
    let vault = shell_word(text(&bench.vault()));
    let program = shell_word(env!("CARGO_BIN_EXE_keepwatch"));
    for (number, name) in names.iter().enumerate() {
        let path = RelPath::from_bytes(*name).unwrap();
        let word = keepwatch::history::word_for(&path);
        let shell = |line: &str| {
            let output = Command::new("sh").args(["-c", line]).output().unwrap();
            let out = String::from_utf8(output.stdout).unwrap();
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{line}: {out}{err}");
            out
        };
        let shown = shell(&format!("{program} versions {word} --vault {vault}"));
        let printed = shown.split("to bring a version back: ").nth(1).unwrap();
        let out = bench.folder(&format!("out{number}"));
        shell(&printed.trim().replace("FOLDER", &shell_word(text(&out))));
        let found: Vec<_> = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().as_bytes().to_owned())
            .collect();
        assert_eq!(found, [name.to_vec()], "{printed}");
        assert!(!Path::new("x").exists());
    }
}
