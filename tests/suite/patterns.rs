//! Patterns as people write them: what is private is left out, and what could not
//! keep it out is refused before anything is uploaded.

use crate::harness::os::symlink;
use crate::restore::bench::read_tree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const BUCKET: &str = "office";

/// A home folder with a source `src` in it, and private things in that.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { dir };
        for path in [
            "src/private/key.pem",
            "src/private/deep/diary.txt",
            "src/open.txt",
            "src/docs/private/notes.txt",
            "other/private/x",
        ] {
            let path = site.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "four").unwrap();
        }
        fs::create_dir(site.path("vault")).unwrap();
        site
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// A text with the site's folder put in.
    fn filled(&self, text: &str) -> String {
        text.replace("<dir>", self.dir.path().to_str().unwrap())
    }

    /// Run with these lines in the source's table; exit code, output, complaints.
    fn run(&self, lines: &str, arguments: &[&str]) -> (i32, String, String) {
        let config = self.path("keepwatch.toml");
        let toml = format!(
            "[vault]\npath = '<dir>/vault'\n[state]\ndir = '<dir>/state'\n[log]\ndir = '<dir>/log'\n\
             [[source]]\nname = 's'\npath = '<dir>/src'\nbucket = '{BUCKET}'\n{lines}\n"
        );
        fs::write(&config, self.filled(&toml)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_keepwatch"))
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .env_remove("KEEPWATCH_CONFIG")
            .env("HOME", self.dir.path())
            .env("USERPROFILE", self.dir.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// What the vault has, by name.
    fn stored(&self) -> Vec<String> {
        let bucket = self.path("vault").join(BUCKET);
        match bucket.is_dir() {
            true => read_tree(&bucket)
                .into_iter()
                .filter(|path| !path.starts_with('.'))
                .collect(),
            false => Vec::new(),
        }
    }
}

/// Named after the bug: all of these were accepted, and what was private was uploaded.
#[test]
fn a_full_path_a_dot_and_a_tilde_leave_out_what_they_name() {
    for pattern in [
        "<dir>/src/private",
        "<dir>/src/private/",
        "./private",
        "~/src/private",
        "/private",
    ] {
        let site = Site::new();
        let (code, out, err) = site.run(&format!("exclude = ['{pattern}']"), &["--reconcile"]);
        assert_eq!(code, 0, "{pattern}: {out}{err}");
        assert_eq!(
            site.stored(),
            ["docs/private/notes.txt", "open.txt"],
            "{pattern}"
        );
    }
    // A source that is reached through a link, and a path that is not.
    let site = Site::new();
    fs::rename(site.path("src"), site.path("real")).unwrap();
    // The rest of the test is about it.
    if !symlink(site.path("real"), site.path("src")) {
        return;
    }
    let (code, out, err) = site.run("exclude = ['<dir>/real/private']", &["--reconcile"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(site.stored(), ["docs/private/notes.txt", "open.txt"]);
}

/// Named after the bug, the other half: they can match nothing, so the start is
/// refused, and nothing is uploaded.
#[test]
fn a_pattern_that_cannot_match_is_refused_with_line_and_proposal() {
    for (pattern, proposal) in [
        ("/src/private", "\"/private\""),
        ("src/private", "\"/private\""),
        ("<dir>/other/private", "not in <dir>/src"),
        ("~/other/private", "not in <dir>/src"),
        ("../src/private", "\"/private\""),
        ("docs/../private", "\"/private\""),
        ("docs//private", "\"docs/private\""),
        (" private", "\"private\""),
        ("private ", "\"private\""),
        (r"docs\private", "\"docs/private\""),
        ("<dir>/src", "[[source]]"),
        ("<dir>", "what is inside"),
        ("/", "[[source]]"),
        (".", "[[source]]"),
        ("*", "\"!/Customers/\""),
        ("/**", "\"!/Customers/\""),
        ("", "gitignore pattern"),
    ] {
        let site = Site::new();
        for key in ["exclude", "compress"] {
            if key == "compress" && pattern.contains('*') {
                continue;
            }
            for command in ["--reconcile", "check"] {
                let lines = format!("{key} = ['ok', '{pattern}']");
                let (code, out, err) = site.run(&lines, &[command]);
                assert_eq!(code, 2, "{key} {pattern}: {out}{err}");
                let proposal = site.filled(proposal);
                for word in ["line 11", &format!("{key}[2]"), "keepwatch.toml", &proposal] {
                    assert!(err.contains(word), "{key} {pattern}, {word}: {err}");
                }
            }
        }
        assert!(site.stored().is_empty());
    }
    // A list of what is to be kept is no accident.
    let site = Site::new();
    let (code, out, err) = site.run("exclude = ['/*', '!/docs/']", &["--reconcile"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(site.stored(), ["docs/private/notes.txt"]);
    // What was backed up comes back with an old configuration all the same.
    let to = site.path("out");
    let restore = ["restore", "--to", to.to_str().unwrap()];
    let (code, out, err) = site.run("exclude = ['/src/private', '~/other/x']", &restore);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(read_tree(&to), ["docs/private/notes.txt"]);
}

#[test]
fn rule_files_in_the_tree_take_full_paths_and_name_what_cannot_match() {
    let site = Site::new();
    let rules = "<dir>/src/docs/private\n<dir>/src/private\n../private\n";
    fs::write(site.path("src/docs/.keepwatchignore"), site.filled(rules)).unwrap();
    fs::write(site.path("src/.keepwatchignore"), "./private  \n").unwrap();
    let (code, out, err) = site.run("", &["--reconcile"]);
    let stored: Vec<String> = site
        .stored()
        .into_iter()
        .filter(|path| !path.ends_with(".keepwatchignore"))
        .collect();
    assert_eq!(stored, ["open.txt"], "{out}{err}");
    assert_eq!(code, 3, "{out}{err}");
    let (_, checked, _) = site.run("", &["check"]);
    for said in [&out, &checked] {
        for word in [
            "docs/.keepwatchignore",
            "line 2: ",
            "line 3: `../private` has `..` in it",
            "nothing outside is backed up",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!said.contains("line 1: "), "{said}");
    }
    // By accident, everything: it counts, and is a problem that is named.
    fs::write(site.path("src/.keepwatchignore"), "# old\n*\n").unwrap();
    let (_, checked, _) = site.run("", &["check"]);
    assert!(
        checked.contains("line 2: `*` leaves out all there is"),
        "{checked}"
    );
}

#[test]
fn check_says_what_each_rule_leaves_out_and_names_those_that_match_nothing() {
    let site = Site::new();
    fs::write(site.path("src/a.csv"), "x;y\n").unwrap();
    fs::write(
        site.path("src/docs/.keepwatchignore"),
        "notes.txt\nNotes.doc\n",
    )
    .unwrap();
    let lines = "exclude = ['/private/', 'Private', '*.bak', '!/private/deep/']\ncompress = ['*.csv', '*.log']";
    let (code, out, err) = site.run(lines, &["check"]);
    assert_eq!(code, 0, "{out}{err}");
    for line in [
        "ok       folder of s: exclude: \"/private/\" leaves out 2 files (8 bytes)",
        "WARNING  folder of s: exclude: \"Private\" leaves out nothing",
        "WARNING  folder of s: exclude: \"*.bak\" leaves out nothing",
        "WARNING  folder of s: exclude: \"!/private/deep/\" takes nothing back in",
        "ok       folder of s: docs/.keepwatchignore: \"notes.txt\" leaves out 1 file (4 bytes)",
        "WARNING  folder of s: docs/.keepwatchignore: \"Notes.doc\" leaves out nothing",
        "ok       folder of s: compress: \"*.csv\" has 1 file (4 bytes) compressed",
        "WARNING  folder of s: compress: \"*.log\" has nothing compressed",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(Path::new(&site.path("src/private")).exists());
}
