//! Breaks lines that are longer than the terminal between words, and keeps in one piece what a
//! person may copy.
//!
//! The terminal itself breaks a line wherever it ends, even within a word. A suggested command
//! must stay on one line, or it could not be copied. So it begins on a line of its own, and the
//! terminal breaks that one.

use console::{Term, measure_text_width};

/// On a narrower terminal nothing is gained: every other word would stand alone.
const COLUMNS_MIN: usize = 40;

/// Indent of the lines after the first, in columns.
const HANGING: usize = 4;

/// The text as it is printed on this terminal, if it is one.
pub(super) fn for_terminal(term: &Term, text: &str, program: &str) -> String {
    match term.size_checked() {
        Some((_, columns)) if term.is_term() => wrapped(text, columns.into(), program),
        _ => text.to_owned(),
    }
}

/// The text in lines of so many columns, as far as words allow.
fn wrapped(text: &str, columns: usize, program: &str) -> String {
    let is_short = |line: &str| measure_text_width(line) <= columns;
    if columns < COLUMNS_MIN || text.lines().all(is_short) {
        return text.to_owned();
    }
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| match is_short(line) {
            true => line.to_owned(),
            false => broken(line, columns, program),
        })
        .collect();
    lines.join("\n")
}

fn broken(line: &str, columns: usize, program: &str) -> String {
    let begin = line.len() - line.trim_start().len();
    let hanging = " ".repeat(begin + HANGING);
    let mut text = line[..begin].to_owned();
    let mut used = begin;
    let mut is_first = true;
    for piece in pieces(&line[begin..], program) {
        let width = measure_text_width(piece);
        if is_first {
            text.push_str(piece);
            used += width;
        } else if used + 1 + width <= columns {
            text.push(' ');
            text.push_str(piece);
            used += 1 + width;
        } else {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&hanging);
            text.push_str(piece);
            used = hanging.len() + width;
        }
        is_first = false;
    }
    text
}

/// What a line of a shell may begin with in a message, beside the program itself. A word
/// of prose among them costs no more than a break in its sentence.
const COMMANDS: [&str; 11] = [
    "env",
    "sudo",
    "aws",
    "chown",
    "chmod",
    "chattr",
    "echo",
    "printf",
    "sysctl",
    "systemctl",
    "&",
];

/// Words, and what stays together like one: what is quoted, and a command to the end of
/// its line.
fn pieces<'a>(line: &'a str, program: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    loop {
        if begins_command(rest, program) {
            pieces.push(rest);
            return pieces;
        }
        let end = end_of_piece(rest);
        pieces.push(&rest[..end]);
        match rest[end..].strip_prefix(' ') {
            Some(more) => rest = more,
            None => return pieces,
        }
    }
}

fn begins_command(rest: &str, program: &str) -> bool {
    let Some((word, _)) = rest.split_once(' ') else {
        return false;
    };
    let name = word.trim_matches('\'').rsplit(['/', '\\']).next();
    let is_program = matches!(name, Some("keepwatch" | "keepwatch.exe"));
    let is_program = is_program
        || rest
            .strip_prefix(program)
            .is_some_and(|r| r.starts_with(' '));
    is_program || word.starts_with("$env:") || COMMANDS.contains(&word)
}

/// The position of the first blank outside quotes.
fn end_of_piece(rest: &str) -> usize {
    let mut at = 0;
    while let Some(letter) = rest[at..].chars().next() {
        let after = at + letter.len_utf8();
        let is_quote = letter == '`' || (at == 0 && matches!(letter, '\'' | '"'));
        // A lone one quotes nothing.
        let close = match is_quote {
            true => rest[after..].find(letter),
            false => None,
        };
        match (letter, close) {
            (' ', _) => return at,
            (_, Some(close)) => at = after + close + letter.len_utf8(),
            (_, None) => at = after,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_commands_on_one_line() {
        let long =
            "keepwatch: cannot find the configuration: no --config was given, and there is none";
        for (columns, text, want) in [
            (
                60,
                long,
                "keepwatch: cannot find the configuration: no --config was\n    given, and there is none",
            ),
            (90, long, long),
            (20, long, long),
            (
                40,
                "  what to do: ask as that one, or write `keepwatch --config FILE status` and see what it says then",
                "  what to do: ask as that one, or write\n      `keepwatch --config FILE status`\n      and see what it says then",
            ),
            (
                40,
                "  to bring a version back: keepwatch restore 'a b' --at \"2026-11-20 14:30\" --to FOLDER",
                "  to bring a version back:\n      keepwatch restore 'a b' --at \"2026-11-20 14:30\" --to FOLDER",
            ),
            (
                40,
                "  13:47:49  protected  documents/Archiv/one.txt  (60 bytes)\n  short",
                "  13:47:49  protected\n      documents/Archiv/one.txt  (60\n      bytes)\n  short",
            ),
            (
                40,
                "it`s a lone backtick in a line that is too long for it",
                "it`s a lone backtick in a line that is\n    too long for it",
            ),
            (
                40,
                "then env AWS_PROFILE=office /opt/keepwatch --config /etc/k.toml --reconcile --take-over",
                "then\n    env AWS_PROFILE=office /opt/keepwatch --config /etc/k.toml --reconcile --take-over",
            ),
            (
                40,
                "Turn on versioning: aws s3api put-bucket-versioning --bucket b-1",
                "Turn on versioning:\n    aws s3api put-bucket-versioning --bucket b-1",
            ),
            (
                40,
                "there is: 'Rechnung Nr. 12 [2].docx', and \"a b\" isn't it",
                "there is: 'Rechnung Nr. 12 [2].docx',\n    and \"a b\" isn't it",
            ),
            (40, "", ""),
        ] {
            let wrapped = wrapped(text, columns, "keepwatch");
            assert_eq!(wrapped, want);
            // Nothing is lost or added but breaks.
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&wrapped), words(text));
        }
    }
}
