//! `keepwatch sources`: what is backed up in a bucket, and the configuration
//! with which another computer goes on with it.

mod config;
mod existing;
mod quote;
mod store;
mod text;

use super::args::{CommonArgs, Place, SourcesArgs};
use super::exit_code::COMPLETE;
use super::origins::Depot;
use super::stamp::stamp;
use super::{origins, show};
use crate::history::{DEPTH_MAX, Found, find};
use crate::os;
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, WallMs, command};
use serde::Serialize;

/// One source, for programs.
#[derive(Serialize)]
struct SourceRow<'a> {
    name: &'a str,
    bucket: &'a str,
    prefix: &'a str,
    host: &'a str,
    folder: &'a str,
    manifests: usize,
    newest_ms: Option<WallMs>,
    files: u64,
    bytes: u64,
}

/// Look and show; write a configuration if that is asked for.
pub(super) async fn run(common: &CommonArgs, args: &SourcesArgs) -> Result<u8, Fatal> {
    let depot = origins::open(common, &args.place, None).await?;
    let depth_max = match args.place.place() {
        Place::Configuration => 0,
        _ => DEPTH_MAX,
    };
    let look = async {
        let (mut found, mut cut) = (Vec::new(), false);
        for named in &depot.origins {
            let origin = &named.origin;
            let mut stop = Stop::never();
            let (bucket, prefix) = (&origin.bucket, &origin.prefix);
            let search = find(&depot.store, bucket, prefix, depth_max, &mut stop).await?;
            // What was never compared in full says nothing of itself.
            let has_manifests = |found: &Found| !found.manifests.is_empty();
            found.extend(search.found.into_iter().filter(has_manifests));
            cut |= search.cut;
        }
        Ok::<_, Fatal>((found, cut))
    };
    let (found, cut) = tokio::select! {
        done = look => done?,
        _ = os::asked_to_stop() => return Err(Fatal::interrupted("look for sources")),
    };
    if found.is_empty() {
        return Err(none(&depot, cut));
    }
    if common.json {
        show::json(&found.iter().map(row_of).collect::<Vec<_>>())?;
    } else {
        found.iter().for_each(|one| print(one, &depot));
        if cut {
            println!(
                "The bucket has more folders than were looked at: give --prefix to look there."
            );
        }
    }
    match &args.write_config {
        Some(file) => config::write(file, args, &depot, &found, common.quiet).map(|()| COMPLETE),
        None => Ok(COMPLETE),
    }
}

fn none(depot: &Depot, cut: bool) -> Fatal {
    let places: Vec<String> = depot
        .origins
        .iter()
        .map(|named| format!("{}/{}", named.origin.bucket, named.origin.prefix))
        .collect();
    let where_else = if cut {
        " It has more folders than were looked at: give --prefix to look there."
    } else {
        ""
    };
    Fatal::new(
        format!("find out what is backed up in {}", places.join(", ")),
        "there is no manifest: nothing was ever compared there in full",
        format!(
            "`{}` brings back what is there without one.{where_else}",
            command::on_copies("restore --to FOLDER")
        ),
    )
}

fn row_of(found: &Found) -> SourceRow<'_> {
    let newest = found.newest.as_ref();
    SourceRow {
        name: newest.map_or("", |header| &header.source),
        bucket: &found.origin.bucket,
        prefix: &found.origin.prefix,
        host: newest.map_or("", |header| &header.host),
        folder: newest.map_or("", |header| &header.root),
        manifests: found.manifests.len(),
        newest_ms: newest.map(|header| header.moment_ms),
        files: newest.map_or(0, |header| header.files),
        bytes: newest.map_or(0, |header| header.bytes),
    }
}

fn print(found: &Found, depot: &Depot) {
    let place = types::clean(&format!("{}/{}", found.origin.bucket, found.origin.prefix));
    let Some(header) = &found.newest else {
        println!("{place}");
        println!(
            "  its manifests cannot be read; `{}` works without them",
            command::on_copies("restore --to FOLDER")
        );
        return;
    };
    println!("{}  in {place}", types::clean(&header.source));
    println!(
        "  {} on {}",
        types::clean(&header.root),
        types::clean(&header.host)
    );
    println!(
        "  {} ({}), last compared in full {}",
        types::amount(header.files, "file"),
        types::size(header.bytes),
        stamp(header.moment_ms, &depot.zone)
    );
}
