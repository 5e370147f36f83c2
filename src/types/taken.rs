//! How the text that a person typed was read: as a name or as a pattern. Pure.

use serde::{Deserialize, Serialize};

/// How a text that may mean several things is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// As the name of a file or folder, and nothing else.
    Name,
    /// As a name in the form that the bucket's keys have (`caf%E9`).
    Key,
    /// As a pattern.
    Pattern,
    /// As the one thing that is called like it, elsewhere or spelled otherwise.
    Alike,
}

/// How one text was taken that could have meant something else, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// As it was typed.
    pub text: String,
    /// How.
    pub reading: Reading,
    /// The path that it is taken for, as shown to people, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Taken {
    /// In a sentence, for people.
    pub fn words(&self) -> String {
        let text = &self.text;
        match self.reading {
            Reading::Name => format!(
                "\"{text}\" is the name of a file or folder, and is taken as that name alone, not as a pattern"
            ),
            Reading::Key => format!(
                "\"{text}\" is taken as a name in the form that the bucket has it; no file or folder is called exactly so"
            ),
            Reading::Alike if self.path.as_deref() == Some(".") => format!(
                "\"{text}\" is not inside it: it is taken as the name of the source's own folder, with all that is in it"
            ),
            Reading::Alike => format!(
                "\"{text}\" is not there under this very name, but here: {}",
                self.path.as_deref().unwrap_or_default()
            ),
            Reading::Pattern => {
                format!("\"{text}\" is taken as a pattern; no file or folder is called exactly so")
            }
        }
    }
}
