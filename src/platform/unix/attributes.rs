//! Extended attributes of an open file or folder: on Linux; elsewhere none are read.

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{attributes_of, remove_attribute, set_attribute};
#[cfg(target_os = "linux")]
pub use linux::{attributes_of, remove_attribute, set_attribute};

#[cfg(target_os = "linux")]
mod linux {
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

    /// Names and values of the attributes that `is_wanted` names. A file system that
    /// knows none has none; a name that is no text is left out. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attributes_of(
        file: &File,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<(String, Vec<u8>)>> {
        let list = whole(|| flistxattr_query(file), |buffer| flistxattr(file, buffer));
        let list = match list {
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
            list => list?,
        };
        let mut all = Vec::new();
        for name in list.split(|byte| *byte == 0) {
            let Some(name) = std::str::from_utf8(name)
                .ok()
                .filter(|name| is_wanted(name))
            else {
                continue;
            };
            let value = whole(
                || fgetxattr_query(file, name),
                |buffer| fgetxattr(file, name, buffer),
            );
            match value {
                Ok(value) => all.push((name.to_owned(), value)),
                // Removed just now; or listed by a file system that has none of these.
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
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
    use std::fs::File;
    use std::io;

    /// Names and values of attributes: none are read on this system.
    ///
    /// # Errors
    /// Never.
    pub fn attributes_of(
        _file: &File,
        _is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
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
