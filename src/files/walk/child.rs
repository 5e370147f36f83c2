//! A name in a folder that is being walked.

use crate::model::key;

/// A name in its folder.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Child {
    /// Encoded, a folder with its `/`: the order of children is that of keys.
    key: Box<str>,
    /// The file system did not say what it is, and looking failed: given twice,
    /// as file and as folder, since its keys could be either.
    pub(super) is_lost: bool,
}

impl Child {
    pub(super) fn new(name: &[u8], is_folder: bool, is_lost: bool) -> Self {
        let mut key = key::encode(name);
        if is_folder {
            key.push('/');
        }
        Self {
            key: key.into_boxed_str(),
            is_lost,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.key.ends_with('/')
    }

    pub(super) fn name(&self) -> Vec<u8> {
        key::decode(self.key.strip_suffix('/').unwrap_or(&self.key))
    }
}
