//! How a pattern is written: its names, what is special in them, and what no pattern
//! may have. Pure.

/// What a backslash makes an ordinary sign of; before any other it is the
/// separator of a Windows path.
const ESCAPABLE: &str = "*?[]{}\\#! ,-^~";

/// Why a pattern cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternRefused {
    /// What is wrong with it, as a clause after the pattern.
    pub what: String,
    /// What to write.
    pub remedy: String,
}

impl PatternRefused {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// A pattern by its names, without what `./` and `/./` add.
pub(super) struct PatternParts {
    pub(super) names: Vec<String>,
    /// It began with `./`.
    pub(super) is_here: bool,
    /// It ended in `/`: folders alone are meant.
    pub(super) is_folder: bool,
}

impl PatternParts {
    pub(super) fn of(path: &str) -> Result<Self, PatternRefused> {
        let is_here = path == "." || path.starts_with("./");
        let body = path.strip_prefix('/').unwrap_or(path);
        let is_folder = body.ends_with('/') || body.ends_with("/.");
        let body = body.strip_suffix('/').unwrap_or(body);
        let names: Vec<&str> = body.split('/').collect();
        let is_empty = names == [""];
        if names.contains(&"") && !is_empty {
            let single: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
            let slash = if path.starts_with('/') { "/" } else { "" };
            return Err(PatternRefused::new(
                "has two / in a row and matches nothing",
                format!("write \"{slash}{}\"", single.join("/")),
            ));
        }
        let names: Vec<String> = names
            .into_iter()
            .filter(|name| !matches!(*name, "" | "."))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            names,
            is_here,
            is_folder,
        })
    }

    /// gitignore looks for it at one place only.
    pub(super) fn is_anchored(&self) -> bool {
        self.names.len() > 1
    }

    pub(super) fn text(&self) -> String {
        let folder = if self.is_folder { "/" } else { "" };
        format!("{}{folder}", self.names.join("/"))
    }

    /// The beginning in which no sign is special, as names on disk.
    pub(super) fn plain(&self) -> Vec<String> {
        self.names.iter().map_while(|name| plain(name)).collect()
    }
}

/// A name of a pattern as it is on disk; `None` where a sign in it is special.
pub(super) fn plain(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut signs = name.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => out.push(signs.next()?),
            '*' | '?' | '[' | '{' => return None,
            sign => out.push(sign),
        }
    }
    Some(out)
}

/// A name of the disk as a pattern has it.
pub(super) fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for sign in name.chars() {
        if matches!(sign, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

/// What no pattern should look like, wherever it points.
pub(super) fn written_well(body: &str) -> Result<(), PatternRefused> {
    if body.is_empty() {
        return Err(PatternRefused::new(
            "is empty and matches nothing",
            "write a gitignore pattern like \"*.tmp\" or \"/Scans/\", or leave it out",
        ));
    }
    if body.starts_with(char::is_whitespace) {
        return Err(PatternRefused::new(
            "begins with a blank, and only names that do so match",
            format!(
                "write \"{}\" (for a name that begins with a blank write \"\\{}\")",
                body.trim_start(),
                body.trim_end()
            ),
        ));
    }
    if let Some(at) = windows_separator(body) {
        return Err(PatternRefused::new(
            "has a backslash in it; patterns separate folders with / on every system",
            format!(
                "write / in its place: \"{}/{}\"",
                &body[..at],
                body[at + 1..].replace('\\', "/")
            ),
        ));
    }
    Ok(())
}

/// Where a backslash stands that makes no special sign an ordinary one.
fn windows_separator(pattern: &str) -> Option<usize> {
    let mut signs = pattern.char_indices();
    while let Some((at, sign)) = signs.next() {
        if sign == '\\'
            && signs
                .next()
                .is_none_or(|(_, next)| !ESCAPABLE.contains(next))
        {
            return Some(at);
        }
    }
    None
}

pub(super) fn whole() -> PatternRefused {
    PatternRefused::new(
        "is the whole folder: nothing of it would be backed up",
        "name what is in it, like \"/private/\"; to back up nothing of it, remove its [[source]]",
    )
}
