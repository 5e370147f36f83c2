//! Reads the extended attributes and access control lists of what is backed up. Which of them
//! are kept is decided in `types::attributes`.

use crate::os;
use crate::types::{Attributes, Fault, RelPath, TEXT_BYTES_MAX, chain, is_kept};
use std::fs::File;
use std::io;
use std::path::Path;

/// The attributes of a file or folder that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadAttributes {
    /// Those that could be read.
    pub attributes: Attributes,
    /// Why there are no more; nothing when these are all.
    pub lost: Option<String>,
    /// Alternate data streams, which are not kept.
    pub streams: Vec<String>,
    /// This system or disk keeps none: what a bucket says is neither true nor false here.
    pub has_no_place: bool,
}

impl ReadAttributes {
    fn none_because(why: String) -> Self {
        Self {
            lost: Some(why),
            ..Self::default()
        }
    }

    /// These are those with this id ([`Attributes::id`]), or nobody here can tell.
    pub fn may_be(&self, id: Option<u64>) -> bool {
        self.has_no_place || self.lost.is_some() || self.attributes.id() == id
    }
}

/// Read what an open file or folder has. Blocks.
pub fn attributes_of(file: &File) -> ReadAttributes {
    let mut read = kept(os::attributes_of(file, TEXT_BYTES_MAX, is_kept));
    read.streams = os::streams_of(file);
    read
}

fn kept(all: io::Result<Option<os::NamedAttributes>>) -> ReadAttributes {
    let all = match all {
        Ok(Some(all)) => all,
        Ok(None) => {
            return ReadAttributes {
                has_no_place: true,
                ..ReadAttributes::default()
            };
        }
        Err(error) => return ReadAttributes::none_because(chain(&error)),
    };
    let mut attributes = Attributes::default();
    for (name, value) in all {
        attributes.insert(name, value);
    }
    let text_bytes = attributes.to_text().len();
    if text_bytes > TEXT_BYTES_MAX {
        return ReadAttributes::none_because(format!(
            "they have {text_bytes} bytes as text, and {TEXT_BYTES_MAX} are kept"
        ));
    }
    ReadAttributes {
        attributes,
        ..ReadAttributes::default()
    }
}

/// The same of a folder of a source; none when it is not there. Blocks.
///
/// # Errors
/// [`Fault`] when the root cannot be used.
pub fn folder_attributes(root: &Path, rel: &RelPath) -> Result<ReadAttributes, Fault> {
    let dir = crate::files::path_stat::folder(root, rel)?;
    Ok(dir.map_or_else(ReadAttributes::default, |dir| {
        kept(dir.attributes(TEXT_BYTES_MAX, is_kept))
    }))
}
