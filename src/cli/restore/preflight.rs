//! Before the first file is written: how much it is, whether the disk has room,
//! and what is in cold storage.

use super::left_alone::left_alone;
use super::part::Part;
use super::progress::RestoreProgress;
use crate::cli::args::RestoreArgs;
use crate::cli::origins::Depot;
use crate::files::Target;
use crate::history::Selector;
use crate::restore::{Bounded, ColdShare, Options, Preflight, Request, preflight};
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, FatalKind, PRICES_OF, Speed, Thaw, chain};
use jiff::Timestamp;
use std::sync::Arc;

/// One source's part, looked at; or why that is not possible.
pub(super) struct Ready {
    pub(super) part: Part,
    /// In place: what did not exist at the moment, and stays.
    pub(super) left_alone: Option<Bounded<String>>,
    pub(super) request: Result<Request, Fatal>,
}

/// The options of the command line.
fn options(args: &RestoreArgs, depot: &Depot) -> Options {
    let speed = args.thaw.as_deref().and_then(Speed::parse);
    let now = || depot.zone.to_datetime(Timestamp::now());
    Options {
        overwrite: args.overwrite || args.in_place,
        in_place: args.in_place.then(now),
        ignore_space: args.ignore_space,
        thaw: speed.map(|speed| Thaw {
            speed,
            days: args.thaw_days,
        }),
        wait: args.wait,
        keep_set_user_id: args.keep_set_user_id,
        ..Options::default()
    }
}

/// Look at every part, and print what there is to say before any of them begins.
///
/// # Errors
/// The disk is too small for all of them; or the only part cannot be looked at.
pub(super) async fn prepare(
    depot: &Depot,
    parts: Vec<Part>,
    args: &RestoreArgs,
    screen: &Arc<RestoreProgress>,
    stop: &Stop,
) -> Result<Vec<Ready>, Fatal> {
    let alone = parts.len() == 1;
    let mut ready = Vec::new();
    for part in parts {
        let one = look_at(depot, part, args, screen, stop).await?;
        match &one.request {
            Err(fatal) if alone || fatal.kind == FatalKind::Interrupted => {
                return Err(fatal.clone());
            }
            Err(fatal) => eprintln!("{}: {fatal}", types::clean(&one.part.named.name)),
            Ok(_) => {}
        }
        ready.push(one);
    }
    let seen: Vec<Preflight> = ready
        .iter()
        .filter_map(|part| part.request.as_ref().ok()?.preflight.clone())
        .collect();
    if !args.ignore_space {
        // Into their own folders, each perhaps on a disk of its own, they say so
        // themselves.
        if let Some(to) = &args.to {
            Preflight::fits(&seen, to)?;
        }
    }
    if !screen.is_quiet() {
        // Of a source that has nothing of what was named there is nothing to say.
        let is_named = !args.what.is_empty();
        let seen = seen.iter().filter(|seen| !is_named || seen.objects > 0);
        for line in seen.flat_map(|seen| lines(seen, args)) {
            eprintln!("{line}");
        }
    }
    Ok(ready)
}

/// Look at one part.
async fn look_at(
    depot: &Depot,
    part: Part,
    args: &RestoreArgs,
    screen: &Arc<RestoreProgress>,
    stop: &Stop,
) -> Result<Ready, Fatal> {
    let left_alone = match args.in_place {
        true => Some(left_alone(depot, &part, stop).await?),
        false => None,
    };
    let folder = part.to.clone();
    let target = tokio::task::spawn_blocking(move || Target::open(&folder))
        .await
        .map_err(|e| Fatal::new("restore", chain(&e), ""))??;
    let mut request = Request {
        origin: part.named.origin.clone(),
        selector: Selector::of(&part.what),
        at_ms: part.moment.map(|moment| moment.at_ms),
        target: Arc::new(target),
        options: options(args, depot),
        preflight: None,
    };
    let seen = preflight(&depot.store, &request, &|event| screen.update(&event), stop).await;
    screen.end();
    Ok(Ready {
        part,
        left_alone,
        request: seen.map(|seen| {
            request.preflight = Some(seen);
            request
        }),
    })
}

/// What to say about one source.
fn lines(seen: &Preflight, args: &RestoreArgs) -> Vec<String> {
    let mut lines = vec![format!(
        "{} ({} as stored)",
        types::amount(seen.objects, "object"),
        types::size(seen.stored_bytes)
    )];
    let wanted = args.thaw.as_deref().and_then(Speed::parse);
    for share in &seen.cold {
        lines.push(cold_line(share, wanted, args.thaw_days));
    }
    if !seen.cold.is_empty() {
        lines.push(format!(
            "These times and prices are estimates (AWS's list, {PRICES_OF}; elsewhere up to 1.4 times as much), {} of keeping what is thawed among them; what is downloaded from AWS costs beside them.",
            types::amount(u64::from(args.thaw_days), "day")
        ));
    }
    if !seen.cold.is_empty() && wanted.is_none() {
        lines.push(
            "Without --thaw those that are still cold are named and left; everything else is restored."
                .to_owned(),
        );
    }
    lines
}

fn cold_line(share: &ColdShare, wanted: Option<Speed>, days: u32) -> String {
    let ways: Vec<String> = match wanted {
        Some(speed) => vec![speed],
        None => vec![Speed::Standard, Speed::Bulk, Speed::Expedited],
    }
    .into_iter()
    .filter_map(|speed| {
        // What a class does not have is done at the standard speed.
        let speed = match share.class.takes(speed) {
            None if wanted.is_some() => Speed::Standard,
            _ => speed,
        };
        let takes = share.class.takes(speed)?;
        let thaw = Thaw { speed, days };
        let usd = share.class.micro_usd(thaw, share.objects, share.bytes) as f64 / 1e6;
        Some(format!("{} {takes}, about {usd:.2} USD", speed.name()))
    })
    .collect();
    format!(
        "{} of them ({}) {} in cold storage ({}); thawing takes: {}",
        types::number(share.objects),
        types::size(share.bytes),
        if share.objects == 1 { "is" } else { "are" },
        share.class.name(),
        ways.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Cold;

    #[test]
    fn what_is_cold_is_said_with_time_and_price() {
        let share = |class| ColdShare {
            class,
            objects: 2_000,
            bytes: 10 << 30,
        };
        for (class, wanted, want) in [
            (
                Cold::Glacier,
                None,
                "thawing takes: standard 3 to 5 hours, about 0.28 USD; bulk 5 to 12 hours, about 0.08 USD; expedited 1 to 5 minutes, about 20.38 USD",
            ),
            (
                Cold::Glacier,
                Some(Speed::Bulk),
                "thawing takes: bulk 5 to 12 hours, about 0.08 USD",
            ),
            (
                Cold::DeepArchive,
                Some(Speed::Expedited),
                "thawing takes: standard up to 12 hours, about 0.48 USD",
            ),
        ] {
            let line = cold_line(&share(class), wanted, 10);
            assert!(line.contains(want), "{line}");
            assert!(line.starts_with("2,000 of them (10.7 GB)"), "{line}");
        }
    }
}
