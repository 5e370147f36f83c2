//! What a command has said, and with which exit code.

use std::process::Output;

/// A command that has ended.
pub struct Ran {
    pub code: Option<i32>,
    /// Both of its outputs.
    pub text: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        Self {
            code: output.status.code(),
            text,
        }
    }

    #[track_caller]
    pub fn check(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "{word}: {}", self.text);
        }
    }
}
