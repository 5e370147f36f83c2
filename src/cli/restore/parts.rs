//! What is restored where: each source's part of what was asked for.

use super::Part;
use crate::cli::args::RestoreArgs;
use crate::cli::origins::{Depot, Named, folder_names};
use crate::cli::show;
use crate::error::{Fatal, chain};
use crate::model::taken::Taken;
use crate::platform;
use crate::recovery::{Place, Selector, Stop, Typed, settle};
use std::path::{Path, PathBuf};

/// What is restored where. Paths of this computer go to the sources they lie
/// in, everything else to all of them.
pub(super) async fn parts(depot: &Depot, args: &RestoreArgs) -> Result<Vec<Part>, Fatal> {
    let texts = texts_by_origin(&depot.origins, &args.what)?;
    let folders = folders(depot, args)?;
    let mut places = Vec::new();
    for ((named, texts), to) in depot.origins.iter().zip(texts).zip(&folders) {
        // What is no path is refused before anything begins.
        let typed = Typed::all(&texts)?;
        places.push(Place {
            origin: named.origin.clone(),
            typed,
            folder: (named.root.as_ref() == Some(to)).then(|| to.clone()),
            known: None,
        });
    }
    let mut stop = Stop::never();
    let settled = settle(&depot.store, &places, &mut stop);
    let settled = tokio::select! {
        settled = settled => settled?,
        _ = platform::asked_to_stop() => {
            return Err(Fatal::interrupted("look for what was asked for"));
        }
    };
    let each = depot.origins.iter().zip(settled).zip(folders);
    let parts = each.map(|((named, what), to)| Part {
        named: named.clone(),
        what,
        to,
    });
    Ok(parts
        .filter(|part| args.what.is_empty() || !part.what.is_empty())
        .collect())
}

/// How each text was taken that could have meant something else, too; once.
pub(super) fn taken(parts: &[Part]) -> Vec<String> {
    lines(parts.iter().flat_map(|part| {
        let selector = Selector::of(&part.what);
        selector.taken().to_vec()
    }))
}

/// One line for each text, for people.
pub(in crate::cli) fn lines(taken: impl IntoIterator<Item = Taken>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for taken in taken {
        let line = show::clean(&taken.words());
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

/// The sources' own folders. Two moments are compared without any.
fn own_folders(depot: &Depot, args: &RestoreArgs) -> Result<Vec<PathBuf>, Fatal> {
    let needs_none = matches!(args.diff, Some(Some(_)));
    let roots = depot.origins.iter().map(|named| match &named.root {
        Some(root) => Ok(root.clone()),
        None if needs_none => Ok(PathBuf::new()),
        None => Err(Fatal::usage(
            format!("find the folder of {}", show::clean(&named.name)),
            "no configuration says which one it is",
            "name it with --to, or give the configuration with --config",
        )),
    });
    roots.collect()
}

pub(in crate::cli) fn texts_by_origin(
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
                format!("look for {}", show::clean(text)),
                "it is in none of the folders that are backed up",
                format!("those are: {}", roots.join(", ")),
            ));
        }
    }
    Ok(texts)
}
