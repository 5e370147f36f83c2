//! The state of the daemon and of each source, in lines.

use crate::bandwidth;
use crate::cli::paint::marked;
use crate::cli::{link, show};
use crate::control::{Kept, SourceStatus, Status};
use crate::status::{WatchProof, Watching};
use crate::types;
use crate::types::{Rates, WallMs};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::Path;

/// How things stood when that was last written down.
pub(super) fn last_known(kept: &Kept, zone: &TimeZone) {
    println!();
    println!(
        "How things stood {} (process {}; it may be otherwise now):",
        types::time(kept.at_ms, zone),
        kept.status.pid
    );
    let mut told = show::Told::default();
    for source in &kept.status.sources {
        print_source(source, zone, kept.at_ms, false, &mut told);
    }
}

/// The state of the messages to the owner.
pub(super) fn mail(status: &Status, zone: &TimeZone) -> Vec<String> {
    let waiting = match status.outbox {
        0 => None,
        count => Some(format!("{} not sent yet", types::amount(count, "message"))),
    };
    match (&status.mail_trouble, waiting) {
        (Some((since_ms, fault)), waiting) => vec![format!(
            "NO MAIL GOES OUT since {}{}: {}",
            types::time(*since_ms, zone),
            waiting.map_or_else(String::new, |waiting| format!(" ({waiting})")),
            types::clean(&fault.to_string())
        )],
        (None, Some(waiting)) => vec![waiting],
        (None, None) => Vec::new(),
    }
}

pub(super) fn print(status: &Status, zone: &TimeZone) {
    println!(
        "Keepwatch {} is running since {} (process {}), copies go to {}",
        status.version,
        types::time(status.started_ms, zone),
        status.pid,
        types::clean(&status.place)
    );
    println!(
        "Since then: {}, {} sent, {} received",
        types::amount(status.traffic.requests(), "request"),
        types::size(status.traffic.sent_bytes),
        types::size(status.traffic.received_bytes)
    );
    if status.rates != Rates::default() {
        println!(
            "The line may be used {}",
            bandwidth::in_words(&status.rates)
        );
    }
    for line in mail(status, zone) {
        println!("{}", marked(&line));
    }
    if let Some(drill) = &status.drill {
        println!(
            "Restore drill {}: {}",
            types::time(drill.at_ms, zone),
            types::clean(&drill.line())
        );
    }
    let mut told = show::Told::default();
    for source in &status.sources {
        let now_ms = WallMs::from(Timestamp::now());
        print_source(source, zone, now_ms, true, &mut told);
    }
}

fn print_source(
    source: &SourceStatus,
    zone: &TimeZone,
    now_ms: WallMs,
    is_running: bool,
    told: &mut show::Told,
) {
    println!();
    println!(
        "{}  {}  to  {}",
        types::clean(&source.name),
        link::path(Path::new(&source.path)),
        types::clean(&source.destination)
    );
    println!(
        "  {} protected ({}){}",
        types::amount(source.files_protected, "file"),
        types::size(source.bytes_protected),
        match source.files_not_stored {
            0 => String::new(),
            files => format!(", {} in no bucket yet", types::number(files)),
        }
    );
    if let Some(stored_ms) = source.board.stored_ms {
        println!("  last backed up {}", types::time(stored_ms, zone));
    }
    if source.waiting > 0 {
        println!("  {} not sent yet", types::amount(source.waiting, "file"));
    }
    if let Some(until_ms) = source.paced_until_ms {
        println!(
            "  {} of many versions: the next one by {}",
            types::amount(source.paced, "file"),
            types::time(until_ms, zone)
        );
    }
    match &source.board.watching {
        Watching::On => println!("  changes are seen at once"),
        Watching::Starting if is_running => println!("  watches are being set up"),
        // A single run watches nothing.
        Watching::Starting => {}
        // Said below, with all that is wrong.
        Watching::Off(why) if source.board.warnings.values().any(|text| text == why) => {}
        Watching::Off(why) => println!(
            "{}",
            marked(&format!(
                "  CHANGES ARE NOT SEEN AT ONCE: {}",
                types::clean(why)
            ))
        ),
    }
    for line in proof(&source.board.proof, zone, now_ms) {
        println!("  {line}");
    }
    for note in source.board.notes.values() {
        println!("  note: {}", types::clean(note));
    }
    print_scans(source, zone);
    print_trouble(source, zone, told);
}

/// The scan that is under way, and the last one.
fn print_scans(source: &SourceStatus, zone: &TimeZone) {
    if let Some(seen) = source.board.scanning {
        println!(
            "  a scan is under way: {} seen",
            types::amount(seen, "file")
        );
    }
    if let Some(scan) = &source.board.last_scan {
        println!(
            "  last scan {} ({}, {}{})",
            types::time(scan.started_ms, zone),
            types::amount(scan.files, "file"),
            types::duration(u64::try_from(scan.took_ms).unwrap_or(0)),
            if scan.complete() {
                ""
            } else {
                ", NOT COMPLETE"
            }
        );
    }
}

/// What keeps files of the source from being protected.
fn print_trouble(source: &SourceStatus, zone: &TimeZone, told: &mut show::Told) {
    let print = |line: String| println!("{}", marked(&line));
    if let Some((since_ms, fault)) = &source.board.outage {
        print(format!(
            "  UPLOADS ARE ON HOLD since {}: {}",
            types::time(*since_ms, zone),
            told.line(fault)
        ));
    }
    for warning in source.board.warnings.values() {
        print(format!("  WARNING: {}", types::clean(warning)));
    }
    for (fault, since_ms) in &source.unprotected {
        print(format!(
            "  NOT PROTECTED since {}: {}",
            types::time(*since_ms, zone),
            told.line(fault)
        ));
    }
    let unnamed = source
        .unprotected_total
        .saturating_sub(source.unprotected.len() as u64);
    if unnamed > 0 {
        print(format!("  NOT PROTECTED: {} more", types::number(unnamed)));
    }
}

/// Whether the watch is proved to work.
pub(super) fn proof(proof: &WatchProof, zone: &TimeZone, now_ms: WallMs) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(proven_ms) = proof.proven_ms {
        let age_ms = u64::try_from(now_ms - proven_ms).unwrap_or(0);
        lines.push(format!("watch proven {} ago", types::duration(age_ms)));
    }
    if let Some(rebuilt_ms) = proof.rebuilt_ms {
        lines.push(format!(
            "watch set up again {} since the start, last {}: {}",
            types::amount(proof.rebuilt, "time"),
            types::time(rebuilt_ms, zone),
            types::clean(&proof.rebuilt_why)
        ));
    }
    lines
}
