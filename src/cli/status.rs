//! `keepwatch status`: how things stand, from the running daemon.

use super::args::CommonArgs;
use super::{COMPLETE, FAILED, PARTIAL, setup, show};
use crate::board::Watching;
use crate::control::{Line, Request, SourceStatus, Status, ask};
use crate::error::Fatal;
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
    Ok(if status.sources.iter().all(is_well) {
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
    if status.outbox > 0 {
        println!(
            "{} not sent yet: SNS cannot be reached",
            show::amount(status.outbox, "message")
        );
    }
    for source in &status.sources {
        print_source(source, zone);
    }
}

fn print_source(source: &SourceStatus, zone: &TimeZone) {
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
    match &source.board.watching {
        Watching::On => println!("  changes are seen at once"),
        Watching::Starting => println!("  watches are being set up"),
        Watching::Off(why) => println!("  CHANGES ARE NOT SEEN AT ONCE: {}", show::clean(why)),
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
