//! The pages for people name the commands, flags, keys, defaults and files that there
//! are, and no others.
//!
//! `page` finds the code in a page, `commands` holds it against clap's command tree,
//! `keys` against the configuration that the program reads, `json` against what `status`
//! prints for programs, `places` against the files of this repository, `names` the map of
//! the code against the code. Each complaint names page and line.

mod commands;
mod json;
mod keys;
mod names;
mod page;
mod places;

use std::path::{Path, PathBuf};

/// Pages for those who run Keepwatch: what they do not name is not documented.
const FOR_USERS: [&str; 3] = ["README.md", "docs/OPERATIONS.md", "docs/RECOVERY.md"];

/// The commented configurations.
const EXAMPLES: [&str; 2] = ["config/office.toml", "config/vault.toml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// README, CONTRIBUTING and everything below docs/. The changelog names what there was.
fn pages() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let name = folder.join(entry.unwrap().file_name());
            if root().join(&name).is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|end| end == "md") {
                found.push(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// What is wrong with a page when its first `from` is written as `to`.
fn falsified(name: &str, from: &str, to: &str, check: impl Fn(&str, &str) -> Vec<String>) {
    let text = read(name);
    let at = text
        .find(from)
        .unwrap_or_else(|| panic!("{name} does not have {from:?}"));
    let before = check(name, &text);
    assert_eq!(before, Vec::<String>::new(), "{name} is wrong as it is");
    let after = check(name, &text.replacen(from, to, 1));
    let line = text[..at].matches('\n').count() + 1;
    let place = format!("{name}:{line}: ");
    assert!(
        after.iter().any(|complaint| complaint.starts_with(&place)),
        "{to:?} was not found at {place}{after:#?}"
    );
}
