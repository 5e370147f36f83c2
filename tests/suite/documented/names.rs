//! Modules, functions and types of the program that the map of the code names.

use super::{falsified, read, root};
use std::path::{Path, PathBuf};

const MAP: &str = "docs/ARCHITECTURE.md";

/// What is named in backticks in a line, calls and arguments left out.
fn quoted(line: &str) -> Vec<&str> {
    let words = line.split('`').skip(1).step_by(2);
    words
        .filter(|word| !word.is_empty())
        .filter(|word| {
            word.chars()
                .all(|c| c.is_alphanumeric() || "_:/.".contains(c))
        })
        .collect()
}

/// All files below a folder, or the file itself.
fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(place).into_iter().flatten();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

/// Whether one of the files declares something of that name.
fn declares(place: &Path, name: &str) -> bool {
    const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "const", "mod"];
    files(place).iter().any(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        KINDS.iter().any(|kind| {
            let wanted = format!("{kind} {name}");
            text.match_indices(&wanted).any(|(at, _)| {
                let next = text[at + wanted.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        })
    })
}

/// `room::module::item`: modules as deep as there are files, then one item in the last.
fn is_there(path: &str) -> bool {
    let mut place = root().join("src");
    for name in path.split("::") {
        let file = place.join(format!("{name}.rs"));
        if place.join(name).is_dir() {
            place.push(name);
        } else if file.is_file() {
            place = file;
        } else {
            return declares(&place, name);
        }
    }
    true
}

fn wrong_in(page: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for name in quoted(line) {
            let is_path = name.contains("::") && !name.starts_with("keepwatch_vault");
            let is_file = name.ends_with(".rs") && name.contains('/');
            let place = |folder: &str| root().join(folder).join(name).exists();
            let is_known = if is_file {
                ["", "src", "crates/vault", "tests/suite"]
                    .into_iter()
                    .any(place)
            } else {
                !is_path || is_there(name)
            };
            if !is_known {
                wrong.push(format!("{page}:{}: there is no {name}", number + 1));
            }
        }
    }
    wrong
}

/// Named after the class: a map that names functions and files of before.
#[test]
fn the_map_names_what_there_is() {
    let text = read(MAP);
    let count: usize = text.lines().map(|line| quoted(line).len()).sum();
    assert!(count > 100, "{count} are not all");
    let wrong = wrong_in(MAP, &text);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_that_there_is_not_is_told_with_its_line() {
    for (from, to) in [
        ("`backup::plan::plan`", "`backup::plan::planned`"),
        ("`daemon::Daemon::stop`", "`demon::Daemon::stop`"),
        ("`backup/snapshot.rs`", "`backup/look.rs`"),
    ] {
        falsified(MAP, from, to, wrong_in);
    }
}
