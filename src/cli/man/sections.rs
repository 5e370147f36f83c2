//! The sections of a manual page that clap does not know: exit codes, examples, environment
//! and files.

use crate::cli::exit_code::MEANINGS;
use crate::files::{MARKER_FILE_NAME, RULE_FILE_NAME};
use clap::Command;
use clap_mangen::roff::{Roff, bold, italic, roman};

const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "KEEPWATCH_CONFIG",
        "The configuration file, as with --config.",
    ),
    (
        "KEEPWATCH_TABLE__KEY",
        "Any setting of the configuration but the sources, like KEEPWATCH_LIMITS__WORKERS=8.",
    ),
    (
        "NO_COLOR, CLICOLOR_FORCE",
        "No colours, or colours in pipes and files as well, as with --color.",
    ),
    (
        "FORCE_HYPERLINK",
        "1: links that can be clicked in every terminal; 0: in none. Without it, in terminals that are known to have them.",
    ),
    (
        "AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...",
        "Credentials come from where AWS tools keep them: the environment, ~/.aws, a role.",
    ),
];

const FILES: [(&str, &str); 7] = [
    (
        "~/.config/keepwatch/keepwatch.toml",
        "The configuration of an account (macOS: ~/Library/Application Support/Keepwatch/keepwatch.toml).",
    ),
    (
        "/etc/keepwatch/keepwatch.toml",
        "The configuration of the computer.",
    ),
    (
        "/Library/Application Support/Keepwatch/keepwatch.toml",
        "The same on macOS.",
    ),
    (
        "/var/lib/keepwatch",
        "Index and control socket of a service that runs as root (macOS: /Library/Application Support/Keepwatch/state). An account has its own, on Linux ~/.local/state/keepwatch.",
    ),
    (
        "/var/log/keepwatch/keepwatch.log.YYYY-MM-DD",
        "The log of a day (macOS: /Library/Logs/Keepwatch). An account has its own, on Linux ~/.local/state/keepwatch/log.",
    ),
    (
        RULE_FILE_NAME,
        "In a folder that is backed up: what below it is left out.",
    ),
    (
        MARKER_FILE_NAME,
        "In a folder that is backed up: the sentinel, by which an unplugged disk is told from an empty one.",
    ),
];

/// All of them, for one command, whose help ends with `help`.
pub(super) fn all(help: &str, command: &Command, program: &Command) -> Roff {
    let mut page = Roff::new();
    let parts = parts(help);
    let titled = |title| parts.iter().filter(move |part| part.title == title);
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in MEANINGS {
        page.control("TP", []);
        page.text([bold(code.to_string())]);
        page.text([roman(meaning)]);
    }
    // A list of codes in the help is the one above, in fewer words.
    for part in titled(Some(CODES)).filter(|part| !part.is_list) {
        page.control("PP", []);
        page.text([roman(part.lines.join("\n"))]);
    }
    if parts.iter().any(|part| part.title == Some(EXAMPLES)) {
        page.control("SH", [EXAMPLES.to_uppercase().as_str()]);
    }
    for part in titled(Some(EXAMPLES)) {
        page.control("nf", []);
        page.text([roman(part.lines.join("\n").trim_end())]);
        page.control("fi", []);
    }
    if parts.iter().any(|part| part.title.is_none()) {
        page.control("SH", ["NOTES"]);
    }
    for (number, part) in titled(None).enumerate() {
        if number > 0 {
            page.control("PP", []);
        }
        page.text([roman(part.lines.join("\n"))]);
    }
    page.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(meaning)]);
    }
    page.control("SH", ["FILES"]);
    for (name, meaning) in FILES {
        page.control("TP", []);
        page.text([italic(name)]);
        page.text([roman(meaning)]);
    }
    see_also(&mut page, command, program);
    page
}

/// The other pages.
fn see_also(page: &mut Roff, command: &Command, program: &Command) {
    page.control("SH", ["SEE ALSO"]);
    let name = |command: &Command| {
        let name = command.get_display_name();
        name.unwrap_or_else(|| command.get_name()).to_owned()
    };
    let all = std::iter::once(program).chain(program.get_subcommands());
    let mut others: Vec<String> = all
        .map(name)
        .filter(|other| *other != name(command))
        .collect();
    others.sort();
    let mut line = Vec::new();
    for (number, other) in others.into_iter().enumerate() {
        if number > 0 {
            line.push(roman(", "));
        }
        line.extend([bold(other), roman("(1)")]);
    }
    page.text(line);
}

const EXAMPLES: &str = "Examples";
const CODES: &str = "Exit codes";

/// A piece of the text that stands at the end of a command's help.
struct Part<'a> {
    /// What stands above it, of the two that help texts have.
    title: Option<&'static str>,
    /// Its lines are indented: they stand as they are.
    is_list: bool,
    lines: Vec<&'a str>,
}

/// A help text in its pieces: a title with indented lines below it, or a paragraph.
fn parts(help: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut is_new = true;
    for line in help.lines() {
        let title = [EXAMPLES, CODES].into_iter().find_map(|title| {
            let rest = line.strip_prefix(title)?.strip_prefix(':')?;
            Some((title, rest.trim()))
        });
        let is_indented = line.starts_with(' ') || line.is_empty();
        if let Some((title, rest)) = title {
            parts.push(Part {
                title: Some(title),
                is_list: rest.is_empty(),
                lines: Some(rest)
                    .filter(|rest| !rest.is_empty())
                    .into_iter()
                    .collect(),
            });
        } else if is_indented {
            if let Some(part) = parts.last_mut().filter(|part| part.is_list) {
                part.lines.push(line);
            }
        } else if let Some(part) = parts.last_mut().filter(|part| !is_new && !part.is_list) {
            part.lines.push(line);
        } else {
            parts.push(Part {
                title: None,
                is_list: false,
                lines: vec![line],
            });
        }
        is_new = line.is_empty();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_help_text_falls_into_its_pieces() {
        let help = "Examples:\n  One:\n    a b\n\n  Two:\n    c\n\nProse that\ngoes on.\n\nMore.\n\nExit codes: 0 well,\n1 not.\n";
        let found: Vec<(Option<&str>, String)> = parts(help)
            .into_iter()
            .map(|part| (part.title, part.lines.join("|")))
            .collect();
        let want = [
            (Some(EXAMPLES), "  One:|    a b||  Two:|    c|"),
            (None, "Prose that|goes on."),
            (None, "More."),
            (Some(CODES), "0 well,|1 not."),
        ];
        assert_eq!(found, want.map(|(title, text)| (title, text.to_owned())));
    }
}
