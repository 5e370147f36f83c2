//! An error of credentials or of the network, said once and in plain words.

use crate::types::Class;
use std::error::Error as StdError;
use std::fmt;

/// What went wrong, and what to do. It travels inside the SDK's errors, which `store`
/// and `notice` look through for it.
#[derive(Debug)]
pub struct Explained {
    /// What kind of trouble.
    pub class: Class,
    /// What is wrong, naming the file or the server.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Explained {
    pub(super) fn new(class: Class, cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            class,
            cause: cause.into(),
            hint: hint.into(),
            source: None,
        }
    }

    /// The same, with the error that it explains: who decides about retries looks
    /// for it.
    pub(super) fn of(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same words about another try.
    pub(super) fn again(&self) -> Self {
        Self::new(self.class, &self.cause, &self.hint)
    }

    /// The first explanation among the causes of an error, where there is one.
    pub fn among<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error and its causes, outermost first. What an I/O error wraps is one of them;
/// `source` would leave it out.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// On one line, and without access keys, signatures and tokens: some servers and
/// programs quote what they were given.
pub fn hide_keys(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    const NAMES: [&str; 4] = ["credential", "signature", "token", "secret"];
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '\'' | '"');
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(ends) {
        let lower = word.to_ascii_lowercase();
        let key_id = ["AKIA", "ASIA"]
            .into_iter()
            .filter_map(|id| word.find(id))
            .min();
        let named = NAMES
            .iter()
            .filter_map(|name| lower.find(&format!("{name}=")))
            .min()
            .and_then(|at| word[at..].find('=').map(|equals| at + equals + 1));
        match [key_id, named].into_iter().flatten().min() {
            None => out.push_str(word),
            Some(at) => {
                let end = word.trim_end_matches(ends);
                out.push_str(&word[..at]);
                out.push_str("(hidden)");
                out.push_str(&word[end.len().max(at)..]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_are_hidden() {
        for (text, expected) in [
            ("User: arn:aws:iam::1:user/x is not authorized", None),
            (
                "the security token included in the request is invalid",
                None,
            ),
            (
                "'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/2026/eu, Signature=fe5f80' not valid",
                Some("'AWS4-HMAC-SHA256 Credential=(hidden), Signature=(hidden)' not valid"),
            ),
            ("a\n  b\r\nc", Some("a b c")),
            (
                "key AKIAIOSFODNN7EXAMPLE, X-Amz-Security-Token=abc==",
                Some("key (hidden), X-Amz-Security-Token=(hidden)"),
            ),
        ] {
            assert_eq!(hide_keys(text), expected.unwrap_or(text));
        }
    }

    #[test]
    fn an_explanation_is_found_wherever_the_sdk_has_put_it() {
        let explained = || Explained::new(Class::Transient, "why", "what to do");
        let wrapped = std::io::Error::other(explained());
        assert_eq!(Explained::among(&wrapped).unwrap().cause, "why");
        let twice = std::io::Error::other(wrapped);
        assert_eq!(Explained::among(&twice).unwrap().hint, "what to do");
        assert!(Explained::among(&std::io::Error::other("nothing")).is_none());
    }
}
