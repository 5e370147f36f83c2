//! What a pattern of the configuration or of a rule file means, before gitignore's
//! rules are applied: full paths become paths in the folder, and what could never
//! match there is refused with what was probably meant.
//!
//! Pure; the caller says what the disk has. Invariant: a pattern that is taken
//! means at least all that its writer can have meant by it.

use super::pattern_parts::{PatternParts, PatternRefused, escaped, plain, whole, written_well};
use std::path::{Component, Path, PathBuf};

/// Where patterns stand, and what the disk says.
pub struct Ground<'a> {
    /// The folder that they are about, absolute.
    pub folder: &'a Path,
    /// The home of the account that runs the program.
    pub home: Option<&'a Path>,
    /// Something stands there.
    pub is_there: &'a dyn Fn(&Path) -> bool,
    /// The path without links, as far as it exists.
    pub real: &'a dyn Fn(&Path) -> PathBuf,
}

/// The gitignore line that the pattern stands for.
///
/// # Errors
/// [`PatternRefused`] when it can match nothing in the folder.
pub fn rule(text: &str, ground: &Ground<'_>) -> Result<String, PatternRefused> {
    let (bang, body) = match text.strip_prefix('!') {
        Some(body) => ("!", body),
        None => ("", text),
    };
    written_well(body)?;
    let path = body.trim_end();
    let path = match path.ends_with('\\') {
        // An escaped blank at the end.
        true => body,
        false => path,
    };
    let (path, is_of_home) = match expanded(path, ground)? {
        Some(expanded) => (expanded, true),
        None => (path.to_owned(), false),
    };
    let is_full = path.starts_with('/') || Path::new(&path).is_absolute();
    if path.split('/').any(|name| name == "..") {
        return Err(climbing(&path, is_full, ground));
    }
    let parts = PatternParts::of(&path)?;
    if parts.names.is_empty() {
        return Err(whole());
    }
    if is_full {
        let inside = inside(&parts, ground)?;
        if let Some(inside) = inside {
            return Ok(format!("{bang}/{}", inside.text()));
        }
        outside(&parts, is_of_home, ground)?;
    }
    parts
        .is_anchored()
        .then(|| own_name(&parts, ground))
        .transpose()?;
    let slash = match is_full || parts.is_here {
        true => "/",
        false => "",
    };
    Ok(format!("{bang}{slash}{}", parts.text()))
}

/// True for a line that leaves out all there is in the folder.
pub fn is_everything(rule: &str) -> bool {
    let is_any = |name: &str| {
        let is_wild = name.chars().all(|sign| matches!(sign, '*' | '?'));
        is_wild && name.contains('*') && name.matches('?').count() < 2
    };
    let mut names: Vec<&str> = rule.strip_prefix('/').unwrap_or(rule).split('/').collect();
    let last = names.pop().unwrap_or_default();
    is_any(last) && names.iter().all(|name| *name == "**")
}

/// The first line that leaves out everything, unless a later one takes some of it
/// back in.
pub fn leaves_out_everything<T: AsRef<str>>(rules: &[T]) -> Option<usize> {
    let last_back = rules
        .iter()
        .rposition(|rule| rule.as_ref().starts_with('!'));
    let found = rules
        .iter()
        .rposition(|rule| is_everything(rule.as_ref()))?;
    last_back.is_none_or(|back| back < found).then_some(found)
}

/// A path with `..` in it, which gitignore never matches.
fn climbing(path: &str, is_full: bool, ground: &Ground<'_>) -> PatternRefused {
    let folder = names_of(ground.folder).unwrap_or_default();
    let mut flat = if is_full { Vec::new() } else { folder.clone() };
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(flat.pop()),
            name => flat.push(name),
        }
    }
    let inside = flat.strip_prefix(folder.as_slice());
    let remedy = match inside.filter(|names| !names.is_empty()) {
        Some(names) => format!("write \"/{}\"", names.join("/")),
        None => {
            "write the path inside that folder, like \"/private/\"; nothing outside is backed up"
                .to_owned()
        }
    };
    PatternRefused::new(
        "has `..` in it and matches nothing: patterns begin at the folder that is backed up",
        remedy,
    )
}

/// `~/x` as a full path.
fn expanded(path: &str, ground: &Ground<'_>) -> Result<Option<String>, PatternRefused> {
    let Some(rest) = path.strip_prefix("~/") else {
        return Ok(None);
    };
    let home = ground.home.and_then(names_of);
    let Some(home) = home else {
        return Err(PatternRefused::new(
            "begins with `~`, and this account has no home folder",
            "write the path inside the folder that is backed up, like \"/private/\"",
        ));
    };
    let home: Vec<String> = home.iter().map(|name| escaped(name)).collect();
    let root = if home.first().is_some_and(|first| first.ends_with(':')) {
        ""
    } else {
        "/"
    };
    Ok(Some(format!("{root}{}/{rest}", home.join("/"))))
}

/// The names of a full path, from the root of the file system on; `None` for one
/// that is not text.
fn names_of(path: &Path) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::Prefix(drive) => names.push(drive.as_os_str().to_str()?),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir => return None,
        }
    }
    Some(names)
}

/// The part below the folder of a full path that lies in it.
fn inside(
    parts: &PatternParts,
    ground: &Ground<'_>,
) -> Result<Option<PatternParts>, PatternRefused> {
    let plain_names = parts.plain();
    let below = |names: Vec<String>| PatternParts {
        names,
        is_here: true,
        is_folder: parts.is_folder,
    };
    let real_folder = (ground.real)(ground.folder);
    for folder in [ground.folder, &real_folder] {
        let Some(folder) = names_of(folder) else {
            continue;
        };
        // In a folder that is the root of the file system all paths are full.
        if plain_names.len() >= folder.len() && plain_names[..folder.len()] == folder[..] {
            let rest = parts.names[folder.len()..].to_vec();
            return match rest.is_empty() {
                true => Err(whole()),
                false => Ok(Some(below(rest))),
            };
        }
    }
    // By another way through links.
    let named: PathBuf = std::iter::once("/")
        .chain(plain_names.iter().map(String::as_str))
        .collect();
    let real = (ground.real)(&named);
    let Ok(within) = real.strip_prefix(&real_folder) else {
        return Ok(None);
    };
    let Some(within) = names_of(within) else {
        return Ok(None);
    };
    let rest = &parts.names[plain_names.len()..];
    let names = within.into_iter().map(escaped).chain(rest.iter().cloned());
    let names: Vec<String> = names.collect();
    match names.is_empty() {
        true => Err(whole()),
        false => Ok(Some(below(names))),
    }
}

/// Refuse a full path that leads elsewhere. One that may as well be a path in
/// the folder is taken for that.
fn outside(
    parts: &PatternParts,
    is_of_home: bool,
    ground: &Ground<'_>,
) -> Result<(), PatternRefused> {
    let Some(first) = parts.names.first().and_then(|name| plain(name)) else {
        return Ok(());
    };
    let is_drive = cfg!(windows) && first.ends_with(':');
    let around = names_of(ground.folder).unwrap_or_default();
    let plain_names = parts.plain();
    let is_around = plain_names.len() == parts.names.len()
        && plain_names.len() < around.len()
        && around[..plain_names.len()] == plain_names[..];
    let is_elsewhere = (parts.is_anchored() || is_around)
        && !(ground.is_there)(&ground.folder.join(&first))
        && (ground.is_there)(&Path::new("/").join(&first));
    let own = ground.folder.file_name().and_then(|name| name.to_str());
    if !(is_of_home || is_drive || (is_elsewhere && own != Some(&first))) {
        return Ok(());
    }
    let full = format!("/{}", parts.text());
    if is_around {
        return Err(PatternRefused::new(
            format!(
                "is a folder around {}, and matches nothing in it",
                ground.folder.display()
            ),
            "name what is inside that folder, like \"/private/\"",
        ));
    }
    let last = parts.names.last().map_or("", String::as_str);
    Err(PatternRefused::new(
        format!(
            "is {full}, which is not in {}, and matches nothing there",
            ground.folder.display()
        ),
        format!(
            "leave it out, as nothing outside that folder is backed up; for a folder inside it write its path from there on, like \"/{last}\"{}",
            match is_of_home || is_drive {
                true => String::new(),
                false => format!(" or \"{}\"", parts.text()),
            }
        ),
    ))
}

/// Refuse a path that begins with the folder's own name and not below it.
fn own_name(parts: &PatternParts, ground: &Ground<'_>) -> Result<(), PatternRefused> {
    let first = parts.names.first().and_then(|name| plain(name));
    let own = ground.folder.file_name().and_then(|name| name.to_str());
    let (Some(first), Some(own)) = (first, own) else {
        return Ok(());
    };
    if first != own || (ground.is_there)(&ground.folder.join(own)) {
        return Ok(());
    }
    let rest = PatternParts {
        names: parts.names[1..].to_vec(),
        is_here: true,
        is_folder: parts.is_folder,
    };
    Err(PatternRefused::new(
        format!("begins with the name of the folder {own} itself, which is not in it once more"),
        format!(
            "write \"/{}\": patterns begin inside the folder",
            rest.text()
        ),
    ))
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
