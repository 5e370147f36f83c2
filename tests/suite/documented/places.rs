//! Files and sections that the pages lead to.

use super::{falsified, pages, read, root};
use std::path::{Component, Path, PathBuf};

/// Folders of this repository whose files the pages name.
const FOLDERS: [&str; 9] = [
    "src/",
    "tests/",
    "docs/",
    "config/",
    "benches/",
    "fuzz/",
    "fixtures/",
    "crates/",
    ".ci/",
];

/// Made by a run and not kept: fuzz/README.md says how.
const MADE: [&str; 2] = ["fuzz/found/", "fuzz/artifacts/"];

/// Paths of this repository in a line: what begins with one of its folders.
fn named(line: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-*".contains(c);
    let words = line.split(|c: char| !is_part(c));
    words
        .map(|word| word.trim_end_matches(['.', '-', '*']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .collect()
}

/// Targets of Markdown links in a line, those on the web left out.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// The names by which links lead to a page's sections.
fn sections(page: &str) -> Vec<String> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in page.lines() {
        in_block ^= line.starts_with("```");
        if in_block || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        found.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    found
}

/// `folder/../other` without the way back.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

fn wrong_in(name: &str, text: &str) -> Vec<String> {
    let folder = Path::new(name).parent().unwrap();
    let mut wrong = Vec::new();
    let mut in_block = false;
    for (number, line) in text.lines().enumerate() {
        let mut complain = |what: String| wrong.push(format!("{name}:{}: {what}", number + 1));
        for path in named(line) {
            let is_made = MADE.iter().any(|made| path.starts_with(made));
            if !is_made && !root().join(path).exists() {
                complain(format!("there is no {path}"));
            }
        }
        in_block ^= line.trim_start().starts_with("```");
        if in_block {
            continue;
        }
        for target in links(line) {
            let (file, section) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => PathBuf::from(name),
                file => plain(&folder.join(file)),
            };
            if !root().join(&path).exists() {
                complain(format!(
                    "the link leads to {}, which is not there",
                    path.display()
                ));
            } else if !section.is_empty() {
                // The page as it is given, not as it is on the disk.
                let there = match file {
                    "" => text.to_owned(),
                    _ => read(&path.to_string_lossy()),
                };
                if !sections(&there).iter().any(|known| known == section) {
                    complain(format!("{} has no section #{section}", path.display()));
                }
            }
        }
    }
    wrong
}

/// Named after the class: a page that leads to a file or section that was renamed.
#[test]
fn every_file_and_section_that_the_pages_name_is_there() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for name in pages() {
        let text = read(&name);
        count += text
            .lines()
            .map(|line| named(line).len() + links(line).len())
            .sum::<usize>();
        wrong.extend(wrong_in(&name, &text));
    }
    assert!(count > 100, "{count} are not all");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_or_section_that_there_is_not_is_named_with_its_line() {
    for (name, from, to) in [
        ("README.md", "(docs/FORMAT.md)", "(docs/FORMATS.md)"),
        ("README.md", "#other-s3-servers", "#other-servers"),
        (
            "README.md",
            "(`tests/suite/servers`)",
            "(`tests/suite/server`)",
        ),
        (
            "docs/OPERATIONS.md",
            "`config/office.toml` (AWS)",
            "`config/offices.toml` (AWS)",
        ),
        ("CONTRIBUTING.md", "`src/main.rs`", "`src/mian.rs`"),
    ] {
        falsified(name, from, to, wrong_in);
    }
}

/// Named after the class: a decision that nobody finds, since the index lacks it.
#[test]
fn every_decision_is_in_the_index_and_has_its_three_headings() {
    let folder = "docs/decisions";
    let index = read(&format!("{folder}/README.md"));
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "README.md" {
            continue;
        }
        let page = read(&format!("{folder}/{name}"));
        let number = &name[..4];
        let title = page.lines().next().unwrap();
        let (_, title) = title.split_once(". ").unwrap();
        let row = format!("- [{number}]({name}) {title}");
        assert!(index.lines().any(|line| line == row), "{row}");
        for heading in ["Context", "Decision", "Consequences"] {
            let line = format!("\n## {heading}\n");
            assert_eq!(page.matches(&line).count(), 1, "{name}: {heading}");
        }
        numbers.push(number.parse::<usize>().unwrap());
    }
    numbers.sort_unstable();
    let wanted: Vec<usize> = (1..=numbers.len()).collect();
    assert_eq!(numbers, wanted, "numbers are given once, in a row");
    assert!(numbers.len() > 50, "{}", numbers.len());
}
