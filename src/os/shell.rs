//! Words of a command line that a person copies into a terminal.
//!
//! On Windows two shells read them, which agree on little. A word is written so that both
//! read the same wherever that can be done; where it cannot, for the one that is read in.

/// A shell that a person copies a command into.
#[allow(clippy::enum_variant_names, reason = "PowerShell is its name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// `sh` and all that quote as it does.
    Posix,
    /// Windows' command prompt.
    Cmd,
    /// Windows PowerShell, and PowerShell.
    PowerShell,
}

impl Shell {
    /// The shell of whoever reads what this process says.
    fn of_reader() -> Self {
        if !cfg!(windows) {
            return Self::Posix;
        }
        let set = |name| std::env::var(name).ok();
        Self::of_windows(
            set("PROMPT").as_deref(),
            set("PSModulePath").as_deref(),
            set("USERPROFILE").as_deref(),
        )
    }

    /// The command prompt sets `PROMPT` for what it starts. PowerShell puts the account's own
    /// modules into `PSModulePath`. A service knows neither, and Windows' terminal begins with
    /// PowerShell.
    fn of_windows(prompt: Option<&str>, modules: Option<&str>, home: Option<&str>) -> Self {
        let home = home.unwrap_or_default().to_lowercase();
        let is_own = |folder: &str| !home.is_empty() && folder.to_lowercase().starts_with(&home);
        match (prompt, modules) {
            (Some(_), Some(modules)) if modules.split(';').any(is_own) => Self::PowerShell,
            (Some(_), _) => Self::Cmd,
            (None, _) => Self::PowerShell,
        }
    }

    fn word(self, text: &str) -> String {
        if is_plain(self, text) {
            return text.to_owned();
        }
        match self {
            Self::Posix => format!("'{}'", text.replace('\'', r"'\''")),
            _ if is_the_same_in_both(text) => in_double_quotes(text),
            Self::PowerShell => in_single_quotes(text),
            Self::Cmd => for_cmd(text),
        }
    }

    fn program(self, path: &str) -> String {
        let word = self.word(path);
        if self == Self::Posix || is_plain(self, path) {
            return word;
        }
        if !is_the_same_in_both(path) || path.contains('"') {
            return match self {
                Self::PowerShell => format!("& {word}"),
                _ => word,
            };
        }
        // PowerShell takes a text in quotation marks for a text and not for a program, and the
        // command prompt knows no `&` before one. Quotes within a path are neither's trouble.
        let names = path.split('\\').map(|name| match is_plain(self, name) {
            true => name.to_owned(),
            false => format!("\"{name}\""),
        });
        names.collect::<Vec<_>>().join("\\")
    }

    fn with_variables(self, variables: &[(&str, &str)], command: &str) -> String {
        let set = |(name, value): &(&str, &str)| match self {
            Self::Posix => format!("{name}={} ", self.word(value)),
            Self::PowerShell => format!("$env:{name}={}; ", in_single_quotes(value)),
            Self::Cmd => format!("set \"{name}={value}\" & "),
        };
        let set: String = variables.iter().map(set).collect();
        match (self, variables) {
            (_, []) => command.to_owned(),
            // `env` rather than the shell's own way, so that `sudo` can stand before it.
            (Self::Posix, _) => format!("env {set}{command}"),
            _ => format!("{set}{command}"),
        }
    }
}

/// The text as one word of this system's shell.
pub fn shell_word(text: &str) -> String {
    Shell::of_reader().word(text)
}

/// The path of a program as the first word of a command.
pub fn shell_program(path: &str) -> String {
    Shell::of_reader().program(path)
}

/// A command with variables set for it.
pub fn shell_with_variables(variables: &[(&str, &str)], command: &str) -> String {
    Shell::of_reader().with_variables(variables, command)
}

/// Whether this system's shells read [`shell_word`] of it as the same text. Where they do
/// not, a name can still be written as keys have it (`key_escape::encode_for_shells`).
pub fn is_said_in_every_shell(text: &str) -> bool {
    !cfg!(windows) || is_the_same_in_both(text)
}

/// Words that need no quotes.
fn is_plain(shell: Shell, text: &str) -> bool {
    let is_windows = shell != Shell::Posix;
    let is_plain = |c: char| {
        c.is_ascii_alphanumeric()
            || "-_./:+=".contains(c)
            // PowerShell makes lists with the one and spreads them with the other.
            || (!is_windows && ",@".contains(c))
            || (is_windows && c == '\\')
            || (!c.is_ascii() && c.is_alphanumeric())
    };
    // PowerShell cuts `-a.b` and `-a:b` in two.
    let is_cut = is_windows && text.starts_with('-') && text.contains(['.', ':']);
    !text.is_empty() && text.chars().all(is_plain) && !is_cut
}

/// PowerShell ends a text at typographic quotes as well.
fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201e}')
}

/// Whether both of Windows' shells read the text in double quotes as it is.
fn is_the_same_in_both(text: &str) -> bool {
    if text.contains('`') || text.contains(is_double_quote) {
        return false;
    }
    let mut parts = text.split('%').skip(1).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() && may_be_variable(part) {
            return false;
        }
    }
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_variable = |next: &char| !matches!(next, ' ' | '.' | ',' | '-' | '\\' | '/');
        if letter == '$' && letters.peek().is_some_and(is_variable) {
            return false;
        }
    }
    true
}

/// Whether the command prompt may know a variable of this name. The bytes of an escaped name
/// (`%E2%80%AE`) are none.
fn may_be_variable(between: &str) -> bool {
    let is_byte = between.len() == 2 && between.bytes().all(|b| b.is_ascii_hexdigit());
    let is_begin = |c: char| c.is_alphabetic() || c == '_';
    between.starts_with(is_begin) && !is_byte
}

/// Programs on Windows take a quote after a backslash for a letter, and two backslashes
/// before a quote for one.
fn in_double_quotes(text: &str) -> String {
    let at_end = text.len() - text.trim_end_matches('\\').len();
    format!("\"{text}{}\"", "\\".repeat(at_end))
}

/// What the command prompt reads within quotes stands between them. There a caret ends the
/// name of a variable, or keeps a quote from being one, and goes.
fn for_cmd(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['%', '"']) {
        if at > 0 {
            out.push_str(&in_double_quotes(&rest[..at]));
        }
        out.push_str(if rest[at..].starts_with('%') {
            "^%"
        } else {
            "\\^\""
        });
        rest = &rest[at + 1..];
    }
    if !rest.is_empty() {
        out.push_str(&in_double_quotes(rest));
    }
    out
}

/// PowerShell reads nothing in these but the quotes themselves.
fn in_single_quotes(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: Option<&str> = None;

    /// Named after the bug: `"$(...)"` in a printed command was carried out by PowerShell,
    /// and `%VAR%` was replaced by the command prompt.
    #[test]
    fn what_a_shell_would_split_or_replace_is_quoted() {
        // Posix, both of Windows', and the command prompt where it wants its own.
        for (text, posix, windows, cmd) in [
            ("", "''", "\"\"", SAME),
            ("/srv/office", "/srv/office", "/srv/office", SAME),
            (
                "2026-11-23T09:00:00+01:00",
                "2026-11-23T09:00:00+01:00",
                "2026-11-23T09:00:00+01:00",
                SAME,
            ),
            ("/srv/büro", "/srv/büro", "/srv/büro", SAME),
            ("my office", "'my office'", "\"my office\"", SAME),
            ("it's", r"'it'\''s'", "\"it's\"", SAME),
            ("a,b", "a,b", "\"a,b\"", SAME),
            ("@list", "@list", "\"@list\"", SAME),
            ("-x.y", "-x.y", "\"-x.y\"", SAME),
            ("--at", "--at", "--at", SAME),
            (
                "a & b | c > d",
                "'a & b | c > d'",
                "\"a & b | c > d\"",
                SAME,
            ),
            ("{a};(b)#c", "'{a};(b)#c'", "\"{a};(b)#c\"", SAME),
            ("^x!y!", "'^x!y!'", "\"^x!y!\"", SAME),
            (r"C:\Users", r"'C:\Users'", r"C:\Users", SAME),
            (
                r"C:\my disk\",
                r"'C:\my disk\'",
                "\"C:\\my disk\\\\\"",
                SAME,
            ),
            (r"\\nas\C$\x", r"'\\nas\C$\x'", "\"\\\\nas\\C$\\x\"", SAME),
            ("100 $.txt", "'100 $.txt'", "\"100 $.txt\"", SAME),
            ("50% off", "'50% off'", "\"50% off\"", SAME),
            ("50%, 60%", "'50%, 60%'", "\"50%, 60%\"", SAME),
            ("a%E2%80%AEb", "'a%E2%80%AEb'", "\"a%E2%80%AEb\"", SAME),
            ("%25TEMP%25", "'%25TEMP%25'", "\"%25TEMP%25\"", SAME),
            (
                "$(rm -rf ~)",
                "'$(rm -rf ~)'",
                "'$(rm -rf ~)'",
                Some("\"$(rm -rf ~)\""),
            ),
            ("$HOME", "'$HOME'", "'$HOME'", Some("\"$HOME\"")),
            ("a`b", "'a`b'", "'a`b'", Some("\"a`b\"")),
            (
                "the „late“ one",
                "'the „late“ one'",
                "'the „late“ one'",
                Some("\"the „late“ one\""),
            ),
            (
                "%TEMP%.txt",
                "'%TEMP%.txt'",
                "'%TEMP%.txt'",
                Some("^%\"TEMP\"^%\".txt\""),
            ),
            ("$a's", r"'$a'\''s'", "'$a''s'", Some("\"$a's\"")),
            ("a\"b", "'a\"b'", "'a\"b'", Some("\"a\"\\^\"\"b\"")),
        ] {
            assert_eq!(Shell::Posix.word(text), posix);
            assert_eq!(Shell::PowerShell.word(text), windows);
            assert_eq!(Shell::Cmd.word(text), cmd.unwrap_or(windows));
            assert_eq!(is_the_same_in_both(text), cmd.is_none(), "{text}");
        }
    }

    #[test]
    fn a_program_in_a_folder_with_blanks_is_started_by_both_of_windows_shells() {
        for (path, powershell, cmd) in [
            (r"C:\keepwatch.exe", r"C:\keepwatch.exe", SAME),
            (
                r"C:\Program Files\Keepwatch\keepwatch.exe",
                "C:\\\"Program Files\"\\Keepwatch\\keepwatch.exe",
                SAME,
            ),
            (
                r"C:\a $x\keepwatch.exe",
                r"& 'C:\a $x\keepwatch.exe'",
                Some("\"C:\\a $x\\keepwatch.exe\""),
            ),
        ] {
            assert_eq!(Shell::PowerShell.program(path), powershell);
            assert_eq!(Shell::Cmd.program(path), cmd.unwrap_or(powershell));
        }
        assert_eq!(Shell::Posix.program("/opt/my bin/k"), "'/opt/my bin/k'");
    }

    #[test]
    fn variables_are_set_as_each_shell_sets_them() {
        let variables = [("AWS_PROFILE", "it's"), ("A", "b")];
        for (shell, line) in [
            (Shell::Posix, r"env AWS_PROFILE='it'\''s' A=b keepwatch"),
            (
                Shell::PowerShell,
                "$env:AWS_PROFILE='it''s'; $env:A='b'; keepwatch",
            ),
            (
                Shell::Cmd,
                "set \"AWS_PROFILE=it's\" & set \"A=b\" & keepwatch",
            ),
        ] {
            assert_eq!(shell.with_variables(&variables, "keepwatch"), line);
            assert_eq!(shell.with_variables(&[], "keepwatch"), "keepwatch");
        }
    }

    #[test]
    fn which_of_windows_shells_a_reader_is_in() {
        let system = r"C:\Program Files\WindowsPowerShell\Modules;C:\WINDOWS\system32\WindowsPowerShell\v1.0\Modules";
        let own = format!(r"C:\Users\anna\Documents\WindowsPowerShell\Modules;{system}");
        let home = Some(r"C:\Users\Anna");
        for (prompt, modules, shell) in [
            (Some("$P$G"), Some(system), Shell::Cmd),
            (Some("$P$G"), None, Shell::Cmd),
            (None, Some(own.as_str()), Shell::PowerShell),
            // PowerShell started from the command prompt.
            (Some("$P$G"), Some(own.as_str()), Shell::PowerShell),
            // A service.
            (None, Some(system), Shell::PowerShell),
            (None, None, Shell::PowerShell),
        ] {
            assert_eq!(Shell::of_windows(prompt, modules, home), shell);
        }
    }
}
