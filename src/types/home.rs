//! What `~` at the beginning of a path stands for: the home of the account that runs the
//! program, as in a shell.
//!
//! A shell expands it only where it stands by itself and unquoted, cmd and PowerShell not at
//! all, and nothing does in a configuration or in the environment. So Keepwatch does it for
//! every path that it takes. A path of a person's that it prints is written in full: a command
//! that it proposes must work as it stands in every shell. Pure.

use super::one_line::shown;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// What `~` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// This folder.
    At(PathBuf),
    /// Nothing: the account has no home.
    Nowhere,
    /// The home of another account, which will use the path.
    OfAnother,
}

/// Why a path with `~` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeRefused {
    /// What is wrong, as a clause.
    pub what: String,
    /// What the reader can do.
    pub remedy: String,
}

impl fmt::Display for HomeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for HomeRefused {}

impl From<Option<PathBuf>> for Home {
    fn from(home: Option<PathBuf>) -> Self {
        home.map_or(Self::Nowhere, Self::At)
    }
}

impl Home {
    /// The folder, where it is known.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::At(folder) => Some(folder),
            Self::Nowhere | Self::OfAnother => None,
        }
    }

    /// A path below it, when the path begins with `~`; `None` for every other path.
    ///
    /// # Errors
    /// [`HomeRefused`] where `~` stands for nothing.
    pub fn inner(&self, path: &Path) -> Result<Option<PathBuf>, HomeRefused> {
        let Ok(rest) = path.strip_prefix("~") else {
            return Ok(None);
        };
        let why = match self {
            Self::At(home) if rest.as_os_str().is_empty() => return Ok(Some(home.clone())),
            Self::At(home) => return Ok(Some(home.join(rest))),
            Self::Nowhere => "this account has no home folder",
            Self::OfAnother => "another account will use the path, and has a home of its own",
        };
        Err(HomeRefused {
            what: format!("`~` stands for nothing here: {why}"),
            remedy: "write the full path".to_owned(),
        })
    }

    /// A folder or file of this computer, with what `~` stands for.
    ///
    /// # Errors
    /// [`HomeRefused`] where `~` stands for nothing, and for `~name`. In a shell that is the
    /// home of another account, and here it would be a new folder of that name.
    pub fn expanded(&self, path: &Path) -> Result<PathBuf, HomeRefused> {
        if let Some(inner) = self.inner(path)? {
            return Ok(inner);
        }
        let first = match path.components().next() {
            Some(Component::Normal(first)) => first.to_string_lossy().into_owned(),
            _ => return Ok(path.to_owned()),
        };
        match first.starts_with('~') {
            false => Ok(path.to_owned()),
            true => Err(HomeRefused {
                what: format!(
                    "`{}` at the beginning of a path would be the home of another account, which is not looked for",
                    shown(&first)
                ),
                remedy: "write the full path, or ./ before it if a folder is called so".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tilde_by_itself_is_the_home() {
        let home = Home::At("/home/anna".into());
        for (text, want) in [
            ("~", Some("/home/anna")),
            ("~/", Some("/home/anna")),
            ("~/a b/c", Some("/home/anna/a b/c")),
            ("~//a/./b", Some("/home/anna/a/b")),
            ("./~/a", Some("./~/a")),
            ("./~anna", Some("./~anna")),
            ("/srv/~/a", Some("/srv/~/a")),
            ("/~", Some("/~")),
            ("a~", Some("a~")),
            ("", Some("")),
            ("~anna", None),
            ("~anna/a", None),
            ("~$letter.docx", None),
            ("~~", None),
        ] {
            let found = home.expanded(Path::new(text));
            assert_eq!(found.ok().as_deref(), want.map(Path::new), "{text}");
        }
        let inner = home.inner(Path::new("~$letter.docx"));
        assert_eq!(inner, Ok(None), "a name, not a folder of this computer");
        let backslash = home.expanded(Path::new(r"~\a"));
        let want = cfg!(windows).then(|| PathBuf::from("/home/anna").join("a"));
        assert_eq!(backslash.ok(), want);
    }

    #[test]
    fn where_it_stands_for_nothing_that_is_said() {
        for (home, why) in [
            (Home::Nowhere, "no home"),
            (Home::OfAnother, "another account"),
        ] {
            let refused = home.expanded(Path::new("~/a")).unwrap_err();
            assert!(refused.what.contains(why), "{refused}");
            assert!(home.expanded(Path::new("/a")).is_ok());
        }
    }
}
