//! `keepwatch moments`: the moments to go back to.

use super::args::{CommonArgs, MomentsArgs};
use super::exit_code::COMPLETE;
use super::origins::Named;
use super::stamp::stamp;
use super::{origins, show};
use crate::history::{Moments, moments};
use crate::os;
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, WallMs, command};
use jiff::tz::TimeZone;
use serde::Serialize;

/// Days and manifests printed, the newest ones; `--json` has all.
const SHOWN_MAX: usize = 40;

/// One source's answer, for programs.
#[derive(Serialize)]
struct SourceMoments<'a> {
    source: &'a str,
    manifests: Vec<WallMs>,
    manifests_ahead: Vec<WallMs>,
    days: Vec<DayOfMoments>,
    first_ms: Option<WallMs>,
    cut: bool,
}

#[derive(Serialize)]
struct DayOfMoments {
    day: String,
    stored: u64,
    deleted: u64,
    last_ms: WallMs,
}

/// Look and show.
pub(super) async fn run(common: &CommonArgs, args: &MomentsArgs) -> Result<u8, Fatal> {
    let depot = origins::open(common, &args.place, args.source.as_deref()).await?;
    let look = async {
        let mut all = Vec::new();
        for named in &depot.origins {
            let mut stop = Stop::never();
            let found = moments(&depot.store, &named.origin, &depot.zone, &mut stop);
            all.push((named, found.await?));
        }
        Ok::<_, Fatal>(all)
    };
    let all = tokio::select! {
        all = look => all?,
        _ = os::asked_to_stop() => return Err(Fatal::interrupted("list moments")),
    };
    if common.json {
        show::json(
            &all.iter()
                .map(|(named, found)| describe(named, found))
                .collect::<Vec<_>>(),
        )?;
        return Ok(COMPLETE);
    }
    if all.iter().all(|(_, found)| found.days.is_empty()) {
        return Err(Fatal::new(
            "list moments",
            "nothing was ever backed up there",
            format!(
                "check --source, or --bucket and --prefix; `{}` says what there is",
                command::on_copies("sources")
            ),
        ));
    }
    for (named, found) in &all {
        print(named, found, &depot.zone);
    }
    if let Some(at_ms) = example(all.iter().map(|(_, found)| found)) {
        println!(
            "Any moment between them will do as well: {}",
            command::on_copies(&format!(
                "restore --at \"{}\" --to FOLDER",
                stamp(at_ms, &depot.zone)
            ))
        );
    }
    Ok(COMPLETE)
}

/// The moment of the example: the newest change, when every source had something.
fn example<'a>(found: impl Iterator<Item = &'a Moments>) -> Option<WallMs> {
    let newest = found.filter_map(|found| found.days.values().next_back());
    newest.map(|day| day.last_ms).max()
}

fn describe<'a>(named: &'a Named, found: &Moments) -> SourceMoments<'a> {
    SourceMoments {
        source: &named.name,
        manifests: found.manifests.iter().map(|one| one.moment_ms).collect(),
        manifests_ahead: found.ahead.iter().map(|one| one.moment_ms).collect(),
        days: found
            .days
            .iter()
            .map(|(day, what)| DayOfMoments {
                day: day.to_string(),
                stored: what.stored,
                deleted: what.deleted,
                last_ms: what.last_ms,
            })
            .collect(),
        first_ms: found.first_ms,
        cut: found.cut,
    }
}

fn print(named: &Named, found: &Moments, zone: &TimeZone) {
    let place = format!("{}/{}", named.origin.bucket, named.origin.prefix);
    println!("{}  in {}", types::clean(&named.name), types::clean(&place));
    if let Some(first_ms) = found.first_ms {
        println!("  the first version was stored {}", stamp(first_ms, zone));
    }
    println!("  days on which something changed:");
    for (day, what) in found.days.iter().rev().take(SHOWN_MAX) {
        println!(
            "    {day}  {} stored, {} deleted, the last of it at {}",
            types::amount(what.stored, "version"),
            types::number(what.deleted),
            stamp(what.last_ms, zone)
                .split_once(' ')
                .map_or("", |(_, time)| time)
        );
    }
    more(found.days.len());
    if found.cut {
        println!("    the bucket has more versions than were looked at: --prefix narrows it down");
    }
    if !found.manifests.is_empty() {
        println!("  compared in full, and written down as a whole (manifests):");
        for one in found.manifests.iter().rev().take(SHOWN_MAX) {
            println!("    {}", stamp(one.moment_ms, zone));
        }
        more(found.manifests.len());
    }
    for one in found.ahead.iter().take(SHOWN_MAX) {
        println!(
            "  the manifest {} is not used: {}",
            types::clean(&one.key),
            one.ahead_because()
        );
    }
    println!();
}

fn more(count: usize) {
    let unshown = count.saturating_sub(SHOWN_MAX);
    if unshown > 0 {
        println!(
            "    and {} (--json has all)",
            types::amount(unshown as u64, "older one")
        );
    }
}
