//! `keepwatch status`: how things stand, from the running daemon.

use super::args::CommonArgs;
use super::{COMPLETE, FAILED, PARTIAL, setup, show};
use crate::board::{WatchProof, Watching};
use crate::control::{Line, Request, SourceStatus, Status, ask};
use crate::error::Fatal;
use crate::model::bandwidth::Rates;
use crate::model::drill::Drill;
use crate::tasks::line;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Ask and show.
pub(super) async fn run(common: &CommonArgs) -> Result<u8, Fatal> {
    let config = setup::config(common, true)?;
    let answer = ask(&config.state_dir, &Request::Status, |_| ()).await?;
    let Some(Line::Status(status)) = answer else {
        if common.json {
            show::json(&serde_json::json!({ "running": false }))?;
        } else {
            println!("Keepwatch is NOT running: nothing is backed up right now.");
            println!(
                "  what to do: start it (as a service: see docs/OPERATIONS.md; by hand: keepwatch --config {})",
                config
                    .file
                    .as_deref()
                    .map_or_else(|| "FILE".into(), |f| f.display().to_string())
            );
        }
        return Ok(FAILED);
    };
    if common.json {
        show::json(&status)?;
    } else {
        print(&status, &config.schedule.time_zone);
    }
    let is_drilled_well = status.drill.as_ref().is_none_or(Drill::is_well);
    Ok(if is_drilled_well && status.sources.iter().all(is_well) {
        COMPLETE
    } else {
        PARTIAL
    })
}

fn is_well(source: &SourceStatus) -> bool {
    source.unprotected_total == 0
        && source.board.outage.is_none()
        && source.board.warnings.is_empty()
        && source.board.watching == Watching::On
}

fn print(status: &Status, zone: &TimeZone) {
    println!(
        "Keepwatch {} is running since {} (process {}), copies go to {}",
        status.version,
        show::time(status.started_ms, zone),
        status.pid,
        show::clean(&status.place)
    );
    println!(
        "Since then: {}, {} sent, {} received",
        show::amount(status.traffic.requests(), "request"),
        show::size(status.traffic.sent_bytes),
        show::size(status.traffic.received_bytes)
    );
    if status.rates != Rates::default() {
        println!("The line may be used {}", line::in_words(&status.rates));
    }
    if status.outbox > 0 {
        println!(
            "{} not sent yet: SNS cannot be reached",
            show::amount(status.outbox, "message")
        );
    }
    if let Some(drill) = &status.drill {
        println!(
            "Restore drill {}: {}",
            show::time(drill.at_ms, zone),
            show::clean(&drill.line())
        );
    }
    for source in &status.sources {
        print_source(source, zone, Timestamp::now().as_millisecond());
    }
}

fn print_source(source: &SourceStatus, zone: &TimeZone, now_ms: i64) {
    println!();
    println!(
        "{}  {}  to  {}",
        show::clean(&source.name),
        show::clean(&source.path),
        show::clean(&source.destination)
    );
    println!(
        "  {} protected ({})",
        show::amount(source.files_protected, "file"),
        show::size(source.bytes_protected)
    );
    if source.waiting > 0 {
        println!("  {} on their way", show::amount(source.waiting, "file"));
    }
    if let Some(until_ms) = source.paced_until_ms {
        println!(
            "  {} of many versions: the next one by {}",
            show::amount(source.paced, "file"),
            show::time(until_ms, zone)
        );
    }
    match &source.board.watching {
        Watching::On => println!("  changes are seen at once"),
        Watching::Starting => println!("  watches are being set up"),
        Watching::Off(why) => println!("  CHANGES ARE NOT SEEN AT ONCE: {}", show::clean(why)),
    }
    for line in proof(&source.board.proof, zone, now_ms) {
        println!("  {line}");
    }
    for note in source.board.notes.values() {
        println!("  note: {}", show::clean(note));
    }
    if let Some(seen) = source.board.scanning {
        println!("  a scan is under way: {} seen", show::amount(seen, "file"));
    }
    if let Some(scan) = &source.board.last_scan {
        println!(
            "  last scan {} ({}, {}{})",
            show::time(scan.started_ms, zone),
            show::amount(scan.files, "file"),
            show::duration(u64::try_from(scan.took_ms).unwrap_or(0)),
            if scan.complete() {
                ""
            } else {
                ", NOT COMPLETE"
            }
        );
    }
    if let Some((since_ms, fault)) = &source.board.outage {
        println!(
            "  UPLOADS ARE ON HOLD since {}: {fault}",
            show::time(*since_ms, zone)
        );
    }
    for warning in source.board.warnings.values() {
        println!("  WARNING: {}", show::clean(warning));
    }
    for (fault, since_ms) in &source.unprotected {
        println!(
            "  NOT PROTECTED since {}: {fault}",
            show::time(*since_ms, zone)
        );
    }
    let unnamed = source
        .unprotected_total
        .saturating_sub(source.unprotected.len() as u64);
    if unnamed > 0 {
        println!("  NOT PROTECTED: {} more", show::number(unnamed));
    }
}

/// How far the watch can be relied on.
fn proof(proof: &WatchProof, zone: &TimeZone, now_ms: i64) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(proven_ms) = proof.proven_ms {
        let age_ms = u64::try_from(now_ms - proven_ms).unwrap_or(0);
        lines.push(format!("watch proven {} ago", show::duration(age_ms)));
    }
    if let Some(rebuilt_ms) = proof.rebuilt_ms {
        lines.push(format!(
            "watch set up again {} since the start, last {}: {}",
            show::amount(proof.rebuilt, "time"),
            show::time(rebuilt_ms, zone),
            show::clean(&proof.rebuilt_why)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watch_is_told_with_its_age_and_its_renewals() {
        let never = WatchProof::default();
        assert!(proof(&never, &TimeZone::UTC, 5).is_empty());
        let proven = WatchProof {
            proven_ms: Some(1_700_000_000_000),
            rebuilt: 2,
            rebuilt_ms: Some(1_700_000_000_000),
            rebuilt_why: "odd".into(),
        };
        let lines = proof(&proven, &TimeZone::UTC, 1_700_000_040_000);
        assert!(lines[0].starts_with("watch proven 40 s"), "{lines:?}");
        assert!(lines[1].contains("2 times since the start"), "{lines:?}");
        assert!(lines[1].ends_with(": odd"), "{lines:?}");
    }
}
