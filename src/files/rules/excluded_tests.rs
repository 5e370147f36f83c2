//! Which paths are left out, asked one by one.

use super::*;
use crate::files::rules::compress::Compress;
use crate::files::rules::rule_file::RULE_FILE_BYTES_MAX;
use crate::os::testing;
use std::time::Duration;

fn p(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::from_bytes(bytes.as_ref()).unwrap()
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn patterns_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::new(
        dir.path(),
        &lines(&[
            "*.tmp",
            "/top",
            "build/",
            "a/**/z",
            "!keep.tmp",
            "# no",
            "x%?",
        ]),
    )
    .unwrap();
    for (path, is_folder, want) in [
        ("f.tmp", false, true),
        ("deep/down/f.tmp", false, true),
        ("keep.tmp", false, false),
        ("f.tmp/inside", false, true),
        ("f.tmp/keep.tmp", false, true),
        ("odd\nname.tmp", false, true),
        ("top", false, true),
        ("sub/top", false, false),
        ("build", true, true),
        ("build", false, false),
        ("sub/build/f", false, true),
        ("a/b/c/z", false, true),
        ("a/z", false, true),
        ("F.TMP", false, os::NAMES_FOLD_CASE),
        ("# no", false, false),
        ("x%1", false, true),
        ("plain", false, false),
    ] {
        assert_eq!(rules.excluded(&p(path), is_folder), want, "{path:?}");
    }
    assert!(!rules.excluded(&RelPath::root(), true));
    assert!(rules.excluded(&p(b"caf\xe9.tmp"), false));
}

#[test]
fn rule_files_overrule_what_is_further_away() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(
        dir.path().join(RULE_FILE_NAME),
        "\u{feff}*.log\r\n/only-top\r\n!b.tmp\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("a/.keepwatchignore"),
        "!keep.log\n/here\n*.x\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("a/b/.keepwatchignore"), "*\n!y\n").unwrap();
    let rules = Rules::new(dir.path(), &lines(&["*.tmp"])).unwrap();
    for (path, want) in [
        ("x.log", true),
        ("only-top", true),
        ("a/only-top", false),
        ("a/x.log", true),
        ("a/keep.log", false),
        ("keep.log", true),
        ("a/here", true),
        ("here", false),
        ("a/b/here", true),
        ("a/b/y", false),
        ("a/b/keep.log", true),
        ("a/b/.keepwatchignore", true),
        ("a/.keepwatchignore", false),
        ("a.tmp", true),
        ("b.tmp", false),
        ("gone/x.log", true),
        ("gone/x", false),
    ] {
        assert_eq!(rules.excluded(&p(path), false), want, "{path}");
    }
}

#[test]
fn our_own_temporary_files_are_never_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::new(dir.path(), &[]).unwrap();
    assert!(rules.excluded(&p("a/.keepwatch-restore-0123456789abcdef"), false));
    assert!(!rules.excluded(&p("a/.keepwatch-restore-notes"), false));
}

#[test]
fn wrong_patterns_end_the_start_and_are_named() {
    let fatal = Rules::new(Path::new("/"), &lines(&["ok", "a{b"])).unwrap_err();
    assert_eq!(fatal.exit_code(), 2);
    assert!(fatal.operation.contains("exclude pattern `a{b`"), "{fatal}");
    let fatal = Compress::new(&lines(&["a{b"])).unwrap_err();
    assert!(fatal.operation.contains("compress pattern"), "{fatal}");
}

#[test]
fn parsed_rules_are_kept_until_the_file_changes_and_never_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RULE_FILE_NAME);
    std::fs::write(&path, "a\n").unwrap();
    let open = Dir::open(dir.path()).unwrap();
    let rules = Rules::new(dir.path(), &[]).unwrap();
    let load = |folder: &RelPath, later_s| {
        let now = SystemTime::now() + Duration::from_secs(later_s);
        rules.load_at(&open, folder, now).unwrap()
    };
    let root = RelPath::root();
    // Just written: it could change again unseen.
    assert!(!Arc::ptr_eq(&load(&root, 0), &load(&root, 0)));
    assert!(Arc::ptr_eq(&load(&root, 60), &load(&root, 60)));
    assert!(rules.excluded(&p("a"), false));
    std::fs::write(&path, "bb\n").unwrap();
    assert!(!rules.excluded(&p("a"), false) && rules.excluded(&p("bb"), false));
    for n in 0..2 * RULE_FILES_CACHED_MAX {
        load(&p(n.to_string()), 60);
    }
    assert_eq!(rules.cache.lock().len(), RULE_FILES_CACHED_MAX);
    std::fs::remove_file(&path).unwrap();
    assert!(!rules.excluded(&p("bb"), false));
}

#[test]
fn compressed_are_files_and_folders_that_a_pattern_names() {
    let compress = Compress::new(&lines(&["*.csv", "!raw.csv", "exports/"])).unwrap();
    for (path, want) in [
        ("a.csv", true),
        ("deep/A.CSV", true),
        ("raw.csv", false),
        ("a.csv.gz", false),
        ("exports/2026/x.txt", true),
        ("exports", false),
        ("exports/raw.csv", false),
    ] {
        assert_eq!(compress.matches(&p(path)), want, "{path}");
    }
    assert!(!Compress::new(&[]).unwrap().matches(&p("a.csv")));
}

#[test]
fn the_marker_is_left_out_in_every_folder() {
    let dir = tempfile::tempdir().unwrap();
    // Also when the owner's patterns take everything in.
    let rules = Rules::new(dir.path(), &["!.keepwatch-source".into()]).unwrap();
    for (path, is_folder, want) in [
        (".keepwatch-source", false, true),
        (".keepwatch-source", true, false),
        ("sub/.keepwatch-source", false, true),
        ("inner/source/.keepwatch-source", false, true),
        (".keepwatch-sources", false, false),
        ("x.keepwatch-source", false, false),
    ] {
        let rel = RelPath::from_bytes(path).unwrap();
        assert_eq!(rules.excluded(&rel, is_folder), want, "{path}");
    }
}

#[test]
fn an_unusable_rule_file_excludes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RULE_FILE_NAME);
    let open = Dir::open(dir.path()).unwrap();
    let rules = Rules::new(dir.path(), &[]).unwrap();
    let root = RelPath::root();
    assert!(open.stat(RULE_FILE_NAME.as_bytes()).is_err());
    let check = |part: &str| {
        let fault = rules.load(&open, &root).unwrap().fault.clone().unwrap();
        assert!(fault.cause.contains(part) && !fault.hint.is_empty());
        assert_eq!(fault.subject, RULE_FILE_NAME);
        assert!(!rules.excluded(&p("anything"), false));
    };
    std::fs::create_dir(&path).unwrap();
    check("not a regular file");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "*\n".repeat(RULE_FILE_BYTES_MAX as usize)).unwrap();
    check("larger than");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(dir.path().join("elsewhere"), "*\n").unwrap();
    if testing::make_link(Path::new("elsewhere"), &path) {
        check("not a regular file");
    }
}
