//! Why nothing of what was asked for is in the bucket, in words for an owner.

use super::moments::as_of;
use super::part::{PartResult, unmatched};
use super::parts;
use crate::cli::args::RestoreArgs;
use crate::cli::origins::Depot;
use crate::cli::stamp::stamp;
use crate::history::Misses;
use crate::types;
use crate::types::{Fatal, Moment, WallMs, command};

/// Why nothing was found.
#[derive(Debug, PartialEq, Eq)]
enum Reason {
    /// The first version was stored at this time, which is after the moment.
    NotYet(WallMs),
    /// There are this many objects of other programs, and none of ours.
    OnlyForeign(u64),
    /// There are versions, and none was current.
    Deleted,
    /// Nothing at all was asked for by name, and nothing is there.
    Empty,
    /// Nothing ever had this name or a similar one.
    NoSuchName,
    /// The same, as far as names are known: there are deleted paths too long for keys,
    /// whose names the bucket does not tell any more.
    NoKnownName,
}

/// What was asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Everything,
    /// Something has one of the names, or had it.
    Known,
    /// Nothing of which the name is known has one of them.
    Unknown,
}

/// Decide why nothing was found, from the time of the first version that was seen, the
/// moment, the objects of other programs, and the names that were given.
fn reason(first_ms: Option<WallMs>, at_ms: Option<WallMs>, foreign: u64, asked: Asked) -> Reason {
    match (first_ms, at_ms) {
        // A shortened key may have any name as long as nobody has asked for its path.
        (Some(_), _) if asked == Asked::Unknown => Reason::NoKnownName,
        (Some(first_ms), Some(at_ms)) if first_ms > at_ms => Reason::NotYet(first_ms),
        (Some(_), _) if foreign > 0 => Reason::OnlyForeign(foreign),
        (Some(_), _) => Reason::Deleted,
        (None, _) if asked == Asked::Everything => Reason::Empty,
        (None, _) => Reason::NoSuchName,
    }
}

/// The failure that says why the bucket has nothing of what was asked for, after
/// everything was looked at.
pub(super) fn nothing_at_all(
    done: &[PartResult],
    args: &RestoreArgs,
    moment: Option<Moment>,
    depot: &Depot,
) -> Option<Fatal> {
    let found_none =
        |one: &PartResult| matches!(&one.result, Ok(restored) if restored.found() == 0);
    if done.is_empty() || !done.iter().all(found_none) {
        return None;
    }
    let results = || done.iter().filter_map(|one| one.result.as_ref().ok());
    let first_ms = results().filter_map(|restored| restored.first_ms).min();
    let foreign = results().map(|restored| restored.skipped_foreign).sum();
    let at_ms = moment.map(|moment| moment.at_ms);
    let operation = if args.what.is_empty() {
        "restore".to_owned()
    } else {
        format!("restore {}", types::clean(&args.what.join(", ")))
    };
    let asked = match args.what.len() {
        0 => Asked::Everything,
        all if unmatched(done).len() == all => Asked::Unknown,
        _ => Asked::Known,
    };
    let reason = reason(first_ms, at_ms, foreign, asked);
    let (cause, hint) = words(&reason, &misses(done), moment, depot);
    Some(Fatal::new(operation, cause, hint))
}

/// Cause and hint.
fn words(
    reason: &Reason,
    misses: &Misses,
    moment: Option<Moment>,
    depot: &Depot,
) -> (String, String) {
    match reason {
        Reason::NotYet(first_ms) => (
            format!(
                "nothing of it was backed up yet {}: the first version is of {}",
                as_of(moment, depot),
                stamp(*first_ms, &depot.zone)
            ),
            "give a later --at, or none for how things are now".to_owned(),
        ),
        Reason::OnlyForeign(foreign) => (
            format!(
                "the bucket holds {} that Keepwatch did not write, and none that it did",
                types::amount(*foreign, "object")
            ),
            "fetch them with an S3 tool; docs/FORMAT.md tells them apart".to_owned(),
        ),
        Reason::Deleted => (
            match moment {
                Some(_) => format!("it was deleted by then: {}", as_of(moment, depot)),
                None => "it was deleted".to_owned(),
            },
            format!(
                "give an --at when it was still there: `{}` lists a file's past, `{}` the days on which something changed",
                command::on_copies("versions FILE"),
                command::on_copies("moments")
            ),
        ),
        Reason::Empty => (
            "nothing was ever backed up there".to_owned(),
            "check --source, or --bucket and --prefix".to_owned(),
        ),
        Reason::NoSuchName | Reason::NoKnownName => (
            match reason {
                Reason::NoSuchName => format!(
                    "the backup never had anything of that name{}",
                    parts::not_asked(misses)
                ),
                _ => format!(
                    "nothing in the backup is called so, as far as its names are known: those of deleted files whose path is too long for the bucket's keys are not{}",
                    parts::not_asked(misses)
                ),
            },
            parts::meant_perhaps(misses).unwrap_or_else(|| {
                format!(
                    "write paths from the source's folder on, like \"Customers/Miller\" or \"*.csv\"; `{}` says since when there is a backup",
                    command::on_copies("moments")
                )
            }),
        ),
    }
}

/// What exists instead of what is in none of the sources.
fn misses(done: &[PartResult]) -> Misses {
    let mut all = Misses::default();
    let missing = unmatched(done);
    for (typed, _) in done.iter().flat_map(|one| &one.part.what) {
        if missing.iter().any(|text| text == typed.text())
            && !all
                .near
                .iter()
                .any(|path| typed.misses().near.contains(path))
        {
            all.near.extend(typed.misses().near.iter().cloned());
            all.unasked = all.unasked.max(typed.misses().unasked);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_one_reason() {
        use Asked::{Everything, Known, Unknown};
        for (first_ms, at_ms, foreign, asked, want) in [
            (Some(20), Some(10), 5, Known, Reason::NotYet(WallMs(20))),
            (Some(10), Some(10), 5, Known, Reason::OnlyForeign(5)),
            (Some(10), None, 5, Everything, Reason::OnlyForeign(5)),
            (Some(10), Some(20), 0, Known, Reason::Deleted),
            (Some(10), None, 0, Known, Reason::Deleted),
            (None, Some(10), 0, Everything, Reason::Empty),
            (None, None, 0, Unknown, Reason::NoSuchName),
            // Named after the bug: it was told as deleted where a shortened key was seen.
            (Some(10), None, 0, Unknown, Reason::NoKnownName),
            (Some(20), Some(10), 0, Unknown, Reason::NoKnownName),
        ] {
            let got = reason(first_ms.map(WallMs), at_ms.map(WallMs), foreign, asked);
            assert_eq!(got, want, "{first_ms:?} {at_ms:?} {foreign} {asked:?}");
        }
    }
}
