//! The configuration with which a new computer goes on as the old one did,
//! written from the manifests' first lines.
//!
//! What a bucket says is anybody's word: every value is written as a quoted
//! text or a number, and the configuration is checked like any other when it is
//! read. It adds to a configuration that is there, replaces no other file, and never
//! holds a credential.

use super::existing::{ExistingFile, ExistingSource};
use super::store::{CopiesPlace, same_store, store};
use super::text::{NewSource, demand_lines, text};
use crate::cli::args::SourcesArgs;
use crate::cli::origins::{Depot, Named, folder_names};
use crate::config::S3Demands;
use crate::files::write_private_atomic;
use crate::history::Found;
use crate::manifest::{Demands, Header};
use crate::os;
use crate::types;
use crate::types::{Fatal, Origin, chain};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Write it, or add to the one that is there.
///
/// # Errors
/// There is another file, or it cannot be written; a manifest cannot be read; two sources
/// would get one folder.
pub(super) fn write(
    file: &Path,
    args: &SourcesArgs,
    depot: &Depot,
    found: &[Found],
    quiet: bool,
) -> Result<(), Fatal> {
    let operation = || format!("write the configuration {}", file.display());
    let headers: Option<Vec<&Header>> = found.iter().map(|one| one.newest.as_ref()).collect();
    let Some(headers) = headers else {
        return Err(Fatal::new(
            operation(),
            "a source has no manifest that can be read",
            "write it by hand after config/office.toml: only name, folder, bucket and prefix matter",
        ));
    };
    let store = store(args, depot)?;
    let existing = ExistingFile::read(file)?;
    if let Some(existing) = &existing {
        same_store(&existing.store, &store, file)?;
    }
    let there = (existing.as_ref()).map_or(&[][..], |existing| &existing.sources);
    let is_there = |one: &Found| {
        (there.iter())
            .any(|at| (&at.bucket, &at.prefix) == (&one.origin.bucket, &one.origin.prefix))
    };
    let fresh = found.iter().zip(headers).filter(|(one, _)| !is_there(one));
    let fresh: Vec<(&Found, &Header)> = fresh.collect();
    if fresh.is_empty() {
        if !quiet {
            eprintln!("{} has it already: nothing is added.", file.display());
        }
        return Ok(());
    }
    let below = below(args)?;
    let names = names(there, &fresh);
    let moved = moved(there, &names, below.as_deref())?;
    let new = placed(fresh, &names, there.len(), below.as_deref());
    let folders = folders(there, &moved, &new, below.is_some());
    apart(&folders)?;
    let demands = demands(args, &store, &new);
    let text = text(existing.as_ref(), &store, &demands, &new, &moved);
    let text = text.ok_or_else(|| {
        Fatal::usage(
            operation(),
            "a folder in the file that is there cannot be replaced",
            "write another file, and put its sources into the first by hand",
        )
    })?;
    match &existing {
        // Whole or not at all: it may hold more than what we wrote.
        Some(_) => write_private_atomic(file, text.as_bytes()).map_err(Fatal::from)?,
        None => create(file, &text, operation)?,
    }
    if !quiet {
        report(file, existing.as_ref(), &folders, &demands, &new);
    }
    Ok(())
}

/// The folder for all sources, absolute.
fn below(args: &SourcesArgs) -> Result<Option<PathBuf>, Fatal> {
    let absolute = |below: &PathBuf| {
        std::path::absolute(below).map_err(|error| {
            Fatal::usage(
                format!("use --below {}", below.display()),
                chain(&error),
                "",
            )
        })
    };
    args.below.as_ref().map(absolute).transpose()
}

/// Each new source with its name and its folder.
fn placed<'a>(
    fresh: Vec<(&'a Found, &'a Header)>,
    names: &[String],
    there: usize,
    below: Option<&Path>,
) -> Vec<NewSource<'a>> {
    fresh
        .into_iter()
        .zip(&names[there..])
        .map(|((found, header), name)| NewSource {
            found,
            header,
            name: name.clone(),
            folder: match below {
                // As a restore of all of them puts them there.
                Some(below) if names.len() > 1 => below.join(name),
                Some(below) => below.to_owned(),
                None => PathBuf::from(&header.root),
            },
        })
        .collect()
}

/// The folders of all sources, those there first.
fn folders(
    there: &[ExistingSource],
    moved: &[(usize, PathBuf)],
    new: &[NewSource<'_>],
    is_below: bool,
) -> Vec<SourceFolder> {
    let there = there.iter().enumerate().map(|(number, at)| {
        let other = moved.iter().find(|(of, _)| *of == number);
        SourceFolder {
            name: at.name.clone(),
            path: other.map_or(&at.folder, |(_, to)| to).clone(),
            host: None,
        }
    });
    let added = new.iter().map(|new| SourceFolder {
        name: new.name.clone(),
        path: new.folder.clone(),
        host: (!is_below).then(|| new.header.host.clone()),
    });
    there.chain(added).collect()
}

/// Print what was written, and what of it somebody should check.
fn report(
    file: &Path,
    existing: Option<&ExistingFile>,
    folders: &[SourceFolder],
    demands: &Demands,
    new: &[NewSource<'_>],
) {
    let did = if existing.is_none() {
        "Wrote"
    } else {
        "Added to"
    };
    eprintln!("{did} {}; the folders in it:", file.display());
    for folder in folders {
        let name = types::clean(&folder.name);
        eprintln!("  {name}: {}", folder.path.display());
    }
    let Some(existing) = existing else { return };
    let lines = demand_lines(demands);
    if existing.demands != *demands && !lines.is_empty() {
        eprintln!(
            "These buckets demand what [s3] of the file does not say: see whether those that were there want it too, and put into [s3]:"
        );
        eprintln!("{}", indented(&lines).trim_end_matches('\n'));
    }
    for one in new {
        let topic = one.header.settings.topic_arn.as_ref();
        if let (Some(topic), Some(there)) = (topic, &existing.topic_arn)
            && there != topic
        {
            eprintln!(
                "The messages of {} went to {}; now they go where those of the others go.",
                types::clean(&one.name),
                types::clean(topic)
            );
        }
    }
}

/// What the buckets demand of every request: from the options, else from the manifests.
/// The first source that says anything counts: those of one computer say the same.
fn demands(args: &SourcesArgs, store: &CopiesPlace, new: &[NewSource<'_>]) -> Demands {
    if matches!(store, CopiesPlace::Vault(_)) {
        return Demands::default();
    }
    let said = new.iter().map(|one| &one.header.settings.s3);
    let said = said.into_iter().find(|said| !said.is_nothing());
    let Demands {
        server_side_encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    } = said.cloned().unwrap_or_default();
    let fit = S3Demands {
        encryption: server_side_encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    }
    .well_formed();
    let place = &args.place;
    Demands {
        server_side_encryption: fit.encryption,
        kms_key_id: fit.kms_key_id,
        storage_class: fit.storage_class,
        requester_pays: fit.requester_pays || place.requester_pays,
        expected_bucket_owner: place
            .expected_bucket_owner
            .clone()
            .or(fit.expected_bucket_owner),
    }
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("  {line}\n")).collect()
}

fn create(file: &Path, text: &str, operation: impl Fn() -> String) -> Result<(), Fatal> {
    let made = os::private_options().create_new(true).open(file);
    let mut out = made.map_err(|error| {
        Fatal::usage(
            operation(),
            chain(&error),
            "name a file that is not there yet, in a folder that is",
        )
    })?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|error| Fatal::new(operation(), chain(&error), "see whether the disk is full"))
}

/// The names of all sources, those there first: each its own, as folders have them.
fn names(there: &[ExistingSource], fresh: &[(&Found, &Header)]) -> Vec<String> {
    let named = |name: &str, bucket: &str, prefix: &str| Named {
        name: name.to_owned(),
        origin: Origin {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        },
        root: None,
    };
    let there = there
        .iter()
        .map(|at| named(&at.name, &at.bucket, &at.prefix));
    let fresh = fresh
        .iter()
        .map(|(found, header)| named(&header.source, &found.origin.bucket, &found.origin.prefix));
    folder_names(&there.chain(fresh).collect::<Vec<_>>())
}

/// A single source that had the folder to itself gets a folder below it, as a restore of
/// several has it. What is there already is not moved.
fn moved(
    there: &[ExistingSource],
    names: &[String],
    below: Option<&Path>,
) -> Result<Vec<(usize, PathBuf)>, Fatal> {
    let Some(below) = below else {
        return Ok(Vec::new());
    };
    let mut moved = Vec::new();
    for (number, at) in there
        .iter()
        .enumerate()
        .filter(|(_, at)| at.folder == below)
    {
        let is_empty = std::fs::read_dir(below).map_or(true, |mut inner| inner.next().is_none());
        if !is_empty {
            return Err(Fatal::usage(
                format!("put more folders below {}", below.display()),
                format!(
                    "it is the folder of {} itself, and has its files already",
                    types::clean(&at.name)
                ),
                "give another folder with --below, beside it",
            ));
        }
        moved.push((number, below.join(&names[number])));
    }
    Ok(moved)
}

/// A source's folder in the configuration.
struct SourceFolder {
    name: String,
    path: PathBuf,
    /// The computer on which the folder was the same; `None` where that is not known,
    /// or it is another folder now.
    host: Option<String>,
}

/// Checks that no folder equals another or lies in it, unless that was so on one computer.
fn apart(folders: &[SourceFolder]) -> Result<(), Fatal> {
    for (number, one) in folders.iter().enumerate() {
        for other in &folders[number + 1..] {
            let was_so = one.host.is_some() && one.host == other.host;
            let (path, inner) = (&one.path, &other.path);
            if !was_so && (inner.starts_with(path) || path.starts_with(inner)) {
                return Err(Fatal::usage(
                    "give every source a folder of its own",
                    format!(
                        "those of {} and {} would fall together: {} and {}",
                        types::clean(&one.name),
                        types::clean(&other.name),
                        path.display(),
                        inner.display()
                    ),
                    "put them below one folder with --below FOLDER: each gets its own in it",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_apart_unless_they_were_together_on_one_computer() {
        let folder = |path: &str, host: Option<&str>| SourceFolder {
            name: path.to_owned(),
            path: PathBuf::from(path),
            host: host.map(str::to_owned),
        };
        for (one, other, want) in [
            (("/srv", Some("a")), ("/srv/db", Some("a")), true),
            (("/srv", Some("a")), ("/srv/db", Some("b")), false),
            (("/srv/db", Some("a")), ("/srv", Some("b")), false),
            (("/srv", Some("a")), ("/srv", Some("b")), false),
            (("/srv", None), ("/srv/db", None), false),
            (("/srv/db", None), ("/srv/db2", None), true),
        ] {
            let pair = [folder(one.0, one.1), folder(other.0, other.1)];
            assert_eq!(apart(&pair).is_ok(), want, "{one:?} {other:?}");
        }
    }
}
