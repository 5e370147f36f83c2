//! What is wrong with one value, told without repeating a credential.
//!
//! A value of a file gets into a message only through [`shown`], which withholds whatever looks
//! like a credential.

use crate::types::{Fatal, printable};

/// Longer values are cut in messages, so that one line stays one line.
const SHOWN_CHARS_MAX: usize = 80;

/// What is wrong with one value and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong, as a clause.
    pub(super) what: String,
    /// What the reader can do.
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same, said about a command line flag.
    pub(super) fn of_flag(self, flag: &str) -> Fatal {
        Fatal::usage(format!("use {flag}"), self.what, self.remedy)
    }
}

/// A value as it may appear in a message: quoted, on one line, cut when long,
/// and not at all when it could be a credential.
pub(super) fn shown(value: &str) -> String {
    if value.is_empty() {
        return "\"\"".into();
    }
    if looks_secret(value) {
        return "the value (not repeated here: it looks like a credential)".into();
    }
    let mut text: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    format!("`{}`", printable(&text))
}

/// AWS access key ids, and text of a secret key's length and alphabet.
pub(super) fn looks_secret(value: &str) -> bool {
    let is_id = |word: &str| {
        word.len() >= 16
            && (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    let is_secret = |word: &str| {
        word.len() >= 40
            && !word.starts_with('/')
            && word.chars().any(|c| c.is_ascii_uppercase())
            && word.chars().any(|c| c.is_ascii_lowercase())
            && word.chars().any(|c| c.is_ascii_digit())
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '='))
    };
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '='));
    value.split(is_separator).any(is_secret)
        || value.split(|c: char| !c.is_ascii_alphanumeric()).any(is_id)
}

/// A refusal when a key's name says that its value is a credential.
pub(super) fn credential_refused(name: &str) -> Option<Problem> {
    const MARKS: [&str; 9] = [
        "secret",
        "accesskey",
        "password",
        "passwd",
        "token",
        "credential",
        "apikey",
        "privatekey",
        "accountkey",
    ];
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    MARKS.iter().any(|mark| plain.contains(mark)).then(|| {
        Problem::new(
            "credentials do not belong here, and are not read from here",
            "remove it, and put credentials where AWS tools keep them: the file .aws/credentials (choose it with [s3] profile), the AWS_… variables of the service, or the computer's role",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_not_repeated() {
        for secret in [
            "AKIAIOSFODNN7EXAMPLE",
            "key=ASIAIOSFODNN7EXAMPLE;",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
        ] {
            assert!(!shown(secret).contains(&secret[4..20]), "{secret}");
        }
        for plain in ["database-backup-254", "/srv/office/Archiv2024", "AKIA"] {
            assert_eq!(shown(plain), format!("`{plain}`"));
        }
    }

    #[test]
    fn a_shown_value_stays_one_line() {
        assert_eq!(shown("a\nb\u{202e}c"), "`a\\nb\\u{202e}c`");
        assert_eq!(shown(&"x".repeat(200)).chars().count(), SHOWN_CHARS_MAX + 3);
    }
}
