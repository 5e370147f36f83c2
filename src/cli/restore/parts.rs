//! What is restored where: each source's part of what was asked for.

use super::part::Part;
use crate::cli::args::RestoreArgs;
use crate::cli::origins::{Depot, Named, folder_names};
use crate::cli::stamp::stamp;
use crate::history::{Misses, Place, Selector, Typed, deleted, deleted_folder, settle, word_for};
use crate::os;
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, Moment, RelPath, Taken, WallMs, chain};
use std::path::{Path, PathBuf};

/// Names that are proposed for one that was misspelt.
const NEAR_NAMED_MAX: usize = 5;

/// What is restored where, as of when, and what to say about it. Paths of this computer go
/// to the sources they lie in, everything else to all of them. What is deleted now and was
/// named without a moment comes back as it was last.
pub(super) async fn parts(
    depot: &Depot,
    args: &RestoreArgs,
    moment: Option<Moment>,
) -> Result<(Vec<Part>, Vec<String>), Fatal> {
    let texts = texts_by_origin(&depot.origins, &args.what)?;
    let folders = folders(depot, args)?;
    let mut places = Vec::new();
    for ((named, texts), to) in depot.origins.iter().zip(texts).zip(&folders) {
        // What is no path is refused before anything begins.
        let typed = typed(&depot.origins, &texts)?;
        places.push(Place {
            origin: named.origin.clone(),
            called: named.called(),
            typed,
            folder: (named.root.as_ref() == Some(to)).then(|| to.clone()),
            known: None,
        });
    }
    let look = async {
        let mut stop = Stop::never();
        let settled = settle(&depot.store, &places, &mut stop).await?;
        let each = depot.origins.iter().zip(settled).zip(folders);
        let parts = each.map(|((named, what), to)| Part {
            named: named.clone(),
            what,
            to,
            moment,
        });
        let parts = parts
            .filter(|part| args.what.is_empty() || !part.what.is_empty())
            .collect();
        match (moment, &args.diff) {
            (None, None) => with_deleted(depot, parts, &mut stop).await,
            // What was gone then is not asked for.
            _ => Ok((parts, Vec::new())),
        }
    };
    tokio::select! {
        parts = look => parts,
        _ = os::asked_to_stop() => Err(Fatal::interrupted("look for what was asked for")),
    }
}

/// What each text is, as far as that can be said before the bucket is asked.
pub(crate) fn typed(origins: &[Named], texts: &[String]) -> Result<Vec<Typed>, Fatal> {
    let roots_known = origins.iter().any(|named| named.root.is_some());
    let typed = |text: &String| match Path::new(text).has_root() && !roots_known {
        true => Typed::of_computer(text),
        false => Typed::new(text),
    };
    texts.iter().map(typed).collect()
}

/// Set apart what is deleted now: each such file is a part of its own, as of the
/// moment of its last version.
async fn with_deleted(
    depot: &Depot,
    parts: Vec<Part>,
    stop: &mut Stop,
) -> Result<(Vec<Part>, Vec<String>), Fatal> {
    let (mut all, mut told) = (Vec::new(), Vec::new());
    for mut part in parts {
        let mut own = Vec::new();
        let mut rest = Vec::new();
        for (typed, reading) in std::mem::take(&mut part.what) {
            let path = typed.path_as(reading).cloned();
            let gone = match &path {
                Some(path) => gone(depot, &part.named, path, stop).await?,
                None => None,
            };
            let Some((at_ms, line)) = gone else {
                rest.push((typed, reading));
                continue;
            };
            told.push(types::clean(&line));
            own.push(Part {
                named: part.named.clone(),
                what: vec![(typed, reading)],
                to: part.to.clone(),
                moment: Some(Moment {
                    at_ms,
                    end_of_day: false,
                }),
            });
        }
        part.what = rest;
        if own.is_empty() || !part.what.is_empty() {
            all.push(part);
        }
        all.extend(own);
    }
    Ok((all, told))
}

/// For what is deleted now: the moment at which it existed last, and what to say about
/// it.
async fn gone(
    depot: &Depot,
    named: &Named,
    path: &RelPath,
    stop: &mut Stop,
) -> Result<Option<(WallMs, String)>, Fatal> {
    let time = |at_ms| stamp(at_ms, &depot.zone);
    if let Some(file) = deleted(&depot.store, &named.origin, path, stop).await? {
        let line = format!(
            "{path} was deleted {}: this is its last version, of {} (--at goes to another moment)",
            time(file.deleted_at_ms),
            time(file.stored_at_ms)
        );
        return Ok(Some((file.stored_at_ms, line)));
    }
    let folder = deleted_folder(&depot.store, &named.origin, path, stop).await?;
    Ok(folder.map(|folder| {
        let later = match folder.later {
            0 => String::new(),
            later => format!(
                "; {} stored while it was being deleted: not as of then",
                types::amount(later, "file")
            ),
        };
        let line = format!(
            "{path} was deleted {}: this is the folder as of {}, just before{later} (--at goes to another moment)",
            time(folder.deleted_at_ms),
            time(folder.there_at_ms)
        );
        (folder.there_at_ms, line)
    }))
}

/// What may have been meant, where nothing has a name like the typed one.
pub(crate) fn meant_perhaps(misses: &Misses) -> Option<String> {
    let near = misses.near.iter().take(NEAR_NAMED_MAX).map(word_for);
    let near: Vec<String> = near.collect();
    (!near.is_empty()).then(|| format!("write it as it is called; there is: {}", near.join(", ")))
}

/// What was not looked at for it, as the end of a sentence.
pub(crate) fn not_asked(misses: &Misses) -> String {
    match misses.unasked {
        0 => String::new(),
        names => format!(
            "; {} not looked at, too long for the bucket's keys: give the whole path",
            types::counted(names, "name", ["was", "were"])
        ),
    }
}

/// How each ambiguous text was understood; once.
pub(super) fn taken(parts: &[Part]) -> Vec<String> {
    lines(parts.iter().flat_map(|part| {
        let selector = Selector::of(&part.what);
        selector.taken().to_vec()
    }))
}

/// One line for each text, for people.
pub(crate) fn lines(taken: impl IntoIterator<Item = Taken>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for taken in taken {
        let line = types::clean(&taken.words());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The folder of each source: below --to, or its own.
fn folders(depot: &Depot, args: &RestoreArgs) -> Result<Vec<PathBuf>, Fatal> {
    let Some(to) = &args.to else {
        return own_folders(depot, args);
    };
    let to = std::path::absolute(to)
        .map_err(|e| Fatal::usage(format!("use --to {}", to.display()), chain(&e), ""))?;
    refuse_file(&to)?;
    if let Some(vault) = &depot.vault
        && std::path::absolute(vault).is_ok_and(|vault| to.starts_with(vault))
    {
        return Err(Fatal::usage(
            format!("restore into {}", to.display()),
            "that is inside the vault itself",
            "choose a folder elsewhere with --to",
        ));
    }
    Ok(match depot.origins.len() {
        1 => vec![to],
        _ => folder_names(&depot.origins)
            .iter()
            .map(|name| to.join(name))
            .collect(),
    })
}

/// A file stands where the folder is to be.
fn refuse_file(to: &Path) -> Result<(), Fatal> {
    let there = to
        .ancestors()
        .find_map(|at| Some((at, std::fs::metadata(at).ok()?)));
    match there {
        Some((at, found)) if !found.is_dir() => Err(Fatal::usage(
            format!("restore into {}", to.display()),
            format!("{} is no folder", at.display()),
            "name a folder with --to; it is made when it is not there",
        )),
        _ => Ok(()),
    }
}

/// The sources' own folders. Comparing two moments needs none.
fn own_folders(depot: &Depot, args: &RestoreArgs) -> Result<Vec<PathBuf>, Fatal> {
    let needs_none = matches!(args.diff, Some(Some(_)));
    let roots = depot.origins.iter().map(|named| match &named.root {
        Some(root) => Ok(root.clone()),
        None if needs_none => Ok(PathBuf::new()),
        None => Err(Fatal::usage(
            format!("find the folder of {}", types::clean(&named.name)),
            "no configuration says which one it is",
            "name it with --to, or give the configuration with --config",
        )),
    });
    roots.collect()
}

pub(crate) fn texts_by_origin(
    origins: &[Named],
    what: &[String],
) -> Result<Vec<Vec<String>>, Fatal> {
    let mut texts = vec![Vec::new(); origins.len()];
    let roots_known = origins.iter().any(|named| named.root.is_some());
    for text in what {
        let path = Path::new(text);
        if !(path.has_root() && roots_known) {
            texts.iter_mut().for_each(|texts| texts.push(text.clone()));
            continue;
        }
        let mut placed = false;
        for (named, texts) in origins.iter().zip(&mut texts) {
            if let Some(inner) = named.within(path) {
                texts.push(inner);
                placed = true;
            }
        }
        if !placed {
            let roots: Vec<String> = origins
                .iter()
                .filter_map(|named| named.root.as_ref())
                .map(|root| root.display().to_string())
                .collect();
            return Err(Fatal::usage(
                format!("look for {}", types::clean(text)),
                "it is in none of the folders that are backed up",
                format!("write a path below one of them: {}", roots.join(", ")),
            ));
        }
    }
    Ok(texts)
}
