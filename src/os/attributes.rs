//! What an open file or folder has beside content, mode and time: extended attributes on
//! Linux; on Windows its marks (hidden, system) and rights of its own. Other systems keep none.

use crate::types::attributes::{WINDOWS_MARKS, WINDOWS_RIGHTS};

/// Attributes with their values.
pub type NamedAttributes = Vec<(String, Vec<u8>)>;

/// Whether an attribute of this name can mean something on this system. What Windows has of a
/// file means nothing elsewhere, and what Linux has nothing there.
pub fn knows_attribute(name: &str) -> bool {
    let is_of_windows = name == WINDOWS_MARKS || name == WINDOWS_RIGHTS;
    is_of_windows == cfg!(windows)
}

/// The names of an open file's alternate data streams (NTFS), which are not kept, but for
/// those that nobody misses. None on other systems. Blocks.
pub fn streams_of(file: &std::fs::File) -> Vec<String> {
    #[cfg(windows)]
    if let Some(list) = super::windows::sys::streams_of(file) {
        return super::streams::worth_telling(&list);
    }
    let _ = file;
    Vec::new()
}

#[cfg(not(any(target_os = "linux", windows)))]
pub use elsewhere::{attribute_names, attributes_of, remove_attribute, set_attribute};
#[cfg(target_os = "linux")]
pub use linux::{attribute_names, attributes_of, remove_attribute, set_attribute};
#[cfg(windows)]
pub use windows::{attribute_names, attributes_of, remove_attribute, set_attribute};

#[cfg(target_os = "linux")]
mod linux {
    use super::NamedAttributes;
    use rustix::fs::{
        XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr,
        fsetxattr,
    };
    use rustix::io::Errno;
    use std::fs::File;
    use std::io;

    /// Times that what grows between the question for its size and the reading is
    /// asked again.
    const TRIES_MAX: u32 = 5;

    /// The names of a file's attributes; `None` where the file system knows none. One
    /// that is no text is left out. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attribute_names(file: &File) -> io::Result<Option<Vec<String>>> {
        let list = whole(|| flistxattr_query(file), |buffer| flistxattr(file, buffer));
        let list = match list {
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(None),
            list => list?,
        };
        let names = list
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        let names = names.filter_map(|name| std::str::from_utf8(name).ok());
        Ok(Some(names.map(str::to_owned).collect()))
    }

    /// Names and values of the attributes that `is_wanted` names; `None` where the file
    /// system knows none. Blocks.
    ///
    /// # Errors
    /// What the operating system says; they have more than `bytes_max` bytes.
    pub fn attributes_of(
        file: &File,
        bytes_max: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        let Some(names) = attribute_names(file)? else {
            return Ok(None);
        };
        let mut all = Vec::new();
        let mut bytes = 0;
        for name in names.into_iter().filter(|name| is_wanted(name)) {
            let value = whole(
                || fgetxattr_query(file, name.as_str()),
                |buffer| fgetxattr(file, name.as_str(), buffer),
            );
            match value {
                Ok(value) => {
                    bytes += name.len() + value.len();
                    if bytes > bytes_max {
                        let why = format!("they have more than {bytes_max} bytes");
                        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
                    }
                    all.push((name, value));
                }
                // Removed just now; or listed by a file system that has none of these.
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(all))
    }

    /// What has a size that may change.
    fn whole(
        size: impl Fn() -> rustix::io::Result<usize>,
        read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    ) -> rustix::io::Result<Vec<u8>> {
        let mut tries = 1;
        loop {
            let mut buffer = vec![0; size()?];
            if buffer.is_empty() {
                return Ok(buffer);
            }
            match read(&mut buffer) {
                Ok(read) => {
                    buffer.truncate(read);
                    return Ok(buffer);
                }
                Err(Errno::RANGE) if tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Set an attribute, in place of one of the same name. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_attribute(file: &File, name: &str, value: &[u8]) -> io::Result<()> {
        Ok(fsetxattr(file, name, value, XattrFlags::empty())?)
    }

    /// Remove an attribute, if it is there. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove_attribute(file: &File, name: &str) -> io::Result<()> {
        match fremovexattr(file, name) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(windows)]
mod windows {
    use super::NamedAttributes;
    use crate::os::marks;
    use crate::os::trouble::{Trouble, trouble};
    use crate::os::windows::{rights, sys};
    use crate::types::attributes::{WINDOWS_MARKS as MARKS, WINDOWS_RIGHTS as SDDL};
    use parking_lot::Mutex;
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io;

    /// `READ_CONTROL`, `WRITE_DAC` and `WRITE_OWNER` (winnt.h).
    const RIGHT_READ_RIGHTS: u32 = 0x2_0000;
    const RIGHT_WRITE_LIST: u32 = 0x4_0000;
    const RIGHT_WRITE_OWNER: u32 = 0x8_0000;

    /// The names of a file's attributes that a restore takes away when the version has
    /// none of them. Rights of its own stay: nobody knows what it would get instead.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attribute_names(file: &File) -> io::Result<Option<Vec<String>>> {
        let marks = marks::text_of(sys::info_of(file)?.attributes);
        Ok(Some(marks.map(|_| MARKS.to_owned()).into_iter().collect()))
    }

    /// Names and values of the attributes that `is_wanted` names; `None` where the file
    /// system has neither. Blocks.
    ///
    /// # Errors
    /// What the operating system says; they have more than `bytes_max` bytes.
    pub fn attributes_of(
        file: &File,
        bytes_max: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        let marks = marks::text_of(sys::info_of(file)?.attributes);
        let own_rights = match rights::sddl_of(file) {
            Ok(sddl) => marks::has_own_rights(&sddl).then_some(sddl),
            // FAT and some servers have none.
            Err(error) if trouble(&error) == Trouble::Unsupported => None,
            Err(error) => return Err(error),
        };
        let all = [(MARKS, marks), (SDDL, own_rights)];
        let all = all.into_iter().filter(|(name, _)| is_wanted(name));
        let all: NamedAttributes = all
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into_bytes())))
            .collect();
        if all.iter().map(|(_, value)| value.len()).sum::<usize>() > bytes_max {
            let why = format!("they have more than {bytes_max} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(Some(all))
    }

    /// Set an attribute, in place of one of the same name. Blocks.
    ///
    /// # Errors
    /// What the operating system says; it is one of another system.
    pub fn set_attribute(file: &File, name: &str, value: &[u8]) -> io::Result<()> {
        let text = str::from_utf8(value).map_err(io::Error::other)?;
        match name {
            MARKS => sys::set_marks(file, marks::of_text(text)),
            SDDL => {
                if let Some(stranger) = marks::accounts_of(text).into_iter().find(is_stranger) {
                    let why = format!(
                        "it is for accounts that this computer does not know ({stranger}); the file has the rights of its folder"
                    );
                    return Err(io::Error::other(why));
                }
                let wanted = RIGHT_READ_RIGHTS | RIGHT_WRITE_LIST;
                let open = sys::reopened(file, wanted | RIGHT_WRITE_OWNER)
                    .or_else(|_| sys::reopened(file, wanted))?;
                rights::set_sddl(&open, text)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether nobody here knows the account. Rights for another computer's accounts alone
    /// would keep out whoever restores.
    fn is_stranger(sid: &&str) -> bool {
        /// Accounts remembered: an office has some dozens.
        const KNOWN_MAX: usize = 1_000;
        static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock();
        if let Some(is_known) = known.get(*sid) {
            return !is_known;
        }
        let is_known = rights::is_known_account(sid);
        if known.len() < KNOWN_MAX {
            known.insert((*sid).to_owned(), is_known);
        }
        !is_known
    }

    /// Remove an attribute, if it is there. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove_attribute(file: &File, name: &str) -> io::Result<()> {
        match name {
            MARKS => sys::set_marks(file, 0),
            _ => Ok(()),
        }
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod elsewhere {
    use super::NamedAttributes;
    use std::fs::File;
    use std::io;

    /// None are read on this system.
    ///
    /// # Errors
    /// Never.
    pub fn attribute_names(_file: &File) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Names and values of attributes: none are read on this system.
    ///
    /// # Errors
    /// Never.
    pub fn attributes_of(
        _file: &File,
        _bytes_max: usize,
        _is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        Ok(None)
    }

    /// Those of Linux mean nothing here.
    ///
    /// # Errors
    /// Always.
    pub fn set_attribute(_file: &File, _name: &str, _value: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is none.
    ///
    /// # Errors
    /// Never.
    pub fn remove_attribute(_file: &File, _name: &str) -> io::Result<()> {
        Ok(())
    }
}
