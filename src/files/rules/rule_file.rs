//! Reads one rule file, within bounds, and parses it line by line.
//!
//! A line that cannot be understood becomes a fault and excludes nothing.

use crate::files::fault;
use crate::files::fault::shown;
use crate::os;
use crate::os::Dir;
use crate::types::{
    Class, Fatal, Fault, Ground, Kind, RelPath, chain, leaves_out_everything, rule,
};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::io::Read;
use std::path::Path;

/// The name of a rule file.
pub const RULE_FILE_NAME: &str = ".keepwatchignore";

/// A larger rule file is a mistake (the patterns become one automaton in memory).
pub(super) const RULE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Broken lines that a fault names before it only counts.
const BROKEN_LINES_NAMED_MAX: usize = 3;

/// One folder's rule file, parsed.
#[derive(Debug)]
pub(crate) struct RuleFile {
    pub(crate) patterns: Gitignore,
    /// What is in it, for whoever counts what each line leaves out.
    pub(crate) lines: Vec<String>,
    /// What could not be understood of it.
    pub(crate) fault: Option<Fault>,
}

/// Paths are given relative to the rules' folder, hence the empty root.
fn new_builder(fold_case: bool) -> Result<GitignoreBuilder, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    builder.case_insensitive(fold_case)?;
    Ok(builder)
}

/// The patterns of a key of the configuration.
pub(super) fn of_config(
    key: &str,
    patterns: &[String],
    fold_case: bool,
) -> Result<Gitignore, Fatal> {
    let wrong = |pattern: &str, error: &ignore::Error| {
        Fatal::usage(
            format!("use the {key} pattern `{pattern}`"),
            chain(error),
            "patterns are written as in a .gitignore file: *.tmp, /folder/, notes/**/old",
        )
    };
    let mut builder = new_builder(fold_case).map_err(|error| wrong("", &error))?;
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|error| wrong(pattern, &error))?;
    }
    builder
        .build()
        .map_err(|error| wrong(&patterns.join("`, `"), &error))
}

fn subject(folder: &RelPath) -> String {
    folder
        .join(RULE_FILE_NAME.as_bytes())
        .map_or_else(|_| shown(folder), |path| shown(&path))
}

/// A rule file that cannot be used: it excludes nothing.
fn broken(fault: Fault) -> RuleFile {
    RuleFile {
        patterns: Gitignore::empty(),
        lines: Vec::new(),
        fault: Some(fault),
    }
}

/// It, or even whether there is one, could not be read.
pub(super) fn unknown(folder: &RelPath, error: &std::io::Error) -> RuleFile {
    broken(fault::reading("read the rules", subject(folder), error))
}

/// Read and parse the rule file of the open folder `dir`. Blocks.
pub(super) fn read(root: &Path, dir: &Dir, folder: &RelPath, kind: Kind) -> RuleFile {
    let none = |cause: String, hint: &str| {
        let fault = Fault::new(Class::Unreadable, "use the rules", subject(folder), cause);
        broken(fault.hint(hint))
    };
    if kind != Kind::File {
        return none(
            "it is not a regular file".into(),
            "a rule file is a plain text file; until it is one, nothing is excluded because of it",
        );
    }
    let mut text = Vec::new();
    let read = dir
        .open_file(RULE_FILE_NAME.as_bytes())
        .and_then(|file| file.take(RULE_FILE_BYTES_MAX + 1).read_to_end(&mut text));
    match read {
        Err(error) => unknown(folder, &error),
        Ok(read) if read as u64 > RULE_FILE_BYTES_MAX => none(
            format!("it is larger than {RULE_FILE_BYTES_MAX} bytes"),
            "shorten it; until then nothing is excluded because of it",
        ),
        Ok(_) => parse(&text, root, folder),
    }
}

/// Let one line count; the error is what is wrong with it.
fn take_line(
    line: &str,
    ground: &Ground<'_>,
    builder: &mut GitignoreBuilder,
) -> Result<String, String> {
    let rule = rule(line, ground)
        .map_err(|refused| format!("`{line}` {} ({})", refused.what, refused.remedy))?;
    match builder.add_line(None, &rule) {
        Ok(_) => Ok(rule),
        Err(error) => Err(chain(&error)),
    }
}

/// Every line that is a pattern counts; the others are named in the fault.
fn parse(text: &[u8], root: &Path, folder: &RelPath) -> RuleFile {
    let mut wrong = Vec::new();
    let mut lines = Vec::new();
    let folder_path = os::rel_to_os(folder).map(|inner| root.join(inner));
    let home = os::home_dir();
    let ground = Ground {
        folder: folder_path.as_deref().unwrap_or(root),
        home: home.as_deref(),
        is_there: &|path| path.symlink_metadata().is_ok(),
        real: &|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    };
    let patterns = new_builder(os::NAMES_FOLD_CASE).and_then(|mut builder| {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        for (at, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match std::str::from_utf8(line) {
                Err(_) => wrong.push(format!("line {} is not UTF-8 text", at + 1)),
                Ok(line) if line.trim().is_empty() || line.starts_with('#') => {}
                Ok(line) => match take_line(line, &ground, &mut builder) {
                    Ok(rule) => lines.push((at + 1, rule)),
                    Err(why) => wrong.push(format!("line {}: {why}", at + 1)),
                },
            }
        }
        builder.build()
    });
    let rules: Vec<&str> = lines.iter().map(|(_, rule)| rule.as_str()).collect();
    if let Some(at) = leaves_out_everything(&rules).filter(|_| folder.is_root()) {
        let (number, rule) = &lines[at];
        wrong.push(format!(
            "line {number}: `{rule}` leaves out all there is, so nothing is backed up"
        ));
    }
    let patterns = patterns.unwrap_or_else(|error| {
        wrong.push(chain(&error));
        Gitignore::empty()
    });
    let more = wrong.len().saturating_sub(BROKEN_LINES_NAMED_MAX);
    wrong.truncate(BROKEN_LINES_NAMED_MAX);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    RuleFile {
        patterns,
        lines: lines.into_iter().map(|(_, rule)| rule).collect(),
        fault: (!wrong.is_empty()).then(|| {
            Fault::new(
                Class::Unreadable,
                "use all the rules",
                subject(folder),
                wrong.join("; "),
            )
            .hint("correct these lines; one that cannot be understood, or cannot match, leaves out nothing")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[test]
    fn broken_lines_are_named_and_the_others_count() {
        let at = Path::new("/");
        let file = parse(b"ok\na{1\n\xff\n{2\n*.log\n{3\n", at, &p("f"));
        assert_eq!(file.patterns.len(), 2);
        let fault = file.fault.unwrap();
        assert_eq!(fault.subject, "f/.keepwatchignore");
        for part in ["line 2", "line 3 is not UTF-8", "line 4", "and 1 more"] {
            assert!(fault.cause.contains(part), "{fault}");
        }
        assert!(
            parse(b"# fine\n\n*.x", at, &RelPath::root())
                .fault
                .is_none()
        );
    }
}
