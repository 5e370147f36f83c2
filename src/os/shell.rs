//! Words of a command line that a person copies into a terminal.

/// The text as one word of this system's shell.
pub fn shell_word(text: &str) -> String {
    word(text, cfg!(windows))
}

fn word(text: &str, is_windows: bool) -> String {
    let is_plain = |c: char| {
        c.is_ascii_alphanumeric()
            || "-_./:+=,@".contains(c)
            || (is_windows && c == '\\')
            || (!c.is_ascii() && c.is_alphanumeric())
    };
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if is_windows {
        // Names on Windows have no quotation marks.
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_split_or_replace_is_quoted() {
        for (text, unix, windows) in [
            ("", "''", "\"\""),
            ("/srv/office", "/srv/office", "/srv/office"),
            (
                "2026-11-23T09:00:00+01:00",
                "2026-11-23T09:00:00+01:00",
                "2026-11-23T09:00:00+01:00",
            ),
            ("/srv/büro", "/srv/büro", "/srv/büro"),
            ("/srv/my office", "'/srv/my office'", "\"/srv/my office\""),
            ("it's", r"'it'\''s'", "\"it's\""),
            ("$(rm -rf ~)", "'$(rm -rf ~)'", "\"$(rm -rf ~)\""),
            (r"C:\Users", r"'C:\Users'", r"C:\Users"),
        ] {
            assert_eq!(
                (word(text, false).as_str(), word(text, true).as_str()),
                (unix, windows)
            );
        }
    }
}
