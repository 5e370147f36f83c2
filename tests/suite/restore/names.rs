//! A name that exists is that name and nothing else; only what nothing is called
//! is a pattern.

use super::bench::{BUCKET, Bench, Object, long_path, read_tree};
use super::command::{run, text};
use keepwatch::os::shell_word;
use keepwatch::types::{RelKey, RelPath};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A configuration with one source per name: bucket prefix and folder are called so.
fn config(bench: &Bench, sources: &[&str]) -> std::path::PathBuf {
    let file = bench.folder("keepwatch.toml");
    let mut toml = format!(
        "[vault]\npath = '{}'\n[state]\ndir = '{}'\n[log]\ndir = '{}'\n",
        text(&bench.vault()),
        text(&bench.folder("state")),
        text(&bench.folder("log")),
    );
    for name in sources {
        let folder = bench.folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        toml += &format!(
            "[[source]]\nname = \"{name}\"\npath = '{}'\nbucket = \"{BUCKET}\"\nprefix = \"{name}\"\n",
            text(&folder)
        );
    }
    std::fs::write(&file, toml).unwrap();
    file
}

/// Named after the bug: `restore "Rechnung [2].docx"` brought `Rechnung 2.docx`
/// back as well, and in place rolled it back.
#[cfg(unix)]
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

/// Named after the bug, in place: the other file's newer content was lost to sight.
#[tokio::test(flavor = "multi_thread")]
async fn in_place_and_in_all_sources_a_name_is_that_name() {
    let bench = Bench::new();
    let file = config(&bench, &["one", "two"]);
    for (source, path) in [
        ("one/", "Rechnung [2].docx"),
        ("one/", "Rechnung 2.docx"),
        // Only the other source has the name.
        ("two/", "Rechnung 2.docx"),
    ] {
        bench.put_at(source, path, &Object::file(b"old")).await;
        std::fs::write(bench.folder(source).join(path), "edited since").unwrap();
    }
    // In the folder alone, and not in the bucket yet.
    std::fs::write(bench.folder("two").join("new [1]"), "new").unwrap();
    bench.put_at("two/", "new 1", &Object::file(b"old")).await;
    let restore = |more: &[&str]| {
        let base = ["restore", "--config", text(&file), "--in-place"];
        run(&[&base[..], more].concat())
    };
    let read = |path: &str| std::fs::read_to_string(bench.folder(path)).unwrap();
    let (code, stdout, stderr) = restore(&["Rechnung [2].docx", "--json", "--quiet"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(read("one/Rechnung [2].docx"), "old");
    assert_eq!(read("one/Rechnung 2.docx"), "edited since");
    assert_eq!(read("two/Rechnung 2.docx"), "edited since");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["sources"][0]["taken"][0]["reading"], "name", "{json}");
    let (code, stdout, stderr) = restore(&["new [1]"]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(!bench.folder("two").join("new 1").exists());
    // The same for what only looks.
    for (what, want) in [("Rechnung [2].docx", 0), ("Rechnung 2.docx", 2)] {
        let base = ["restore", "--config", text(&file), what, "--diff"];
        let (_, stdout, stderr) = run(&base);
        let changed = stdout
            .lines()
            .filter(|line| line.contains("changed  "))
            .count();
        assert_eq!(changed, want, "{what}: {stdout}{stderr}");
    }
}

/// Named after the bug: `verify` of one file looked at others, too, and repaired them.
#[tokio::test(flavor = "multi_thread")]
async fn verify_takes_a_name_for_that_name() {
    let bench = Bench::new();
    // Its vault is open for writing, which the daemon's must not be.
    let vault = bench.folder("other-vault");
    let path = |name: &str| bench.folder("docs").join(name);
    let file = config(&bench, &["docs"]);
    let toml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, toml.replace(text(&bench.vault()), text(&vault))).unwrap();
    std::fs::create_dir(&vault).unwrap();
    std::fs::write(path("Rechnung [2].docx"), "a").unwrap();
    std::fs::write(path("Rechnung 2.docx"), "b").unwrap();
    let (code, stdout, stderr) = run(&["--reconcile", "--config", text(&file)]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let looked = |more: &[&str]| {
        let base = ["verify", "Rechnung [2].docx", "--json"];
        let (code, stdout, stderr) = run(&[&base[..], more].concat());
        assert_eq!(code, 0, "{stdout}{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        let source = &json["sources"][0];
        (
            source["progress"]["looked"].as_u64().unwrap(),
            source["taken"][0]["reading"].as_str().unwrap().to_owned(),
        )
    };
    let by_itself = [
        "--vault",
        text(&vault),
        "--bucket",
        BUCKET,
        "--prefix",
        "docs",
    ];
    let with_index = ["--config", text(&file)];
    for place in [&by_itself[..], &with_index] {
        assert_eq!(looked(place), (1, "name".to_owned()), "{place:?}");
    }
}

/// What is printed to be copied, run in a shell, means exactly that file.
#[cfg(unix)]
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
