//! What a verification found, in words for an owner.

use super::progress::looked_at;
use super::verdict::{exit_code, is_of_nothing, missing};
use crate::cli::exit_code::{COMPLETE, FAILED};
use crate::cli::paint::{Tone, marked};
use crate::cli::restore::parts::lines;
use crate::cli::restore::summary::{not_found, otherwise_called};
use crate::cli::stamp::stamp;
use crate::history::word_for;
use crate::os;
use crate::types;
use crate::types::{RelKey, command, id_text, is_own};
use crate::verify::{Damage, Finding, Never, Repair, Verified};
use jiff::tz::TimeZone;

/// The verdict, then what was found in each source.
pub(super) fn print(results: &[Verified], seed: Option<u64>, zone: &TimeZone) {
    println!("{}", Tone::of(exit_code(results)).paint(&verdict(results)));
    for result in results {
        println!(
            "{}  in  {}",
            types::clean(&result.name),
            types::clean(&result.destination)
        );
        for line in figures(result) {
            println!("  {}", types::clean(&line));
        }
        for finding in &result.findings {
            for line in words(finding, zone) {
                println!("  {}", types::clean(&line));
            }
        }
        let unnamed = result
            .findings_total
            .saturating_sub(result.findings.len() as u64);
        if unnamed > 0 {
            println!("  {} more", types::amount(unnamed, "finding"));
        }
        for fault in &result.not_looked {
            println!(
                "{}",
                marked(&format!(
                    "  NOT LOOKED AT: {}",
                    types::clean(&fault.to_string())
                ))
            );
        }
    }
    for line in not_there(results) {
        println!("{line}");
    }
    if let Some(seed) = seed {
        println!("The sample was drawn with --seed {seed}.");
    }
    for line in lines(results.iter().flat_map(|result| result.taken.clone())) {
        println!("{line}");
    }
}

/// What was asked for and is in none of the sources, and what may have been meant, once.
pub(super) fn not_there(results: &[Verified]) -> Vec<String> {
    let missing = missing(results);
    if missing.is_empty() {
        return Vec::new();
    }
    let mut near: Vec<&str> = Vec::new();
    for name in results.iter().flat_map(|result| &result.near) {
        if !near.contains(&name.as_str()) {
            near.push(name);
        }
    }
    let todo = match near.as_slice() {
        [] => otherwise_called(),
        near => format!("write it as it is called; there is: {}", near.join(", ")),
    };
    let lines = missing.iter().map(|text| marked(&not_found(text)));
    let todo = format!("  what to do: {}", types::clean(&todo));
    lines.chain([todo]).collect()
}

/// The first line.
pub(super) fn verdict(results: &[Verified]) -> String {
    let left_behind: u64 = results.iter().map(Verified::left_behind).sum();
    let is_mended = results.iter().any(|result| result.findings_total > 0);
    match exit_code(results) {
        COMPLETE if left_behind > 0 => {
            let what = types::counted(left_behind, "older version", ["is", "are"]);
            let stay = if left_behind == 1 {
                "that stays"
            } else {
                "those stay"
            };
            format!(
                "The current state of everything that was looked at can be restored. {what} damaged or gone, and {stay} so: see below."
            )
        }
        COMPLETE if is_mended => {
            "The current state of everything that was looked at can be restored.".to_owned()
        }
        COMPLETE => "All is well: everything that was looked at is as it was stored.".to_owned(),
        FAILED if is_of_nothing(results) && missing(results).is_empty() => {
            "NOTHING was verified: nothing is backed up there yet.".to_owned()
        }
        FAILED => "NOT everything could be looked at: see below.".to_owned(),
        _ => "NOT everything in the backup is as it was stored: see below.".to_owned(),
    }
}

fn figures(result: &Verified) -> Vec<String> {
    let progress = &result.progress;
    let mut first = looked_at(progress);
    if progress.hashed > 0 {
        first += &format!(
            ", {} downloaded and hashed ({})",
            types::number(progress.hashed),
            types::size(progress.hashed_bytes)
        );
    }
    let mut lines = vec![first];
    if progress.hashed == 0 && result.cold == 0 && progress.looked > 0 {
        lines.push("no content was downloaded: `--deep` does that, and sees more".to_owned());
    }
    if !result.with_index {
        lines.push(
            "what the bucket says of itself: whether something is missing, this computer's index would know"
                .to_owned(),
        );
    }
    lines.extend(result.without_index_because.clone());
    for (count, what) in [
        (result.cold, "in cold storage: not downloaded"),
        (result.foreign, "not written by Keepwatch: left alone"),
        (
            result.moving,
            "not sent yet or changed meanwhile: not judged",
        ),
        (result.too_large, "larger than the sample: not downloaded"),
    ] {
        if count > 0 {
            lines.push(format!("{} {what}", types::number(count)));
        }
    }
    lines
}

/// One finding, for an owner.
pub(super) fn words(finding: &Finding, zone: &TimeZone) -> Vec<String> {
    let mut which = String::new();
    if finding.is_older {
        which += "older ";
    }
    if let (false, Some(at_ms)) = (finding.version_id.is_none(), finding.stored_at_ms) {
        let at = stamp(at_ms, zone);
        which += &format!("version of {at} ({})", id_text(&finding.version_id));
    }
    let which = match which.as_str() {
        "" => String::new(),
        which => format!(", {which}"),
    };
    let mut lines = vec![
        format!("{}{which}", finding.path),
        format!("    {}", finding.damage.words()),
        format!("    {}", finding.why),
    ];
    lines.extend(todo(finding, zone).map(|todo| format!("    what to do: {todo}")));
    if let (false, Some(whole)) = (finding.is_repaired(), &finding.whole) {
        let at = stamp(whole.stored_at_ms, zone);
        lines.push(format!(
            "    the version of {at} is whole: {}",
            command::on_copies(&format!(
                "restore {} --at \"{at}\" --to FOLDER",
                word(finding)
            ))
        ));
    }
    lines
}

/// The file as a command takes it, and it alone.
fn word(finding: &Finding) -> String {
    let key = finding.key.as_deref().map(RelKey::parse_full);
    match key {
        Some(Ok(key)) => word_for(&key.path()),
        _ => os::shell_word(&finding.path),
    }
}

fn todo(finding: &Finding, zone: &TimeZone) -> Option<String> {
    if finding.damage == Damage::Ahead {
        let text = "nothing is lost: it is a list of the backup that is used for nothing, and whoever may delete in the bucket can delete it. See that the clocks of the computers that write there are right";
        return Some(text.to_owned());
    }
    if finding.key.is_none() && is_own(&finding.path) {
        return Some(format!(
            "nothing is lost: it is a list of the backup, restoring works without it, and the next daily comparison (or `{}`) writes a new one. Find out who can write to the bucket; this computer itself may have done it, with another state folder",
            command::with_configuration("--reconcile")
        ));
    }
    let text = match &finding.repair {
        Some(Repair::Done) => mended(finding, zone),
        Some(Repair::Failed(why)) => format!("repairing it did not work: {why}"),
        Some(Repair::Impossible) | None if finding.is_older => {
            "nothing helps: an older version cannot be mended, and no restore of a moment at which it was current brings it back. Other moments are not concerned".to_owned()
        }
        Some(Repair::Impossible) => {
            "it cannot be uploaded again: the file is not on this computer any more".to_owned()
        }
        None if finding.can_be_repaired() => format!(
            "{} (the file is still on this computer)",
            command::on_copies(&format!(
                "verify {}--repair {}",
                // What only its content tells is found again only by downloading it.
                match finding.damage {
                    Damage::Altered | Damage::Truncated => "--deep ",
                    _ => "",
                },
                word(finding)
            ))
        ),
        None if finding.is_on_disk == Some(false) => {
            "the file is not on this computer any more, so it cannot be uploaded again".to_owned()
        }
        None => return None,
    };
    Some(text)
}

/// What a repair has mended, and what it could not.
fn mended(finding: &Finding, zone: &TimeZone) -> String {
    let at = finding.stored_at_ms.map(|at_ms| stamp(at_ms, zone));
    let of = at.map_or_else(String::new, |at| format!(" of {at}"));
    match finding.never() {
        None => "nothing: it was repaired and verified again".to_owned(),
        Some(Never::Damaged) => format!(
            "nothing more: the file as it is now was stored again and verified. The version{of} stays damaged and cannot be mended: no restore of a moment at which it was current brings it back"
        ),
        Some(Never::Gone) => format!(
            "nothing more: the file as it is now was stored again and verified. The version{of} that is gone cannot be had back: no restore of a moment at which it was current brings it back"
        ),
    }
}
