//! Extended attributes of an open file or folder. They are read on Linux only.

/// Attributes with their values.
pub type NamedAttributes = Vec<(String, Vec<u8>)>;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{attribute_names, attributes_of, remove_attribute, set_attribute};
#[cfg(target_os = "linux")]
pub use linux::{attribute_names, attributes_of, remove_attribute, set_attribute};

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

#[cfg(not(target_os = "linux"))]
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
