//! What a build says of itself: `--version`, and where `build.rs` has it from.

use super::harness::program;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_version_is_one_line_with_version_build_and_target() {
    let output = program().arg("--version").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let start = format!("keepwatch {} (", env!("CARGO_PKG_VERSION"));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains(std::env::consts::ARCH), "{text}");
    assert!(text.contains(std::env::consts::OS), "{text}");
}

/// `build.rs`, compiled alone and run in folders of the test's own.
struct BuildScript {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl BuildScript {
    fn compile() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("build");
        let compiled = Command::new("rustc")
            .args(["--edition", "2024", "-o"])
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs"))
            .status()
            .unwrap();
        assert!(compiled.success());
        BuildScript { dir, program }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        folder
    }

    /// What the build would say of itself, and what it would be asked again for.
    fn says(&self, folder: &Path, profile: &str) -> (String, Vec<String>) {
        let output = Command::new(&self.program)
            .current_dir(folder)
            .env("TARGET", "some-target")
            .env("PROFILE", profile)
            // The folder above is nobody's repository.
            .env("GIT_CEILING_DIRECTORIES", self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let all = |start: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.strip_prefix(start).map(str::to_owned))
                .collect()
        };
        let said = all("cargo::rustc-env=BUILD_OF_KEEPWATCH=").concat();
        (said, all("cargo::rerun-if-changed="))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_release_names_its_commit_and_a_debug_build_is_made_once_for_all_commits() {
    let script = BuildScript::compile();
    let clone = script.folder("clone");
    std::fs::write(clone.join("src/lib.rs"), "").unwrap();
    git(&clone, &["init", "-q", "-b", "main"]);
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "-q", "-m", "one"]);
    let first = git(&clone, &["rev-parse", "HEAD"]);

    let (said, watched) = script.says(&clone, "release");
    assert_eq!(said, format!("commit {}, some-target", &first[..12]));
    for path in [".git/HEAD", ".git/logs/HEAD", ".git/refs/heads/main", "src"] {
        assert!(watched.iter().any(|w| w == path), "{path}: {watched:?}");
    }
    // What is not compiled in is no change.
    std::fs::write(clone.join("notes.txt"), "x").unwrap();
    assert_eq!(script.says(&clone, "release").0, said);
    std::fs::write(clone.join("src/lib.rs"), "// changed").unwrap();
    let (said, _) = script.says(&clone, "release");
    assert_eq!(
        said,
        format!("commit {} with changes, some-target", &first[..12])
    );

    let (said, watched) = script.says(&clone, "debug");
    assert_eq!(said, "development build, some-target");
    assert_eq!(watched, ["build.rs"]);
}

#[test]
fn sources_without_git_name_the_commit_of_their_archive_or_say_that_it_is_unknown() {
    let script = BuildScript::compile();
    let plain = script.folder("plain");
    assert_eq!(
        script.says(&plain, "release").0,
        "unknown commit, some-target"
    );

    // As it is in a repository, where no archive has filled it in.
    std::fs::create_dir_all(plain.join("packaging")).unwrap();
    let placeholder = include_str!("../../packaging/commit");
    std::fs::write(plain.join("packaging/commit"), placeholder).unwrap();
    assert_eq!(
        script.says(&plain, "release").0,
        "unknown commit, some-target"
    );

    // Unpacked inside a repository of somebody else's, whose commit is not ours.
    let other = script.folder("other");
    git(&other, &["init", "-q"]);
    git(&other, &["commit", "-q", "--allow-empty", "-m", "theirs"]);
    std::fs::rename(&plain, other.join("inside")).unwrap();
    assert_eq!(
        script.says(&other.join("inside"), "release").0,
        "unknown commit, some-target"
    );

    // What `git archive` makes of this repository's file.
    std::fs::create_dir_all(other.join("packaging")).unwrap();
    std::fs::write(other.join("packaging/commit"), placeholder).unwrap();
    let attributes = include_str!("../../.gitattributes");
    std::fs::write(other.join(".gitattributes"), attributes).unwrap();
    git(&other, &["add", "packaging", ".gitattributes"]);
    git(&other, &["commit", "-q", "-m", "with the file"]);
    let commit = git(&other, &["rev-parse", "HEAD"]);
    let unpacked = script.folder("unpacked");
    let archive = unpacked.join("archive.tar");
    git(
        &other,
        &["archive", "-o", archive.to_str().unwrap(), "HEAD"],
    );
    let untarred = Command::new("tar")
        .args(["-xf", "archive.tar"])
        .current_dir(&unpacked)
        .status()
        .unwrap();
    assert!(untarred.success());
    assert_eq!(
        script.says(&unpacked, "release").0,
        format!("commit {}, some-target", &commit[..12])
    );
}
