//! The digest's text: verdict, what to do, totals, then folder by folder.

use super::figures::{Report, SourceReport, UnprotectedLine};
use crate::drill::report;
use crate::mail::{List, Page, Section, by_need, count_of, failures, list_remedies};
use crate::pacing::CostlyFile;
use crate::types::{amount, clean, duration, number, size, time};
use jiff::tz::TimeZone;

/// The report as a page; the caller decides how long it may be.
pub(crate) fn page(report: &Report) -> Page {
    let mut head = verdict(report);
    head.extend(remedies(report));
    head.extend(totals(report));
    // Folders in trouble first, otherwise in the configuration's order.
    let mut sources: Vec<&SourceReport> = report.sources.iter().collect();
    sources.sort_by_key(|source| !source.is_troubled());
    Page {
        head,
        sections: sources
            .into_iter()
            .map(|source| section(source, &report.time_zone))
            .collect(),
        section_noun: "folders",
    }
}

fn verdict(report: &Report) -> Vec<String> {
    let problems = report.problems();
    let mut lines = match problems.as_slice() {
        [] => vec!["All is well: every file is protected.".to_owned()],
        problems => problems
            .iter()
            .map(|problem| format!("ATTENTION: {}.", clean(problem)))
            .collect(),
    };
    let warnings = report.total(|source| count_of(&source.warnings));
    if warnings > 0 {
        lines.push(format!(
            "There {} {}; see below.",
            if warnings == 1 { "is" } else { "are" },
            amount(warnings, "warning")
        ));
    }
    lines
}

/// What to do, each remedy once, most often needed first.
fn remedies(report: &Report) -> Vec<String> {
    // An outage comes first whatever the numbers: nothing else helps before.
    let outages = report
        .sources
        .iter()
        .filter_map(|source| source.outage.as_ref());
    let troubles = report.sources.iter().flat_map(|source| &source.troubles);
    let first = outages
        .map(|outage| outage.remedy.as_str())
        .chain(troubles.map(|trouble| trouble.remedy.as_str()));
    let mut found = by_need(first);
    let unprotected = report.sources.iter().flat_map(|source| &source.unprotected);
    for remedy in by_need(unprotected.map(|line| line.remedy.as_str())) {
        if !found.contains(&remedy) {
            found.push(remedy);
        }
    }
    list_remedies(&found)
}

fn totals(report: &Report) -> Vec<String> {
    let zone = &report.time_zone;
    let place = zone.iana_name().unwrap_or("local time");
    let mut lines = vec![
        String::new(),
        format!("Computer: {}", clean(&report.computer)),
        period(report, place),
    ];
    if report.sources.len() > 1 {
        lines.push(format!(
            "In all:   {} ({}) protected, {}, {} in the period",
            amount(report.total(|source| source.files_protected), "file"),
            size(report.total(|source| source.bytes_protected)),
            not_protected(report),
            amount(report.total(|source| source.versions), "new version"),
        ));
    }
    lines.extend(line_used(report));
    lines.extend(
        report
            .drill
            .iter()
            .flat_map(|drill| report::lines(drill, zone, &report.program)),
    );
    lines
}

fn not_protected(report: &Report) -> String {
    let is_checked = |source: &SourceReport| source.scan.as_ref().is_some_and(|scan| scan.complete);
    match report.total(SourceReport::unprotected_count) {
        0 if !report.sources.iter().all(is_checked) => {
            "how many are not is known after a full check".to_owned()
        }
        files => format!("{} not protected", number(files)),
    }
}

/// The time that the figures are of. It does not run backwards.
fn period(report: &Report, place: &str) -> String {
    let zone = &report.time_zone;
    let to = time(report.to_ms, zone);
    match report.from_ms <= report.to_ms {
        true => format!("Period:   {} to {to} ({place})", time(report.from_ms, zone)),
        false => format!(
            "Period:   up to {to} ({place}), from the last digest on; the clock was ahead then and has been set back since"
        ),
    }
}

/// What went over the line, and what AWS asks for it.
fn line_used(report: &Report) -> Option<String> {
    let traffic = &report.traffic;
    if traffic.requests() == 0 {
        return None;
    }
    let mut line = format!("Requests: {}", number(traffic.requests()));
    let versions = report.total(|source| source.versions);
    if versions > 0 {
        let each = traffic.requests() as f64 / versions as f64;
        line += &format!(" ({each:.1} for each new version)");
    }
    if report.is_billed {
        line += &match traffic.micro_usd() {
            0..10_000 => ", under 0.01 USD at AWS's list price".to_owned(),
            micro => format!(", {:.2} USD at AWS's list price", micro as f64 / 1e6),
        };
    }
    line += &format!(
        "; {} sent, {} received",
        size(traffic.sent_bytes),
        size(traffic.received_bytes)
    );
    Some(line)
}

fn section(source: &SourceReport, zone: &TimeZone) -> Section {
    let mut lines = vec![
        String::new(),
        format!("Folder {}", clean(&source.name)),
        format!(
            "  {} -> {}",
            clean(&source.path),
            clean(&source.destination)
        ),
        protected(source),
        versions(source),
    ];
    lines.extend(source.costly.iter().map(costly));
    if source.deletions > 0 {
        let kept = match source.troubles.is_empty() {
            true => " (earlier versions are kept)",
            false => "",
        };
        let files = amount(source.deletions, "file");
        lines.push(format!("  Deleted: {files}{kept}"));
    }
    lines.push(check(source, zone));
    lines.extend(watch(source, zone));
    if let Some(outage) = &source.outage {
        lines.push(format!(
            "  OUT OF REACH since {}: {}",
            time(outage.since_ms, zone),
            clean(&outage.reason)
        ));
    }
    lines.extend(source.troubles.iter().map(|trouble| {
        let since = time(trouble.since_ms, zone);
        let label = trouble.kind.label();
        format!("  {label} since {since}: {}", clean(&trouble.text))
    }));
    Section {
        lines,
        lists: lists(source, zone),
    }
}

fn protected(source: &SourceReport) -> String {
    let mut line = format!(
        "  Protected: {}, {}",
        amount(source.files_protected, "file"),
        size(source.bytes_protected)
    );
    if source.files_not_stored > 0 {
        line += &format!("; in no bucket yet: {}", number(source.files_not_stored));
    }
    line
}

fn versions(source: &SourceReport) -> String {
    let mut line = format!("  New versions: {}", number(source.versions));
    if source.versions > 0 {
        line += &format!(
            ", {} stored as {}",
            size(source.raw_bytes),
            size(source.stored_bytes)
        );
    }
    if source.saved_bytes > 0 {
        line += &format!(" ({} saved)", size(source.saved_bytes));
    }
    line
}

fn costly(line: &CostlyFile) -> String {
    let mut text = format!(
        "  Many versions: {}: {}, {}",
        clean(&line.path),
        amount(line.versions, "version"),
        size(line.stored_bytes)
    );
    if let Some((interval, versions, bytes)) = &line.advice {
        text += &format!(
            "; with min_version_interval = \"{interval}\" about {} and {}",
            number(*versions),
            size(*bytes)
        );
    }
    text
}

fn check(source: &SourceReport, zone: &TimeZone) -> String {
    match &source.scan {
        None => "  Full check: NOT YET DONE".to_owned(),
        Some(scan) => format!(
            "  Full check: {}, {}, {} in {}",
            time(scan.started_ms, zone),
            if scan.complete {
                "complete"
            } else {
                "NOT COMPLETE"
            },
            amount(scan.files, "file"),
            duration(scan.took_ms)
        ),
    }
}

fn watch(source: &SourceReport, zone: &TimeZone) -> Option<String> {
    let watch = source.watch?;
    let mut line = match watch.proven_ms {
        Some(at_ms) => format!("  Watch: proven {}", time(at_ms, zone)),
        None => "  Watch: not proven".to_owned(),
    };
    if watch.rebuilt > 0 {
        let times = amount(watch.rebuilt, "time");
        line += &format!(", set up again {times} since the start");
    }
    Some(line)
}

fn lists(source: &SourceReport, zone: &TimeZone) -> Vec<List> {
    let mut lists = Vec::new();
    let unprotected = source.named_count();
    if unprotected > 0 {
        lists.push(List {
            title: format!("  NOT PROTECTED: {}", amount(unprotected, "file")),
            lines: source
                .unprotected
                .iter()
                .map(|line| unprotected_line(line, zone))
                .collect(),
            // Lines, of which some stand for many files.
            total: source.unprotected_total.max(count_of(&source.unprotected)),
        });
    }
    if !source.warnings.is_empty() {
        lists.push(List {
            title: "  Warnings".to_owned(),
            lines: source
                .warnings
                .iter()
                .map(|warning| format!("    - {}", clean(warning)))
                .collect(),
            total: count_of(&source.warnings),
        });
    }
    if !source.notes.is_empty() {
        lists.push(List {
            title: "  Notes".to_owned(),
            lines: source
                .notes
                .iter()
                .map(|note| format!("    - {}", clean(note)))
                .collect(),
            total: count_of(&source.notes),
        });
    }
    lists.extend(failures(
        "  Failed at some time in the period",
        &source.failures,
        source.failures_count(),
    ));
    lists
}

fn unprotected_line(line: &UnprotectedLine, zone: &TimeZone) -> String {
    let below = match line.files_below {
        0 => String::new(),
        files => format!(" and the {} in it", amount(files, "file")),
    };
    format!(
        "    - {}{below}: {} (since {})",
        clean(&line.path),
        clean(&line.reason),
        time(line.since_ms, zone)
    )
}
