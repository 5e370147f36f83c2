//! The two kinds of failure, made from the errors that caused them.
//!
//! [`Fatal`] stops the process. [`Fault`] concerns one path or one object, and the work
//! goes on. They are two types so that neither can be mistaken for the other. Both say
//! what was being done, to what, why it failed and what to do about it; both are logged
//! once, where they stop travelling. Neither may ever carry a credential.

use super::cause::Source;
use super::class::Class;
use super::fatal::Fatal;
use super::fault::Fault;
use super::operation::Operation;
use std::error::Error as StdError;
use std::io;

impl Fatal {
    /// A failure of something the whole run depends on, because of an error: its causes
    /// are the cause, and it is the source.
    pub fn from_error(
        operation: impl Into<String>,
        error: impl StdError + Send + Sync + 'static,
        hint: impl Into<String>,
    ) -> Self {
        let fatal = Self::new(operation, chain(&error), hint);
        Self {
            source: Source::of(error),
            ..fatal
        }
    }
}

impl Fault {
    /// A fault because of an error: its causes are the cause, and it is the source.
    pub fn from_error(
        class: Class,
        operation: impl Into<Operation>,
        subject: impl Into<String>,
        error: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::new(class, operation, subject, chain(&error)).with_source(error)
    }
}

/// The chain of causes of an error as one line, outermost first.
///
/// A level that only repeats the one below it, or says nothing, is left out.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string().trim().to_owned();
    let mut next = below(error);
    while let Some(cause) = next {
        let line = cause.to_string();
        let line = line.trim();
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = below(cause);
    }
    text
}

/// The cause of an error. A [`Fault`] or [`Fatal`] tells its own causes.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let is_ours = |error: &(dyn StdError + 'static)| error.is::<Fault>() || error.is::<Fatal>();
    let inside = error.downcast_ref().and_then(io::Error::get_ref);
    let is_told = is_ours(error) || inside.is_some_and(|inside| is_ours(inside));
    error.source().filter(|_| !is_told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Says>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Says {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn no_message_has_an_empty_cause() {
        for cause in ["", " ", "\n"] {
            let fault = Fault::new(Class::Refused, "copy", "a", cause);
            assert_eq!(fault.to_string(), "a: cannot copy: no reason was given");
            let fatal = Fatal::new("open the index", cause, "");
            assert_eq!(
                fatal.to_string(),
                "cannot open the index: no reason was given"
            );
        }
        for (outer, inner, want) in [
            ("", "the disk is full", "the disk is full"),
            ("it failed", "", "it failed"),
            ("it failed", " \n", "it failed"),
            (
                "it failed",
                "the disk is full",
                "it failed: the disk is full",
            ),
            ("", "", ""),
        ] {
            let error = Says(outer, Some(Box::new(Says(inner, None))));
            assert_eq!(chain(&error), want);
        }
    }

    /// A source is a real error, and neither shown, nor stored, nor compared.
    #[test]
    fn what_a_failure_came_from_is_kept_beside_what_it_says() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let plain = Fault::new(Class::Local, "write", "a", chain(&denied()));
        let fault = Fault::from_error(Class::Local, "write", "a", denied());
        assert_eq!(fault, plain);
        assert_eq!(fault.to_string(), plain.to_string());
        assert_eq!(format!("{fault:?}"), format!("{plain:?}"));
        assert_eq!(
            serde_json::to_string(&fault).unwrap(),
            serde_json::to_string(&plain).unwrap()
        );
        let kind = |error: &dyn StdError| {
            let source = error.source().and_then(|error| error.downcast_ref());
            source.map(io::Error::kind)
        };
        assert_eq!(kind(&fault), Some(io::ErrorKind::PermissionDenied));
        assert!(plain.source().is_none());
        // What passes a reader on its way says nothing twice.
        let passed = io::Error::other(fault.clone().hint("do"));
        assert_eq!(chain(&passed), fault.clone().hint("do").to_string());
        let fatal = Fatal::from(fault);
        assert_eq!(kind(&fatal), Some(io::ErrorKind::PermissionDenied));
        assert_eq!(fatal, Fatal::from(plain));
    }
}
