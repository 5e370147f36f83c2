//! The manual pages that `keepwatch man` writes, as groff shows them.

use super::tools::{are_there, said};
use crate::harness::{finish, program};
use clap::CommandFactory as _;
use keepwatch::cli::Cli;
use std::path::Path;
use std::process::{Command, Stdio};

/// A page as text; its warnings fail the test.
fn shown(page: &Path) -> String {
    let mut groff = Command::new("groff");
    // `-rLL`: no word is broken at the end of a line; `-P-cbou`: no marks of bold type.
    groff
        .args(["-ww", "-man", "-Tutf8", "-rLL=500n", "-P-cbou"])
        .arg(page)
        .stdin(Stdio::null());
    let output = finish(&mut groff);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}: {}",
        page.display(),
        said(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every command that is not hidden, by the name of its page, with its options.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut program = Cli::command();
    program.build();
    let mut left = vec![&program];
    let mut found = Vec::new();
    while let Some(command) = left.pop() {
        left.extend(
            command
                .get_subcommands()
                .filter(|below| !below.is_hide_set() && below.get_name() != "help"),
        );
        let options = command.get_arguments().filter_map(|arg| arg.get_long());
        let name = command
            .get_display_name()
            .unwrap_or_else(|| command.get_name());
        found.push((
            name.to_owned(),
            options.map(|long| format!("--{long}")).collect(),
        ));
    }
    found
}

#[test]
fn every_command_and_option_is_on_a_page_that_groff_takes_without_a_word() {
    if !are_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("made/by it");
    let output = finish(program().arg("man").arg(&folder));
    assert!(
        output.status.success() && said(&output).is_empty(),
        "{}",
        said(&output)
    );
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for (name, options) in &commands {
        let text = shown(&folder.join(format!("{name}.1")));
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || "[],|=".contains(c))
            .collect();
        for option in options {
            assert!(words.contains(&option.as_str()), "{name}: {option}: {text}");
        }
        assert!(
            text.contains("EXIT STATUS") && text.contains("/etc/keepwatch/keepwatch.toml"),
            "{text}"
        );
        assert!(text.contains("KEEPWATCH_CONFIG"), "{text}");
    }
    let written = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(written, commands.len(), "a page for each, and no other");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = finish(program().arg("man").arg(file.join("pages")));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("manual pages") && text.contains("file/pages"),
        "{text}"
    );
}
