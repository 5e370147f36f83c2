//! What a restore came to, in words and as JSON.

use super::moments::{as_of, moment_json};
use super::part::{PartResult, unmatched};
use super::parts::meant_perhaps;
use crate::cli::link;
use crate::cli::origins::Depot;
use crate::cli::paint::{Tone, marked};
use crate::cli::stamp::stamp;
use crate::history::Selector;
use crate::os::shell_word;
use crate::restore::{Bounded, Covered, Restored};
use crate::types;
use crate::types::{Moment, command};
use serde_json::{Value, json};

/// Torn files named in the summary; JSON has more of them.
const TORN_NAMED_MAX: usize = 20;

/// Shadowed files that are named with their dates: after a whole bucket was overwritten
/// these show what happened.
const COVERED_NAMED_MAX: usize = 100;

/// The whole result for programs.
pub(super) fn json(depot: &Depot, done: &[PartResult], moment: Option<Moment>) -> Value {
    let sources: Vec<Value> = done
        .iter()
        .map(|one| {
            let (restored, fatal) = match &one.result {
                Ok(restored) => (Some(restored), None),
                Err(fatal) => (None, Some(fatal)),
            };
            json!({
                "source": one.part.named.name,
                "bucket": one.part.named.origin.bucket,
                "prefix": one.part.named.origin.prefix,
                "to": one.part.to.display().to_string(),
                "moment": moment_json(one.part.moment, depot),
                "restored": restored,
                "left_alone": one.left_alone,
                "failure": fatal.map(|fatal| json!({
                    "operation": fatal.operation,
                    "cause": fatal.cause,
                    "hint": fatal.hint,
                })),
                "taken": Selector::of(&one.part.what).taken(),
            })
        })
        .collect();
    let at = moment.and_then(|moment| moment.at_ms.timestamp().ok());
    json!({
        "place": depot.store.place(),
        "at": at.map(|at| at.to_string()),
        "moment": moment_json(moment, depot),
        "complete": is_whole(done),
        "unmatched": unmatched(done),
        "sources": sources,
    })
}

/// The result for people: the verdict, then what each source came to.
pub(super) fn print(depot: &Depot, done: &[PartResult]) {
    // Why nothing at all was found is told as a failure.
    let has_verdict = done.iter().any(has_found);
    if has_verdict {
        let tone = match (is_whole(done), holds(done, Restored::is_all_there)) {
            (true, _) => Tone::Good,
            (false, true) => Tone::Look,
            _ => Tone::Bad,
        };
        println!("{}", tone.paint(&verdict(done)));
    }
    for one in done {
        print_one(depot, one);
    }
    if !has_verdict {
        return;
    }
    for text in unmatched(done) {
        let typed = done.iter().flat_map(|one| &one.part.what);
        let near = typed
            .filter(|(typed, _)| typed.text() == text)
            .find_map(|(typed, _)| meant_perhaps(typed.misses()));
        let todo = near.unwrap_or_else(otherwise_called);
        println!("{}", marked(&format!("{} ({todo})", not_found(&text))));
    }
}

/// What was asked for and is nowhere.
pub(crate) fn not_found(text: &str) -> String {
    format!("NOT FOUND in the backup: {}", types::clean(text))
}

/// What to do about it, where nothing is known that may have been meant.
pub(crate) fn otherwise_called() -> String {
    format!(
        "write its path from the source's folder on, or its name alone; `{}` says when something was backed up",
        command::on_copies("moments")
    )
}

fn has_found(one: &PartResult) -> bool {
    one.result
        .as_ref()
        .map_or(true, |restored| restored.found() > 0)
}

fn print_one(depot: &Depot, one: &PartResult) {
    // Of a source that has nothing of what was named there is nothing to say.
    let says_more =
        |restored: &Restored| lines(restored, depot).len() > 1 || one.left_alone.is_some();
    if !one.part.what.is_empty() && !has_found(one) && !one.result.as_ref().is_ok_and(says_more) {
        return;
    }
    let origin = &one.part.named.origin;
    println!(
        "{}  from {}/{}  {}",
        types::clean(&one.part.named.name),
        types::clean(&origin.bucket),
        types::clean(&origin.prefix),
        as_of(one.part.moment, depot)
    );
    println!("  into {}", link::path(&one.part.to));
    match &one.result {
        Ok(restored) => {
            for line in lines(restored, depot)
                .into_iter()
                .chain(beside(one, restored))
            {
                println!("  {}", marked(&line));
            }
        }
        Err(fatal) => println!(
            "{}",
            marked(&format!("  NOT RESTORED: {}", types::clean(&fatal.cause)))
        ),
    }
}

/// The first line.
fn verdict(done: &[PartResult]) -> String {
    if is_whole(done) {
        "All is well: everything that was asked for is there, and every file was checked."
            .to_owned()
    } else if holds(done, Restored::is_all_there) {
        let why = to_look_for(done).join(", and ");
        format!(
            "Everything that was asked for is there, and every file was checked, but LOOK AT this: {why}."
        )
    } else if done.iter().any(may_go_on) {
        "NOT everything that was asked for is there: see below. Running it again goes on where it ended."
            .to_owned()
    } else {
        "NOT everything that was asked for is there: see below.".to_owned()
    }
}

/// Why somebody has to look although everything is there.
fn to_look_for(done: &[PartResult]) -> Vec<&'static str> {
    let any = |has: fn(&Restored) -> bool| {
        let mut restored = done.iter().filter_map(|one| one.result.as_ref().ok());
        restored.any(has)
    };
    let why = [
        (
            any(|restored| restored.otherwise > 0),
            "something beside the content of a file is not as it was backed up",
        ),
        (
            any(|restored| restored.covered.total > 0),
            "another program has put something over a file in the bucket",
        ),
    ];
    why.into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, words)| words)
        .collect()
}

/// Something failed that may work the next time.
fn may_go_on(one: &PartResult) -> bool {
    one.result
        .as_ref()
        .map_or(true, |restored| restored.failed.total > 0)
}

/// What another program has put over a file, and which version was restored.
pub(super) fn covered_line(covered: &Covered, fate: &str, depot: &Depot) -> String {
    let date = |ms| stamp(ms, &depot.zone);
    let path = types::clean(&covered.path);
    let word = shell_word(&path);
    format!(
        "LOOK AT {path}: another program has put something over it in the bucket on {}; Keepwatch's own version of {} {fate}; look at both with `{}`",
        date(covered.covered_at_ms),
        date(covered.stored_at_ms),
        command::on_copies(&format!("versions {word}"))
    )
}

fn is_whole(done: &[PartResult]) -> bool {
    holds(done, Restored::is_complete)
}

fn holds(done: &[PartResult], is_so: impl Fn(&Restored) -> bool) -> bool {
    let ok = |one: &PartResult| one.result.as_ref().is_ok_and(&is_so);
    let found = |one: &PartResult| {
        one.result
            .as_ref()
            .is_ok_and(|restored| restored.found() > 0)
    };
    done.iter().all(ok) && done.iter().any(found) && unmatched(done).is_empty()
}

/// What a restore in place did to what was there.
fn beside(one: &PartResult, restored: &Restored) -> Vec<String> {
    let mut lines = Vec::new();
    if restored.replaced_stored > 0 {
        lines.push(format!(
            "{} replaced that the bucket has as a version: `{}` lists it",
            types::amount(restored.replaced_stored, "file"),
            command::on_copies("versions FILE")
        ));
    }
    let named = |lines: &mut Vec<String>, word: &str, all: &Bounded<String>| {
        for path in all.items.iter().take(TORN_NAMED_MAX) {
            lines.push(format!("{word} {}", types::clean(path)));
        }
        let unnamed = all.total.saturating_sub(TORN_NAMED_MAX as u64);
        if unnamed > 0 {
            lines.push(format!("{word} {} more", types::number(unnamed)));
        }
    };
    named(&mut lines, "KEPT BESIDE:", &restored.kept_beside);
    if let Some(left_alone) = &one.left_alone {
        named(&mut lines, "left alone, did not exist then:", left_alone);
    }
    lines
}

fn lines(restored: &Restored, depot: &Depot) -> Vec<String> {
    let mut lines = vec![format!(
        "{} ({}), {}, {} restored",
        types::amount(restored.files, "file"),
        types::size(restored.bytes),
        types::amount(restored.links, "link"),
        types::amount(restored.folders, "empty folder")
    )];
    if restored.identical > 0 {
        lines.push(match restored.identical {
            1 => "1 was there already and is the same".to_owned(),
            many => format!(
                "{} were there already and are the same",
                types::number(many)
            ),
        });
    }
    if let Some(newest_ms) = restored.newest_ms {
        lines.push(format!(
            "the newest version among them was stored {}",
            stamp(newest_ms, &depot.zone)
        ));
    }
    if restored.skipped_foreign > 0 {
        lines.push(format!(
            "{} left alone",
            types::counted(
                restored.skipped_foreign,
                "object",
                [
                    "in the bucket was not written by Keepwatch and is",
                    "in the bucket were not written by Keepwatch and are",
                ]
            )
        ));
    }
    lines.extend(to_look_at(restored, depot));
    for (total, verb, words) in [
        (
            restored.already_there.total,
            ["differs", "differ"],
            " from what is there already, which was kept; each is named above with what to do",
        ),
        (
            restored.failed.total,
            ["failed", "failed"],
            "; each is named above with its reason",
        ),
    ] {
        if total > 0 {
            let verb = if total == 1 { verb[0] } else { verb[1] };
            let total = types::number(total);
            lines.push(format!("NOT RESTORED: {total} {verb}{words}"));
        }
    }
    lines
}

/// What somebody has to look at although it was restored.
fn to_look_at(restored: &Restored, depot: &Depot) -> Vec<String> {
    let mut lines = Vec::new();
    for covered in restored.covered.items.iter().take(COVERED_NAMED_MAX) {
        lines.push(covered_line(covered, "was restored", depot));
    }
    let unnamed = restored
        .covered
        .total
        .saturating_sub(COVERED_NAMED_MAX as u64);
    if unnamed > 0 {
        lines.push(format!(
            "LOOK AT {} more like that; each is named above, --json has their dates",
            types::amount(unnamed, "file")
        ));
    }
    for remark in &restored.remarks.items {
        lines.push(format!("LOOK AT the backup: {remark}"));
    }
    if restored.otherwise > 0 {
        lines.push(format!(
            "LOOK AT {}: whole, but something beside the content is not as it was backed up; each is named above with its reason",
            types::amount(restored.otherwise, "file")
        ));
    }
    if restored.left_out.total > 0 {
        lines.push(format!(
            "{} whole, but not with everything that was backed up beside the content (a note names each)",
            types::counted(restored.left_out.total, "file", ["is", "are"])
        ));
    }
    lines.extend(torn(restored));
    lines
}

/// Files that were being written all the time when they were backed up.
fn torn(restored: &Restored) -> Vec<String> {
    let mut lines = Vec::new();
    for path in restored.torn.items.iter().take(TORN_NAMED_MAX) {
        lines.push(format!(
            "LOOK AT {}: it was being written all the time when it was backed up",
            types::clean(path)
        ));
    }
    let unnamed = restored.torn.total.saturating_sub(TORN_NAMED_MAX as u64);
    if unnamed > 0 {
        lines.push(format!(
            "LOOK AT {} more like that",
            types::amount(unnamed, "file")
        ));
    }
    lines
}
