//! Says what a build was made of: `keepwatch --version` names commit and target.
//!
//! A debug build does not: it would be compiled anew at each commit.

use std::path::Path;
use std::process::Command;

/// What the program is compiled from. A change in one of them that is in no commit is named.
const SOURCES: [&str; 5] = ["src", "crates", "Cargo.toml", "Cargo.lock", "build.rs"];
/// `git archive` writes the commit into it (`.gitattributes`).
const ARCHIVED: &str = "packaging/commit";
/// How much of a commit's number is shown: enough to be the only one.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!(
        "cargo::rustc-env=BUILD_OF_KEEPWATCH={}, {target}",
        made_of()
    );
}

fn made_of() -> String {
    // "release" for all profiles that inherit from it.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return "development build".to_owned();
    }
    cloned()
        .or_else(archived)
        .unwrap_or_else(|| "unknown commit".to_owned())
}

/// What git says, where this folder is a clone.
fn cloned() -> Option<String> {
    // A folder inside somebody else's repository is none.
    let top = git(&["rev-parse", "--show-prefix"])?;
    if !top.is_empty() {
        return None;
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]).unwrap_or_default();
    // All that a commit or a checkout writes; a file that is not there would always count
    // as changed.
    for name in ["HEAD", "logs/HEAD", &branch] {
        let file = git(&["rev-parse", "--git-path", name]).unwrap_or_default();
        if Path::new(&file).is_file() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    let changes = git(&[&["status", "--porcelain", "--"][..], &SOURCES].concat())?;
    Some(told(&commit, !changes.is_empty()))
}

/// What the source archive says.
fn archived() -> Option<String> {
    println!("cargo::rerun-if-changed={ARCHIVED}");
    let commit = std::fs::read_to_string(ARCHIVED).ok()?;
    let commit = commit.trim();
    (!commit.is_empty() && commit.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| told(commit, false))
}

fn told(commit: &str, changed: bool) -> String {
    let short: String = commit.chars().take(DIGITS).collect();
    let changes = if changed { " with changes" } else { "" };
    format!("commit {short}{changes}")
}

/// What git answers in this folder, if there is a git and it knows.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
