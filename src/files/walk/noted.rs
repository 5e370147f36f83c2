//! What a walk has noted of the rules: which there are, and what each decided.

use crate::files::rules::Decided;
use crate::types::RelPath;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleAt {
    /// The folder whose rule file it stands in; `None` for the configuration's.
    pub folder: Option<RelPath>,
    /// As it is applied.
    pub rule: String,
}

/// A rule, and what it decided about; a rule file's are also noted when it is
/// come across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The rule.
    pub at: RuleAt,
    /// The file or folder; `None` when the rule has only been seen.
    pub path: Option<RelPath>,
    /// It is a folder, with all that is in it.
    pub is_folder: bool,
}

impl Noted {
    pub(super) fn seen(folder: &RelPath, rule: &str) -> Self {
        Self {
            at: RuleAt {
                folder: Some(folder.clone()),
                rule: rule.to_owned(),
            },
            path: None,
            is_folder: false,
        }
    }

    pub(super) fn decided(path: &RelPath, is_folder: bool, decided: &Decided<'_>) -> Self {
        let folder = decided.file.map(|end| {
            // The folder's `/` does not belong to its name.
            let folder = path.as_bytes()[..end].strip_suffix(b"/");
            RelPath::from_bytes(folder.unwrap_or_default()).unwrap_or_default()
        });
        Self {
            at: RuleAt {
                folder,
                rule: decided.rule.to_owned(),
            },
            path: Some(path.clone()),
            is_folder,
        }
    }
}
