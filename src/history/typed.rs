//! A path, folder or pattern as a person typed it, and the ways in which it can be read.
//!
//! Pure. Every path is relative to the source. The command line turns a path on this computer
//! into one in a source.

use crate::os;
use crate::types::{Fatal, PathRefused, Reading, RelPath, Taken, key_escape, quoted, shown};
use globset::{GlobBuilder, GlobMatcher};

/// Where a pattern stops being a plain path.
pub(super) const PATTERN_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// A path, folder or pattern as somebody typed it. Which of these it is depends on what
/// exists: see [`super::settle`].
#[derive(Debug, Clone)]
pub struct Typed {
    /// As it was typed, for messages.
    pub(super) text: String,
    /// The text taken as a plain path: files may well be called `copy [1].pdf`.
    pub(super) exact: RelPath,
    /// The text taken as a path in the form of keys, when that is another one.
    pub(super) by_key: Option<RelPath>,
    /// The text taken as a pattern, when it is one.
    pub(super) pattern: Option<GlobMatcher>,
    /// A path on some computer, whose beginning is unknown here.
    is_of_computer: bool,
    /// What was searched without success.
    misses: Misses,
}

/// What exists instead, where nothing has a name like the typed one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misses {
    /// Names within a typing slip, the nearest first.
    pub near: Vec<RelPath>,
    /// Names too long for a key that were not asked for.
    pub unasked: u64,
}

/// How ambiguous texts were understood.
pub(super) fn taken(what: &[(Typed, Reading)]) -> Vec<Taken> {
    what.iter()
        .filter(|(typed, reading)| {
            typed.pattern.is_some() || matches!(reading, Reading::Key | Reading::Alike)
        })
        .map(|(typed, reading)| Taken {
            text: typed.text.clone(),
            reading: *reading,
            path: (*reading == Reading::Alike).then(|| typed.exact.to_string()),
        })
        .collect()
}

impl Typed {
    /// Check one text.
    ///
    /// # Errors
    /// A usage error for what cannot be a path in a source.
    pub fn new(text: &str) -> Result<Self, Fatal> {
        let exact = typed_path(text)?;
        let plain = normalised(text);
        // As a key has it, or a command to copy; anything else with a `%` is only a name.
        let by_key = RelPath::from_bytes(key_escape::decode(&plain)).ok();
        let by_key = by_key.filter(|path| {
            let written = [
                key_escape::encode,
                key_escape::encode_for_line,
                key_escape::encode_for_shells,
            ];
            written.iter().any(|form| form(path.as_bytes()) == plain)
        });
        let pattern = plain.contains(PATTERN_CHARACTERS).then(|| {
            let anchored = if plain.contains('/') {
                plain.clone()
            } else {
                format!("**/{plain}")
            };
            // What is no valid pattern is a plain name with odd characters.
            GlobBuilder::new(&anchored)
                .literal_separator(true)
                .backslash_escape(false)
                .build()
                .ok()
                .map(|glob| glob.compile_matcher())
        });
        Ok(Self {
            text: text.to_owned(),
            by_key: by_key.filter(|path| *path != exact),
            exact,
            pattern: pattern.flatten(),
            is_of_computer: false,
            misses: Misses::default(),
        })
    }

    /// A path on a computer where the source's folder is not known.
    ///
    /// # Errors
    /// As [`Typed::new`].
    pub fn of_computer(text: &str) -> Result<Self, Fatal> {
        let plain = normalised(text);
        // A drive's letter is no part of the path below it.
        let below = match plain.split_once(':') {
            Some((drive, below)) if drive.len() == 1 => below,
            _ => &plain,
        };
        Ok(Self {
            text: text.to_owned(),
            is_of_computer: true,
            ..Self::new(below.trim_start_matches('/'))?
        })
    }

    /// The same, meant as this path.
    #[must_use]
    pub fn meant(&self, path: RelPath) -> Self {
        Self {
            exact: path,
            by_key: None,
            pattern: None,
            ..self.clone()
        }
    }

    /// The same, after nothing with a similar name was found.
    #[must_use]
    pub fn missed(&self, misses: Misses) -> Self {
        Self {
            misses,
            ..self.clone()
        }
    }

    /// What exists instead, where nothing has a similar name.
    pub fn misses(&self) -> &Misses {
        &self.misses
    }

    /// True when what it begins with may lie above the source.
    pub fn is_of_computer(&self) -> bool {
        self.is_of_computer
    }

    /// Check all of them.
    ///
    /// # Errors
    /// As [`Typed::new`].
    pub fn all<T: AsRef<str>>(what: &[T]) -> Result<Vec<Self>, Fatal> {
        what.iter().map(|text| Self::new(text.as_ref())).collect()
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when it is ambiguous.
    pub fn is_ambiguous(&self) -> bool {
        self.pattern.is_some() || self.by_key.is_some()
    }

    /// The name that it means if anything has it, then the second one.
    pub fn names(&self) -> impl Iterator<Item = (Reading, &RelPath)> {
        let by_key = self.by_key.as_ref().map(|path| (Reading::Key, path));
        [(Reading::Name, &self.exact)].into_iter().chain(by_key)
    }

    /// The path that it means in this reading; `None` for a pattern and for everything.
    pub fn path_as(&self, reading: Reading) -> Option<&RelPath> {
        let path = match reading {
            Reading::Name | Reading::Alike => Some(&self.exact),
            Reading::Key => self.by_key.as_ref(),
            Reading::Pattern => None,
        };
        path.filter(|path| !path.is_root())
    }

    /// How it is understood when nothing has the name.
    pub fn otherwise(&self) -> Reading {
        match self.pattern {
            Some(_) => Reading::Pattern,
            None => Reading::Name,
        }
    }
}

/// A path as a person types it to name exactly this file: with what a shell
/// needs around it, and in the form of keys where no terminal shows the name.
pub fn word_for(path: &RelPath) -> String {
    if path.is_root() {
        return ".".to_owned();
    }
    let is_itself =
        |text: &str| shown(text) == text && typed_path(text).is_ok_and(|typed| typed == *path);
    let text = match std::str::from_utf8(path.as_bytes()) {
        Ok(text) if is_itself(text) && os::is_said_in_every_shell(text) => text.to_owned(),
        Ok(text) if is_itself(text) => key_escape::encode_for_shells(path.as_bytes()),
        _ => key_escape::encode_for_line(path.as_bytes()),
    };
    // A name like `-r` would be taken for an option, and `~` for the home folder.
    let is_other = text.starts_with('-') || text.split('/').next() == Some("~");
    let here = if is_other { "./" } else { "" };
    os::shell_word(&format!("{here}{text}"))
}

/// A path in a source, as people type it: with `./`, a trailing `/`, or
/// Windows' `\\`. The source itself is the root.
///
/// # Errors
/// A usage error for what cannot be a path in a source.
pub fn typed_path(text: &str) -> Result<RelPath, Fatal> {
    if text.trim().is_empty() {
        return Err(Fatal::usage(
            "look for a file",
            "its name is empty",
            "name a file or folder, or leave it out for everything",
        ));
    }
    RelPath::from_bytes(normalised(text).as_bytes()).map_err(|refused| {
        let hint = match refused {
            PathRefused::Dots => "leave out `..`: paths begin at the source's folder",
            PathRefused::Empty if text.starts_with('/') => {
                "write the path inside the source, like \"Customers/Miller\" or \"*.csv\""
            }
            PathRefused::Empty => "write one / between folders",
            PathRefused::Nul => "write it like \"Customers/Miller\" or \"*.csv\"",
        };
        Fatal::usage(
            format!("look for {}", quoted(text)),
            refused.to_string(),
            hint,
        )
    })
}

/// The text without what typing and shells add: `./`, a trailing `/`, Windows' `\`.
pub(super) fn normalised(text: &str) -> String {
    let text = if std::path::MAIN_SEPARATOR == '\\' {
        text.replace('\\', "/")
    } else {
        text.to_owned()
    };
    let mut rest = text.as_str();
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    let rest = rest.trim_end_matches('/');
    let rest = match (rest.is_empty(), text.starts_with('/')) {
        // A lone `/` is no path in a source and shall be refused.
        (true, true) => "/",
        _ => rest,
    };
    if rest == "." {
        String::new()
    } else {
        rest.replace("/./", "/")
    }
}
