//! `keepwatch versions PATH`: every version of one file, newest first.

use super::args::{CommonArgs, VersionsArgs};
use super::exit_code::{COMPLETE, PARTIAL};
use super::origins::{Depot, Named};
use super::stamp::stamp;
use super::{origins, show};
use crate::cli::restore::parts;
use crate::history::{
    FileVersion, Misses, Typed, VERSIONS_SHOWN_MAX, Versions, alike, several, typed_path, versions,
    word_for,
};
use crate::os;
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, Reading, RelPath, Taken, WallMs, command, parse_moment};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::path::Path;

/// One source's answer.
#[derive(Serialize)]
struct Found {
    source: String,
    path: String,
    /// The path as a command takes it.
    #[serde(skip)]
    word: String,
    #[serde(flatten)]
    versions: Versions,
}

impl Found {
    fn of(named: &Named, path: &RelPath, versions: Versions) -> Self {
        Self {
            source: named.name.clone(),
            path: path.to_string(),
            word: word_for(path),
            versions,
        }
    }
}

/// Look and show.
pub(super) async fn run(common: &CommonArgs, args: &VersionsArgs) -> Result<u8, Fatal> {
    let depot = origins::open(common, &args.place, args.source.as_deref()).await?;
    let before = match &args.before {
        Some(text) => Some(parse_moment(text, Timestamp::now(), &depot.zone)?.at_ms),
        None => None,
    };
    let mut questions = Vec::new();
    for named in &depot.origins {
        for (path, reading) in meant(named, &args.path)? {
            questions.push((named, path, reading));
        }
    }
    questions.sort_by_key(|(_, _, reading)| *reading == Reading::Key);
    let look = async {
        let mut found: Vec<Found> = Vec::new();
        for (named, path, reading) in &questions {
            // A name in the form of keys is one only where no file is called so.
            if *reading == Reading::Key && !found.is_empty() {
                continue;
            }
            let versions = versions(
                &depot.store,
                &named.origin,
                path,
                before,
                &mut Stop::never(),
            )
            .await?;
            if !versions.versions.is_empty() {
                found.push(Found::of(named, path, versions));
            }
        }
        if found.is_empty() {
            found.push(called_like_it(&depot, &args.path, before, common.quiet).await?);
        }
        Ok::<_, Fatal>(found)
    };
    let found = tokio::select! {
        found = look => found?,
        _ = os::asked_to_stop() => return Err(Fatal::interrupted("list versions")),
    };
    if common.json {
        show::json(&found)?;
    } else {
        for one in &found {
            print(one, &depot.zone);
        }
    }
    let readable = |v: &FileVersion| v.trouble.is_none();
    let all_readable = found
        .iter()
        .all(|one| one.versions.versions.iter().all(readable));
    Ok(if all_readable { COMPLETE } else { PARTIAL })
}

/// The one file with a name like the typed one, where none has exactly that name; else an
/// error that says what exists.
async fn called_like_it(
    depot: &Depot,
    text: &str,
    before: Option<WallMs>,
    quiet: bool,
) -> Result<Found, Fatal> {
    let mut stop = Stop::never();
    let Alike {
        files,
        folders,
        misses,
    } = all_alike(depot, text, &mut stop).await?;
    let of = |(named, path): &(&Named, RelPath)| (named.origin.clone(), path.clone());
    match (files.as_slice(), folders.first()) {
        ([(named, path)], _) => {
            let versions = versions(&depot.store, &named.origin, path, before, &mut stop).await?;
            if !quiet {
                let taken = Taken {
                    text: text.to_owned(),
                    reading: Reading::Alike,
                    path: Some(path.to_string()),
                };
                eprintln!("{}", types::clean(&taken.words()));
            }
            Ok(Found::of(named, path, versions))
        }
        ([], Some((_, folder))) => Err(Fatal::usage(
            format!("list the versions of {}", types::clean(text)),
            match folder.is_root() {
                true => "that is the source's folder itself".to_owned(),
                false => format!("{} is a folder", types::clean(&folder.to_string())),
            },
            format!(
                "name one file in it; `{}` brings all of it back",
                command::on_copies(&format!("restore {} --to FOLDER", word_for(folder)))
            ),
        )),
        ([], None) => Err(unknown(text, &depot.origins, &misses)),
        (many, _) => {
            let many: Vec<_> = many.iter().map(of).collect();
            Err(several(
                text,
                many.iter().map(|(origin, path)| (origin, path)),
            ))
        }
    }
}

/// Files with a name like the typed one, in all sources.
struct Alike<'a> {
    files: Vec<(&'a Named, RelPath)>,
    folders: Vec<(&'a Named, RelPath)>,
    misses: Misses,
}

async fn all_alike<'a>(depot: &'a Depot, text: &str, stop: &mut Stop) -> Result<Alike<'a>, Fatal> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut misses = Misses::default();
    for named in &depot.origins {
        // A path of this computer is looked for where it can lie.
        let inner = match Path::new(text).has_root() && named.root.is_some() {
            true => named.within(Path::new(text)),
            false => Some(text.to_owned()),
        };
        let Some(inner) = inner else {
            continue;
        };
        for typed in parts::typed(&depot.origins, &[inner])? {
            let (store, origin) = (&depot.store, &named.origin);
            let found = alike(store, origin, &named.called(), &typed, stop).await?;
            misses.near.extend(found.near);
            misses.unasked += found.unasked;
            for (path, is_file) in found.paths {
                match is_file {
                    true => files.push((named, path)),
                    false => folders.push((named, path)),
                }
            }
        }
    }
    Ok(Alike {
        files,
        folders,
        misses,
    })
}

/// What the path can mean in this source.
fn meant(named: &Named, typed: &str) -> Result<Vec<(RelPath, Reading)>, Fatal> {
    let path = Path::new(typed);
    if path.has_root() && named.root.is_some() {
        return named
            .within(path)
            .map(|inner| Ok((typed_path(&inner)?, Reading::Name)))
            .into_iter()
            .collect();
    }
    let as_typed = match path.has_root() {
        true => Typed::of_computer(typed)?,
        false => Typed::new(typed)?,
    };
    let names = as_typed.names();
    let mut all: Vec<(RelPath, Reading)> = names
        .map(|(reading, path)| (path.clone(), reading))
        .collect();
    // Somebody standing in the source's folder means the file right there.
    let here = std::path::absolute(path).ok();
    if let Some(inner) = here.and_then(|here| named.within(&here)) {
        let here = typed_path(&inner)?;
        if !all.iter().any(|(path, _)| *path == here) {
            all.push((here, Reading::Name));
        }
    }
    all.retain(|(path, _)| !path.is_root());
    Ok(all)
}

fn unknown(path: &str, origins: &[Named], misses: &Misses) -> Fatal {
    let names: Vec<&str> = origins.iter().map(|named| named.name.as_str()).collect();
    Fatal::new(
        format!("list the versions of {}", types::clean(path)),
        format!(
            "the backup has no such file (looked in: {}){}",
            names.join(", "),
            parts::not_asked(misses)
        ),
        match parts::meant_perhaps(misses) {
            Some(near) => near,
            None => "write one file's path from the source's folder on, like \"Customers/Miller/offer.docx\", or its name alone".to_owned(),
        },
    )
}

fn print(found: &Found, zone: &TimeZone) {
    let versions = &found.versions;
    println!(
        "{}  (source {})",
        types::clean(&found.path),
        types::clean(&found.source)
    );
    println!(
        "  in bucket {}, key {}",
        types::clean(&versions.bucket),
        types::clean(&versions.key)
    );
    println!();
    let rows: Vec<[String; 5]> =
        std::iter::once(["stored", "size", "in the bucket", "", "version id"].map(str::to_owned))
            .chain(versions.versions.iter().map(|version| row(version, zone)))
            .collect();
    for line in fitting(&rows, show::columns()) {
        println!("  {line}");
    }
    println!();
    if versions.more {
        println!(
            "  these are {}; the older ones: {}",
            types::number(VERSIONS_SHOWN_MAX as u64),
            command::on_copies(&format!(
                "versions {} --before \"{}\"",
                found.word,
                versions
                    .versions
                    .last()
                    .map_or_else(String::new, |oldest| further(oldest.stored_at_ms))
            ))
        );
    }
    print_way_back(found, zone);
}

/// Prints how to bring a version back.
fn print_way_back(found: &Found, zone: &TimeZone) {
    let versions = &found.versions;
    if versions.only_current {
        println!(
            "  this server keeps no earlier versions: what is there now is all that can be had"
        );
        println!(
            "  to bring it back: {}",
            command::on_copies(&format!("restore {} --to FOLDER", found.word))
        );
        return;
    }
    match example(&versions.versions) {
        Some(version) => println!(
            "  to bring a version back: {}",
            command::on_copies(&format!(
                "restore {} --at \"{}\" --to FOLDER",
                found.word,
                stamp(version.stored_at_ms, zone)
            ))
        ),
        None => println!(
            "  Keepwatch can restore none of these versions: other S3 tools can, by key and version id"
        ),
    }
}

/// The version that an example brings back: an older one rather than the current one, and
/// none that a restore leaves out.
fn example(versions: &[FileVersion]) -> Option<&FileVersion> {
    let can_come = |version: &&FileVersion| !version.deleted && version.trouble.is_none();
    let mut there = versions.iter().filter(can_come);
    let newest = there.next();
    match newest {
        Some(version) if version.current => there.next().or(newest),
        _ => newest,
    }
}

/// The moment before which the rest was stored. It is exact, because several may be of
/// one second; those of the very same moment are shown again.
fn further(oldest_ms: WallMs) -> String {
    let next = (oldest_ms + 1).timestamp();
    next.unwrap_or_default().to_string()
}

fn row(version: &FileVersion, zone: &TimeZone) -> [String; 5] {
    let none = || "-".to_owned();
    let mut notes = Vec::new();
    if version.deleted {
        notes.push("deleted".to_owned());
    }
    if version.current {
        notes.push("current".to_owned());
    }
    if version.compressed {
        notes.push("compressed".to_owned());
    }
    if version.is_torn {
        notes.push("never rested".to_owned());
    }
    if !matches!(version.storage_class.as_str(), "" | "STANDARD") {
        notes.push(types::clean(&version.storage_class));
    }
    if let Some(key) = &version.older_key {
        notes.push(format!("key {}", types::clean(key)));
    }
    if let Some(trouble) = &version.trouble {
        notes.push(types::clean(trouble));
    }
    [
        stamp(version.stored_at_ms, zone),
        version.size_bytes.map_or_else(none, types::size),
        if version.deleted {
            none()
        } else {
            types::size(version.stored_bytes)
        },
        notes.join(", "),
        types::clean(types::id_text(&version.version_id)),
    ]
}

/// The table; where the terminal is too narrow for it, each version id stands on a
/// line of its own below its row.
fn fitting(rows: &[[String; 5]], columns: Option<usize>) -> Vec<String> {
    let whole = table(rows);
    let widest = whole.iter().map(|line| line.chars().count() + 2).max();
    if columns.is_none_or(|columns| widest <= Some(columns)) {
        return whole;
    }
    let without = rows.iter().map(|row| {
        let mut row = row.clone();
        row[4].clear();
        row
    });
    let mut lines = Vec::new();
    for (line, row) in table(&without.collect::<Vec<_>>()).into_iter().zip(rows) {
        lines.push(line);
        lines.push(format!("    {}", row[4]));
    }
    lines
}

/// Columns as wide as their widest field.
fn table(rows: &[[String; 5]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3), 0];
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_moment;

    #[test]
    fn what_is_shown_as_a_time_finds_that_version_again() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for text in [
            "2026-11-20T13:30:05Z",
            "2026-11-20T13:30:05.123Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00.007Z",
            "2026-07-01T22:00:00Z",
        ] {
            let at: Timestamp = text.parse().unwrap();
            let shown = stamp(at.into(), &berlin);
            let again = parse_moment(&shown, Timestamp::UNIX_EPOCH, &berlin).unwrap();
            assert_eq!(again.at_ms, WallMs::from(at), "{text}: {shown}");
        }
        assert_eq!(stamp(WallMs(0), &TimeZone::UTC), "1970-01-01 00:00:00");
    }

    /// Named after the bug: of an object that another program wrote a restore was proposed
    /// that brings nothing back.
    #[test]
    fn only_a_version_that_can_come_back_is_proposed() {
        let version = |current: bool, trouble: Option<&str>, deleted| FileVersion {
            stored_at_ms: WallMs(0),
            version_id: None,
            older_key: None,
            current,
            deleted,
            size_bytes: None,
            stored_bytes: 1,
            compressed: false,
            storage_class: String::new(),
            sha256: None,
            is_torn: false,
            trouble: trouble.map(str::to_owned),
        };
        let foreign = || version(true, Some("not written by Keepwatch"), false);
        let (own, current) = (version(false, None, false), version(true, None, false));
        let marker = || version(true, None, true);
        for (versions, want) in [
            (vec![foreign()], None),
            (vec![marker()], None),
            (vec![foreign(), own.clone()], Some(1)),
            (vec![marker(), own.clone()], Some(1)),
            (vec![current.clone(), own], Some(1)),
            (vec![current], Some(0)),
        ] {
            assert_eq!(example(&versions), want.map(|at| &versions[at]));
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "b", "c", "", "id"], ["longer", "ü", "", "x", "y"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["a       b  c     id", "longer  ü     x  y"]);
        assert_eq!(fitting(&rows, None), table(&rows));
        assert_eq!(fitting(&rows, Some(80)), table(&rows));
        assert_eq!(
            fitting(&rows, Some(18)),
            ["a       b  c", "    id", "longer  ü     x", "    y"]
        );
    }
}
