//! Dependencies point downwards only, and what belongs to one room stays there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the roof to the cellar. A room may use those below it.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["daemon"],
    &["control", "service"],
    &["digest"],
    &["drill"],
    &["verify"],
    &["watch", "scan", "backup", "restore", "bandwidth"],
    &["source"],
    &["destination"],
    &["guard", "history"],
    &["watchdog", "jobs"],
    &["mail"],
    &["manifest", "transfer", "pacing"],
    &["clock", "work"],
    &["status"],
    &["files", "s3", "index", "sns"],
    &["aws"],
    &["config", "os", "retry"],
    &["types"],
];

/// Who alone may name a crate (or a compiler switch).
const OWNED: &[(&str, &[&str])] = &[
    ("aws_sdk_s3", &["s3"]),
    ("s3s", &[]),
    ("aws_config", &["aws", "s3/client", "sns/client"]),
    ("rustls", &["aws"]),
    ("aws_sdk_sns", &["sns"]),
    ("sled", &["index"]),
    ("notify", &["watch"]),
    ("notify_debouncer_full", &["watch"]),
    ("anstream", &["cli"]),
    ("anstyle", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["cli"]),
    ("console", &["cli"]),
    ("supports_hyperlinks", &["cli"]),
    ("figment", &["config"]),
    ("ignore", &["files", "config"]),
    ("windows_sys", &["os"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 40, "the sources were not found");
    files
}

/// The room a file belongs to: its first folder, or its own name at the top.
fn room(file: &Path) -> String {
    let first = file.iter().next().unwrap();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// Code lines only: what comments say is free.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
}

/// Names that follow `start` in a line: `crate::s3::At` gives `store`.
fn names_after<'a>(line: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(start).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let is_whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let rest = &line[at + start.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        (is_whole && end > 0).then(|| &rest[..end])
    })
}

#[test]
fn rooms_use_only_rooms_below_them() {
    let floor: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(number, rooms)| rooms.iter().map(move |room| (*room, number)))
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, text) in sources() {
        let from = room(&file);
        if from == "lib" {
            continue;
        }
        let own = floor
            .get(from.as_str())
            .unwrap_or_else(|| panic!("{from} has no floor: add it to FLOORS"));
        for line in code(&text) {
            let grouped = line.contains("crate::{");
            assert!(!grouped, "{}: one `use crate::room` a line", file.display());
            let start = if from == "main" {
                "keepwatch::"
            } else {
                "crate::"
            };
            for to in names_after(line, start) {
                let Some(there) = floor.get(to) else { continue };
                seen += 1;
                if to != from && there <= own {
                    wrong.push(format!("{}: {from} uses {to}: {line}", file.display()));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were recognised");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let place = file.to_string_lossy().replace('\\', "/");
        for (name, rooms) in OWNED {
            if rooms.iter().any(|room| place.starts_with(room)) {
                continue;
            }
            for line in code(&text) {
                let used = line.match_indices(&format!("{name}::")).any(|(at, _)| {
                    !line[..at]
                        .chars()
                        .next_back()
                        .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                });
                if used {
                    wrong.push(format!("{place} uses {name}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_os_knows_operating_systems() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let place = file.to_string_lossy().replace('\\', "/");
        // `files` is the other room for differences; tests may need Unix names.
        if place.starts_with("os/") || place.starts_with("files") {
            continue;
        }
        if place.ends_with("tests.rs") || place.contains("/tests/") {
            continue;
        }
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let product = product.split("#[cfg(all(test").next().unwrap_or_default();
        for line in code(product) {
            if line.contains("cfg(unix)")
                || line.contains("cfg(windows)")
                || line.contains("target_os")
                || line.contains("std::os::")
            {
                wrong.push(format!("{place}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.starts_with("//!"), "{}", file.display());
    }
}

/// Words that follow the program's name in a command line.
const VERBS: [&str; 11] = [
    "restore",
    "versions",
    "verify",
    "moments",
    "sources",
    "status",
    "check",
    "digest",
    "try",
    "--reconcile",
    "--config",
];

/// Whoever reads a message calls the program as they can: `crate::types::command` knows how.
#[test]
fn no_message_proposes_a_command_of_its_own_making() {
    // What is no message to act on: the help, whose reader has just called the program;
    // who wrote a file.
    let told = [
        "cli/args/help.rs",
        "cli/sources/text.rs",
        "types/command.rs",
    ];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, text) in sources() {
        let name = file.to_string_lossy().replace('\\', "/");
        let is_test = name.contains("tests") || name.ends_with("_tests.rs");
        let of_program = text.split("#[cfg(test)]").next().unwrap();
        for line in code(of_program) {
            seen += line.matches("command::").count();
            let names = VERBS.iter().any(|verb| {
                let command = format!("keepwatch {verb}");
                line.match_indices(&command).any(|(at, _)| {
                    let next = line[at + command.len()..].chars().next();
                    !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
                })
            });
            if names && !is_test && !told.contains(&name.as_str()) {
                wrong.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    assert!(seen > 30, "the commands were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Named after the bug: whether a copy was cold, a part copied, or the index damaged was
/// told by the words of a message, and a better word broke the decision.
#[test]
fn nothing_is_decided_by_the_words_of_a_message() {
    let fields = [".cause", ".hint", ".operation", ".reason()", ".words()"];
    let asks = [
        " == \"",
        " != \"",
        ".contains(",
        ".starts_with(",
        ".ends_with(",
        ".find(",
    ];
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let is_test = file.iter().any(|part| {
            let name = part.to_string_lossy();
            name == "tests" || name.ends_with("tests.rs")
        });
        if is_test {
            continue;
        }
        let product = text.split("#[cfg(test)]").next().unwrap();
        for line in code(product) {
            let decides = fields.iter().any(|field| {
                let mut behind = line.match_indices(field).map(|(at, _)| at + field.len());
                behind.any(|at| {
                    let rest = line[at..].trim_start_matches(".as_str()");
                    asks.iter().any(|ask| rest.starts_with(ask)) || is_constant_asked(rest)
                })
            });
            if decides {
                wrong.push(format!("{}: {line}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// ` == SOME_CONSTANT`
fn is_constant_asked(rest: &str) -> bool {
    let other = rest
        .strip_prefix(" == ")
        .or_else(|| rest.strip_prefix(" != "));
    let name = other.map(|other| {
        other
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    });
    let name = name.flatten().unwrap_or_default();
    name.len() > 1 && name.chars().all(|c| !c.is_ascii_lowercase())
}
