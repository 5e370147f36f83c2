//! `keepwatch completions SHELL`, tried by the shells themselves.

use super::tools::{are_there, said};
use crate::harness::{finish, program};
use std::path::Path;
use std::process::{Command, Stdio};

/// A line as it is typed up to the key, what is offered then, and what is not.
const TYPED: [(&str, &[&str], &[&str]); 4] = [
    ("keepwatch ver", &["verify", "versions"], &["restore"]),
    (
        "keepwatch restore --in",
        &["--in-place"],
        &["--to", "--sample"],
    ),
    (
        "keepwatch verify --s",
        &["--seed", "--sample", "--source"],
        &["--send"],
    ),
    (
        "keepwatch sources --write-c",
        &["--write-config"],
        &["--below"],
    ),
];

/// What is hidden, and offered nowhere.
const HIDDEN: [&str; 2] = ["vault", "man"];

fn script(shell: &str, folder: &Path) -> String {
    let output = finish(program().args(["completions", shell]));
    assert!(output.status.success(), "{}", said(&output));
    let path = folder.join(shell);
    std::fs::write(&path, &output.stdout).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a shell says to these lines.
fn asked(shell: &str, options: &[&str], lines: &str) -> String {
    let mut command = Command::new(shell);
    let output = finish(
        command
            .args(options)
            .arg("-c")
            .arg(lines)
            .stdin(Stdio::null()),
    );
    assert!(output.status.success(), "{lines}: {}", said(&output));
    assert!(output.stderr.is_empty(), "{lines}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// `offered` says what a shell offers for a typed line, one a line.
fn holds(shell: &str, offered: impl Fn(&str) -> String) {
    for (typed, there, not_there) in TYPED {
        let text = offered(typed);
        let words = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let found: Vec<String> = text.lines().filter_map(words).collect();
        for word in there {
            assert!(
                found.iter().any(|one| one == word),
                "{shell}: {typed}: {text}"
            );
        }
        for word in not_there {
            assert!(
                !found.iter().any(|one| one == word),
                "{shell}: {typed}: {text}"
            );
        }
    }
    let all = offered("keepwatch ");
    let words: Vec<&str> = all.split_whitespace().collect();
    assert!(words.contains(&"restore"), "{shell}: {all}");
    for word in HIDDEN {
        assert!(
            !all.lines()
                .any(|line| line.split_whitespace().next() == Some(word)),
            "{shell}: {all}"
        );
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = script("bash", dir.path());
    let offered = |typed: &str| {
        let words: Vec<&str> = typed.split(' ').collect();
        let (last, at) = (words.last().unwrap(), words.len() - 1);
        let before = words[at - 1];
        let lines = format!(
            "source {script}; COMP_WORDS=({}); [ -n \"{last}\" ] || COMP_WORDS+=(''); COMP_CWORD={at}; \
             $(complete -p keepwatch | sed 's/.*-F \\([^ ]*\\).*/\\1/') keepwatch \"{last}\" {before}; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
        );
        asked("bash", &["--norc"], &lines)
    };
    holds("bash", offered);
    let shells = offered("keepwatch completions p");
    assert_eq!(shells.trim(), "powershell");
}

#[test]
fn fish_completes_commands_and_options() {
    if !are_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = script("fish", dir.path());
    holds("fish", |typed| {
        asked(
            "fish",
            &["--no-config"],
            &format!("source {script}; complete -C '{typed}'"),
        )
    });
}

#[test]
fn zsh_takes_the_script_as_the_completion_of_the_program() {
    if !are_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = script("zsh", dir.path());
    asked("zsh", &["-f", "-n"], &format!("source {script}"));
    let dump = dir.path().join("dump");
    let named = asked(
        "zsh",
        &["-f"],
        &format!(
            "autoload -U compinit; compinit -u -d {}; source {script}; print -r -- $_comps[keepwatch]; whence -w _keepwatch",
            dump.display()
        ),
    );
    assert!(
        named.starts_with("_keepwatch\n") && named.contains("function"),
        "{named}"
    );
    // As a file of $fpath, which is how packages install it.
    let text = std::fs::read_to_string(&script).unwrap();
    assert!(text.starts_with("#compdef keepwatch\n"), "{text}");
}

/// PowerShell is in no package of Debian: what its script is made of is looked at.
#[test]
fn the_script_for_powershell_registers_and_closes_what_it_opens() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(script("powershell", dir.path())).unwrap();
    assert!(
        text.contains("Register-ArgumentCompleter -Native -CommandName 'keepwatch'"),
        "{text}"
    );
    for command in [
        "'keepwatch'",
        "'keepwatch;restore'",
        "'keepwatch;completions'",
    ] {
        assert!(text.contains(&format!("{command} {{")), "{command}");
    }
    assert!(!text.contains("keepwatch;vault"), "{text}");
    // Outside its texts in single quotes, in which two stand for one.
    let outside: String = text.split('\'').step_by(2).collect();
    for (open, close) in [('{', '}'), ('(', ')')] {
        let count = |c| outside.matches(c).count();
        assert_eq!(count(open), count(close), "{open}");
    }
    assert_eq!(text.matches('\'').count() % 2, 0, "{text}");
}
