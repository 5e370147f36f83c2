//! Lines that are longer than the terminal go on in the next one between words, as
//! text does; what is to be copied stays in one piece.
//!
//! The terminal itself breaks a line wherever it ends, in the middle of a word. A
//! command that is proposed must stay one line though, or it could not be copied: it
//! begins on a line of its own, and the terminal breaks that one.

use console::{Term, measure_text_width};

/// Narrower than this nothing is gained: every other word would stand alone.
const COLUMNS_MIN: usize = 40;

/// Columns that the lines after the first are set in.
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

/// Words, and what stays together like one: what stands between backticks, and a
/// command from the program's name to the end.
fn pieces<'a>(line: &'a str, program: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut is_quoted = false;
    for (at, letter) in line.char_indices() {
        let is_command = !is_quoted
            && at == from
            && line[at..]
                .strip_prefix(program)
                .is_some_and(|rest| rest.starts_with(' '));
        if is_command {
            break;
        }
        match letter {
            '`' => is_quoted = !is_quoted,
            ' ' if !is_quoted => {
                pieces.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    // A lone backtick quotes nothing.
    match is_quoted {
        true => pieces.extend(line[from..].split(' ')),
        false => pieces.push(&line[from..]),
    }
    pieces
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
