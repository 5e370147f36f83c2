//! Extended attributes and access control lists of what is backed up. What is kept is
//! the model's to say.

use crate::error::{Fault, chain};
use crate::model::attributes::{TEXT_BYTES_MAX, is_kept};
use crate::model::{Attributes, RelPath};
use crate::platform;
use std::fs::File;
use std::io;
use std::path::Path;

/// The attributes of a file or folder that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Those that could be read.
    pub attributes: Attributes,
    /// Why there are no more; nothing when these are all.
    pub lost: Option<String>,
}

impl Kept {
    fn none_because(why: String) -> Self {
        Self {
            attributes: Attributes::default(),
            lost: Some(why),
        }
    }
}

/// Read what an open file or folder has. Blocks.
pub fn attributes_of(file: &File) -> Kept {
    kept(platform::attributes_of(file, is_kept))
}

fn kept(all: io::Result<Vec<(String, Vec<u8>)>>) -> Kept {
    let all = match all {
        Ok(all) => all,
        Err(error) => return Kept::none_because(chain(&error)),
    };
    let mut attributes = Attributes::default();
    for (name, value) in all {
        attributes.insert(name, value);
    }
    let text_bytes = attributes.to_text().len();
    if text_bytes > TEXT_BYTES_MAX {
        return Kept::none_because(format!(
            "they have {text_bytes} bytes as text, and {TEXT_BYTES_MAX} are kept"
        ));
    }
    Kept {
        attributes,
        lost: None,
    }
}

/// The same of a folder of a source; none when it is not there. Blocks.
///
/// # Errors
/// [`Fault`] when the root cannot be used.
pub fn folder_attributes(root: &Path, rel: &RelPath) -> Result<Kept, Fault> {
    let dir = super::read::folder(root, rel)?;
    Ok(dir.map_or_else(Kept::default, |dir| kept(dir.attributes(is_kept))))
}
