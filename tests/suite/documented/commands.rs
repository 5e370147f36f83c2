//! Commands and flags in the pages, held against clap's own tree.

use super::page::{code, shell};
use super::{EXAMPLES, FOR_USERS, falsified, pages, read};
use clap::{Arg, Command, CommandFactory as _};
use keepwatch::cli::Cli;
use std::collections::BTreeSet;

/// Flags of other programs that stand alone between backticks, and whose they are.
const FLAGS_OF_OTHERS: [(&str, &str); 4] = [
    ("--create-bucket-configuration", "aws"),
    ("--track-renames", "rclone"),
    ("--deny", "cargo deny"),
    ("--ignored", "cargo test"),
];

/// Programs whose flags are their own affair.
const OTHER_PROGRAMS: [&str; 10] = [
    "apt-get",
    "aws",
    "cargo",
    "cp",
    "find",
    "rclone",
    "robocopy",
    "rsync",
    "setfattr",
    "systemctl",
];

fn program() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// The arguments, if these words call Keepwatch.
fn arguments(words: &[String]) -> Option<&[String]> {
    let mut at = 0;
    loop {
        let word = words.get(at)?;
        // `NAME=value` sets a variable, or says in a unit file what is run.
        let called = match word.split_once('=') {
            Some((name, value)) if !name.starts_with('-') => value,
            _ => word,
        };
        if called == "keepwatch" || called.ends_with("/keepwatch") {
            return words.get(at + 1..);
        }
        at += match word.as_str() {
            "-u" => 2,
            "$" | "sudo" | "env" => 1,
            word if called != word => 1,
            _ => return None,
        };
    }
}

/// A flag of `command` by its name, with or without dashes.
fn flag<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name)
            || arg
                .get_short()
                .is_some_and(|short| name.len() == 1 && name.starts_with(short))
    })
}

/// All commands, each with the words that lead to it.
fn tree(command: &Command) -> Vec<(Vec<String>, &Command)> {
    let mut found = vec![(Vec::new(), command)];
    for below in command.get_subcommands() {
        if below.get_name() == "help" {
            continue;
        }
        for (mut path, inner) in tree(below) {
            path.insert(0, below.get_name().to_owned());
            found.push((path, inner));
        }
    }
    found
}

/// What a page has called: a command, and a flag of it (empty: the command itself).
type Seen = BTreeSet<(String, String)>;

/// Follow one call through clap's tree. Prose may name a flag without its value.
fn follow(
    program: &Command,
    words: &[String],
    is_prose: bool,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut command = program;
    let mut path = String::new();
    let mut words = words.iter().peekable();
    seen.insert((path.clone(), String::new()));
    while let Some(word) = words.next() {
        if let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) {
            let name = name.trim_start_matches('-');
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (name, None),
            };
            let arg = flag(command, name)
                .ok_or_else(|| format!("`keepwatch {path}` has no flag --{name}"))?;
            seen.insert((path.clone(), name.to_owned()));
            let takes = arg.get_num_args().unwrap_or_default();
            if value.is_some() && takes.max_values() == 0 {
                return Err(format!("--{name} takes no value"));
            }
            if value.is_none() && takes.min_values() > 0 {
                let value = words.next_if(|value| !value.starts_with("--"));
                let is_named_alone = is_prose && words.peek().is_none();
                if value.is_none() && !is_named_alone {
                    return Err(format!("--{name} wants a value"));
                }
            }
        } else if word == "..." {
        } else if let Some(below) = command.find_subcommand(word) {
            command = below;
            path = format!("{path} {word}").trim().to_owned();
            seen.insert((path.clone(), String::new()));
        } else if command.get_positionals().next().is_none() {
            return Err(match command.has_subcommands() {
                true => format!("there is no command `{word}`"),
                false => format!("`keepwatch {path}` takes nothing like `{word}`"),
            });
        }
    }
    Ok(())
}

/// Flags without a command: each belongs to one.
fn bare(program: &Command, words: &[String], seen: &mut Seen) -> Result<(), String> {
    for word in words {
        let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
            continue;
        };
        let name = name.split('=').next().unwrap_or(name);
        let of_others = FLAGS_OF_OTHERS.iter().any(|(other, _)| other == word);
        let owners: Vec<String> = tree(program)
            .iter()
            .filter(|(_, command)| flag(command, name).is_some())
            .map(|(path, _)| path.join(" "))
            .collect();
        if owners.is_empty() && !of_others {
            return Err(format!("no command has a flag --{name}"));
        }
        seen.extend(owners.into_iter().map(|path| (path, name.to_owned())));
    }
    Ok(())
}

/// What is wrong with the commands of a page; `seen` gets what it calls.
fn complaints(name: &str, text: &str, seen: &mut Seen) -> Vec<String> {
    let program = program();
    let mut wrong = Vec::new();
    for piece in code(text) {
        for words in shell(&piece.text) {
            // A variable may be set for one call.
            let is_set = |word: &&String| !word.starts_with('-') && word.contains('=');
            let Some(first) = words.iter().find(|word| !is_set(word)) else {
                continue;
            };
            let has_flags = words.iter().any(|word| word.starts_with("--"));
            let result = if let Some(arguments) = arguments(&words) {
                follow(&program, arguments, !piece.is_block, seen)
            } else if piece.is_block || !has_flags {
                Ok(())
            } else if first.starts_with('-') {
                bare(&program, &words, seen)
            } else if program.find_subcommand(first).is_some() {
                follow(&program, &words, true, seen)
            } else if OTHER_PROGRAMS.contains(&first.as_str()) {
                Ok(())
            } else {
                Err(format!("there is no command `{first}`"))
            };
            if let Err(what) = result {
                wrong.push(format!("{name}:{}: {what}: {}", piece.line, piece.text));
            }
        }
    }
    wrong
}

fn wrong_in(name: &str, text: &str) -> Vec<String> {
    complaints(name, text, &mut Seen::new())
}

/// The comments of an example, as a page.
fn comments(text: &str) -> String {
    let comment = |line: &str| line.strip_prefix('#').unwrap_or_default().to_owned();
    text.lines().map(comment).collect::<Vec<_>>().join("\n")
}

/// Named after the class: a command line in a page that the program refuses.
#[test]
fn every_command_and_flag_in_the_pages_is_the_programs() {
    let mut wrong = Vec::new();
    for name in pages() {
        wrong.extend(wrong_in(&name, &read(&name)));
    }
    for name in EXAMPLES {
        wrong.extend(wrong_in(name, &comments(&read(name))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Named after the class: a command or flag that only the source knows.
#[test]
fn every_command_and_flag_of_the_program_is_documented() {
    let mut seen = Seen::new();
    for name in FOR_USERS {
        complaints(name, &read(name), &mut seen);
    }
    let program = program();
    let mut missing = Vec::new();
    let mut count = 0;
    for (path, command) in tree(&program) {
        let path = path.join(" ");
        // `keepwatch vault` alone does nothing.
        if !seen.contains(&(path.clone(), String::new())) {
            missing.push(format!("keepwatch {path}"));
        }
        for arg in command.get_arguments() {
            let Some(name) = arg.get_long() else { continue };
            // clap's own.
            if matches!(name, "help" | "version") {
                continue;
            }
            count += 1;
            // What every command knows may stand with any of them.
            let is_seen = match arg.is_global_set() {
                true => seen.iter().any(|(_, seen)| seen == name),
                false => seen.contains(&(path.clone(), name.to_owned())),
            };
            if !is_seen {
                missing.push(format!("keepwatch {path} --{name}"));
            }
        }
    }
    assert!(count > 50, "{count} flags are not all");
    assert!(
        missing.is_empty(),
        "no page of {FOR_USERS:?} has\n{}",
        missing.join("\n")
    );
}

#[test]
fn a_command_or_flag_that_there_is_not_is_named_with_its_line() {
    for (name, from, to) in [
        (
            "README.md",
            "| `keepwatch moments` |",
            "| `keepwatch points` |",
        ),
        ("README.md", "`--deep` downloads", "`--deeper` downloads"),
        (
            "README.md",
            "keepwatch restore --vault",
            "keepwatch restore --folder",
        ),
        (
            "README.md",
            "keepwatch try ~/Documents",
            "keepwatch tyr ~/Documents",
        ),
        (
            "docs/OPERATIONS.md",
            "sudo keepwatch service start",
            "sudo keepwatch service begin",
        ),
        ("docs/OPERATIONS.md", "`digest --send`", "`digest --mail`"),
        (
            "docs/RECOVERY.md",
            "--write-config office.toml --below",
            "--write-config --below",
        ),
    ] {
        falsified(name, from, to, wrong_in);
    }
}
