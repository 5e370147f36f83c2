//! A file's path inside its source, as bytes, the same on every platform.
//!
//! Invariant: components are separated by `/`, none is empty, `.` or `..`, and
//! there is no NUL. So joining a `RelPath` to a folder can never leave that
//! folder by name alone. The conversion to and from the operating system's
//! paths is `os`'s business.

use super::one_line::shown_bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A path below a source's root; empty for the root itself.
///
/// Bytes are the operating system's own encoding (any bytes on Unix, WTF-8 on
/// Windows).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct RelPath(Vec<u8>);

/// Why bytes are not a path inside a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRefused {
    /// `a//b`, a leading or a trailing `/`.
    #[error("it has an empty component")]
    Empty,
    /// `.` or `..`.
    #[error("it has a `.` or `..` component")]
    Dots,
    /// A NUL byte, which no operating system allows.
    #[error("it has a NUL byte")]
    Nul,
}

impl RelPath {
    /// The source's root.
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// Check and take bytes with `/` between components.
    ///
    /// # Errors
    /// [`PathRefused`] when the bytes could mean a place outside the source.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, PathRefused> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes.contains(&0) {
            return Err(PathRefused::Nul);
        }
        for component in bytes.split(|b| *b == b'/') {
            match component {
                b"" => return Err(PathRefused::Empty),
                b"." | b".." => return Err(PathRefused::Dots),
                _ => {}
            }
        }
        Ok(Self(bytes))
    }

    /// True for the source's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, `/` between components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// This path's child of that name.
    ///
    /// # Errors
    /// [`PathRefused`] when the name is not one plain component.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathRefused> {
        if name.contains(&b'/') {
            return Err(PathRefused::Empty);
        }
        match name {
            b"" => return Err(PathRefused::Empty),
            b"." | b".." => return Err(PathRefused::Dots),
            _ if name.contains(&0) => return Err(PathRefused::Nul),
            _ => {}
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Ok(Self(bytes))
    }

    /// The folder this path is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        let start = self
            .0
            .iter()
            .rposition(|b| *b == b'/')
            .map_or(0, |slash| slash + 1);
        &self.0[start..]
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|c| !c.is_empty())
    }

    /// True when this path is `folder` or lies below it.
    pub fn is_in(&self, folder: &RelPath) -> bool {
        folder.is_root()
            || self.0 == folder.0
            || (self.0.starts_with(&folder.0) && self.0.get(folder.0.len()) == Some(&b'/'))
    }
}

/// As shown to people: one line, whatever the name holds.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        f.write_str(&shown_bytes(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[test]
    fn what_could_leave_the_source_is_refused() {
        for (bytes, want) in [
            ("/a", PathRefused::Empty),
            ("a/", PathRefused::Empty),
            ("a//b", PathRefused::Empty),
            ("..", PathRefused::Dots),
            ("a/../b", PathRefused::Dots),
            ("./a", PathRefused::Dots),
            ("a\0b", PathRefused::Nul),
        ] {
            assert_eq!(RelPath::from_bytes(bytes), Err(want), "{bytes:?}");
        }
        for name in ["", ".", "..", "a/b", "a\0"] {
            assert!(p("x").join(name.as_bytes()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!(p("a/b/c").parent(), Some(p("a/b")));
        assert_eq!(p("a").parent(), Some(RelPath::root()));
        assert_eq!(RelPath::root().parent(), None);
        assert_eq!(p("a/b").name(), b"b");
        assert_eq!(p("a").join(b"b").unwrap(), p("a/b"));
        assert_eq!(RelPath::root().join(b"b").unwrap(), p("b"));
        assert_eq!(p("a/b").components().count(), 2);
        assert_eq!(RelPath::root().components().count(), 0);
    }

    #[test]
    fn lies_below() {
        for (path, folder, want) in [
            ("a/b", "a", true),
            ("a", "a", true),
            ("ab", "a", false),
            ("a", "a/b", false),
        ] {
            assert_eq!(p(path).is_in(&p(folder)), want, "{path} in {folder}");
        }
        assert!(p("a").is_in(&RelPath::root()));
    }

    #[test]
    fn shown_on_one_line_whatever_it_holds() {
        assert_eq!(p("a\nb\x1b[1m").to_string(), "a\\nb\\u{1b}[1m");
        let odd = RelPath::from_bytes(&b"caf\xe9/\xc3\xa9"[..]).unwrap();
        assert_eq!(odd.to_string(), "caf\\xE9/é");
        assert_eq!(RelPath::root().to_string(), ".");
    }
}
