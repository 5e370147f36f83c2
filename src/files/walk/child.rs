//! A name in a folder that is being walked.

use crate::types::key_escape;
use std::borrow::Cow;

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
        let mut key = key_escape::encode(name);
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

    /// Its part of the key, a folder's with its `/`.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn name(&self) -> Cow<'_, [u8]> {
        let encoded = self.key.strip_suffix('/').unwrap_or(&self.key);
        match encoded.contains('%') {
            true => Cow::Owned(key_escape::decode(encoded)),
            false => Cow::Borrowed(encoded.as_bytes()),
        }
    }
}
