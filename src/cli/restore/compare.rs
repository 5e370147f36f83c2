//! `keepwatch restore --dry-run` and `--diff`: what would be done, and what differs.
//! Nothing is written, and no file's content is downloaded.

use super::moments::{as_of, moment_json};
use super::part::Part;
use super::summary::{covered_line, not_found, otherwise_called};
use crate::cli::exit_code::{COMPLETE, DIFFERENT, FAILED, PARTIAL};
use crate::cli::origins::Depot;
use crate::cli::paint::marked;
use crate::cli::stamp::stamp;
use crate::files::Rules;
use crate::history::{Selector, in_none};
use crate::restore::{
    Against, Change, Compared, Comparison, Covered, Difference, Finding, Side, compare,
};
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, FatalKind, Fault, Kind, Moment, WallMs, chain};
use serde_json::{Value, json};
use std::sync::Arc;

/// Paths named in text; more are counted. `--json` names all.
const NAMED_MAX: u64 = 1_000;

/// What the comparison is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `--dry-run`, into another folder.
    DryRun { overwrite: bool },
    /// `--dry-run --in-place`.
    DryRunInPlace,
    /// `--diff` with the folder of today.
    WithFolder,
    /// `--diff TIME`.
    WithMoment(Moment),
}

/// Compare every source's part and say how.
///
/// # Errors
/// Nothing can be compared at all.
pub(super) async fn run(
    depot: &Depot,
    parts: Vec<Part>,
    purpose: Purpose,
    json: bool,
    stop: Stop,
) -> Result<u8, Fatal> {
    let alone = parts.len() == 1;
    let mut results: Vec<Result<Compared, Fatal>> = Vec::new();
    for part in parts {
        let moment = part.moment;
        let mut teller = Teller {
            depot,
            source: part.named.name.clone(),
            purpose,
            json,
            named: 0,
        };
        let comparison = comparison(depot, &part, purpose)?;
        teller.begin(&part, moment);
        let report = |finding: &Finding| teller.report(finding);
        let result = compare(&depot.store, &comparison, report, &stop).await;
        match &result {
            Ok(compared) => teller.end(compared, moment),
            Err(fatal) if alone || fatal.kind == FatalKind::Interrupted => {
                return Err(fatal.clone());
            }
            Err(fatal) => eprintln!("{}: {fatal}", types::clean(&part.named.name)),
        }
        results.push(result);
    }
    if !json {
        for text in in_none(asked(&results)) {
            let line = format!("{} ({})", not_found(&text), otherwise_called());
            out(&marked(&line));
        }
    }
    Ok(exit_code(&results, purpose))
}

fn comparison(depot: &Depot, part: &Part, purpose: Purpose) -> Result<Comparison, Fatal> {
    let folder = || -> Result<Against, Fatal> {
        let found = part.to.metadata();
        if !found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            let cause = match &found {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => chain(e),
                _ => "there is no such folder".to_owned(),
            };
            return Err(Fatal::usage(
                format!("compare with {}", part.to.display()),
                cause,
                "check the folder, or name another one with --to",
            ));
        }
        Ok(Against::Folder {
            root: part.to.clone(),
            rules: rules(depot, part)?,
        })
    };
    Ok(Comparison {
        origin: part.named.origin.clone(),
        selector: Arc::new(Selector::of(&part.what)),
        at_ms: part.moment.map(|moment| moment.at_ms),
        against: match purpose {
            Purpose::DryRun { .. } => Against::Target(part.to.clone()),
            Purpose::DryRunInPlace | Purpose::WithFolder => folder()?,
            Purpose::WithMoment(other) => Against::Moment(Some(other.at_ms)),
        },
    })
}

/// The rules of the source, when its own folder is the one compared.
pub(super) fn rules(depot: &Depot, part: &Part) -> Result<Arc<Rules>, Fatal> {
    let source = depot.config.as_ref().and_then(|config| {
        let mut sources = config.sources.iter();
        sources.find(|source| source.name == part.named.name && source.path == part.to)
    });
    let exclude = source.map_or(&[][..], |source| &source.exclude);
    Rules::new(&part.to, exclude).map(Arc::new)
}

fn exit_code(results: &[Result<Compared, Fatal>], purpose: Purpose) -> u8 {
    let compared: Vec<&Compared> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
    if compared.is_empty() {
        return FAILED;
    }
    let is_partial = compared.len() < results.len()
        || compared
            .iter()
            .any(|one| one.failed.total + one.covered > 0)
        || !in_none(asked(results)).is_empty();
    let would_be_left = compared.iter().any(|one| one.changed + one.metadata > 0);
    let is_same = compared.iter().all(|one| one.is_same());
    match purpose {
        _ if is_partial => PARTIAL,
        Purpose::DryRun { overwrite: false } if would_be_left => PARTIAL,
        Purpose::DryRun { .. } | Purpose::DryRunInPlace => COMPLETE,
        Purpose::WithFolder | Purpose::WithMoment(_) if is_same => COMPLETE,
        Purpose::WithFolder | Purpose::WithMoment(_) => DIFFERENT,
    }
}

/// What matched and what did not, of what each source was asked for.
fn asked(
    results: &[Result<Compared, Fatal>],
) -> impl Iterator<Item = (&Vec<String>, &Vec<String>)> {
    let compared = results.iter().filter_map(|one| one.as_ref().ok());
    compared.map(|one| (&one.matched, &one.unmatched))
}

/// Prints each difference as it comes.
struct Teller<'a> {
    depot: &'a Depot,
    source: String,
    purpose: Purpose,
    json: bool,
    named: u64,
}

impl Teller<'_> {
    fn begin(&self, part: &Part, moment: Option<Moment>) {
        if self.json {
            return;
        }
        let then = as_of(moment, self.depot);
        let name = types::clean(&self.source);
        let to = types::clean(&part.to.display().to_string());
        let line = match self.purpose {
            Purpose::DryRun { .. } => format!("{name}  {then}, into {to}: what would be written"),
            Purpose::DryRunInPlace => {
                format!("{name}  {then}, in place in {to}: what would be done")
            }
            Purpose::WithFolder => format!("{name}  {then}, compared with {to} now"),
            Purpose::WithMoment(other) => {
                let other = as_of(Some(other), self.depot);
                format!("{name}  {then}, compared with {other}")
            }
        };
        out(&line);
    }

    fn report(&mut self, finding: &Finding) {
        match finding {
            Finding::Failed(fault) => self.failed(fault),
            Finding::Compared(difference) => {
                let is_told = difference.change != Change::Same;
                if is_told || (self.json && difference.covered.is_some()) {
                    self.differs(difference);
                }
                if let Some(covered) = &difference.covered {
                    self.covered(covered);
                }
            }
            Finding::Foreign | Finding::Nothing => {}
        }
    }

    fn failed(&self, fault: &Fault) {
        if self.json {
            print_json(&json!({ "source": self.source, "failed": fault }));
        }
        eprintln!("COULD NOT LOOK: {}", types::clean(&fault.to_string()));
    }

    /// In JSON it stands beside the difference.
    fn covered(&self, covered: &Covered) {
        if !self.json {
            eprintln!("{}", covered_line(covered, "is what counts", self.depot));
        }
    }

    fn differs(&mut self, difference: &Difference) {
        if self.json {
            let mut value = json!(difference);
            value["source"] = json!(self.source);
            if let Some(action) = self.action(difference.change) {
                value["action"] = json!(action);
            }
            return print_json(&value);
        }
        self.named += 1;
        if self.named > NAMED_MAX {
            return;
        }
        let word = self.action(difference.change);
        let word = word.unwrap_or_else(|| word_of(difference.change));
        let path = types::clean(&difference.path);
        let sides = [&difference.then, &difference.now];
        let sides: Vec<String> = sides
            .into_iter()
            .flatten()
            .map(|side| self.side(side))
            .collect();
        let same = sides.first() == sides.last();
        let text = match difference.change {
            Change::Metadata => metadata(difference),
            _ if same => sides.first().cloned().unwrap_or_default(),
            _ => sides.join(" -> "),
        };
        out(&format!("  {word:<8}  {path}  ({text})"));
    }

    /// What a restore would do about it; `None` when this is no dry run.
    fn action(&self, change: Change) -> Option<&'static str> {
        let in_place = match self.purpose {
            Purpose::DryRun { overwrite: false } => {
                return Some(match change {
                    Change::Removed => "write",
                    _ => "leave",
                });
            }
            Purpose::DryRun { overwrite: true } => false,
            Purpose::DryRunInPlace => true,
            Purpose::WithFolder | Purpose::WithMoment(_) => return None,
        };
        Some(match change {
            Change::Removed => "write",
            Change::Changed => "replace",
            Change::Metadata if in_place => "restamp",
            Change::Metadata => "replace",
            Change::Added | Change::Same => "leave",
        })
    }

    fn side(&self, side: &Side) -> String {
        let seconds = side.mtime_ns.div_euclid(1_000_000_000);
        let modified = i64::try_from(seconds * 1_000);
        let modified = stamp(modified.map_or(WallMs::MAX, WallMs), &self.depot.zone);
        match side.kind {
            Kind::Folder => "empty folder".to_owned(),
            Kind::Symlink => "link".to_owned(),
            Kind::File | Kind::Special => format!("{}, {modified}", types::size(side.size_bytes)),
        }
    }

    fn end(&self, compared: &Compared, moment: Option<Moment>) {
        if self.json {
            let other = match self.purpose {
                Purpose::WithMoment(other) => moment_json(Some(other), self.depot),
                _ => Value::Null,
            };
            return print_json(&json!({
                "source": self.source,
                "moment": moment_json(moment, self.depot),
                "other_moment": other,
                "summary": compared,
            }));
        }
        if self.named > NAMED_MAX {
            let more = types::number(self.named - NAMED_MAX);
            out(&format!("  and {more} more; --json names them all"));
        }
        out(&format!("  {}", self.summary(compared)));
        if compared.covered > 0 {
            let covered = types::amount(compared.covered, "file");
            out(&marked(&format!("LOOK AT {covered}: each is named above")));
        }
        if compared.failed.total > 0 {
            let failed = types::number(compared.failed.total);
            out(&marked(&format!(
                "COULD NOT LOOK at {failed}: each is named above"
            )));
        }
    }

    fn summary(&self, compared: &Compared) -> String {
        let count = |count: u64, words: &str| format!("{} {words}", types::number(count));
        let bytes = types::size(compared.bytes);
        let mut parts = match self.purpose {
            Purpose::DryRun { overwrite } => {
                let differ = compared.changed + compared.metadata;
                let left = if overwrite {
                    "would be replaced"
                } else {
                    "differ from what is there, and would be left without --overwrite"
                };
                vec![
                    count(compared.removed, "would be written"),
                    count(differ, left),
                ]
            }
            Purpose::DryRunInPlace => vec![
                count(compared.removed, "would be written"),
                count(
                    compared.changed,
                    "would be replaced (what the bucket does not have is kept beside)",
                ),
                count(compared.metadata, "would get their mode and time back"),
                count(compared.added, "did not exist then and would be left alone"),
            ],
            Purpose::WithFolder | Purpose::WithMoment(_) => vec![
                count(compared.added, "added"),
                count(compared.removed, "removed"),
                count(compared.changed, "changed"),
                count(compared.metadata, "with another mode or time"),
            ],
        };
        parts.push(count(compared.same, "the same"));
        let is_dry = !matches!(self.purpose, Purpose::WithFolder | Purpose::WithMoment(_));
        if is_dry {
            parts.push(format!("{bytes} in all, unpacked"));
        }
        if compared.foreign > 0 {
            parts.push(count(compared.foreign, "not written by Keepwatch"));
        }
        parts.join(", ")
    }
}

fn word_of(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
        Change::Metadata => "metadata",
        Change::Same => "same",
    }
}

/// `mode 0644 -> 0600, another time`.
fn metadata(difference: &Difference) -> String {
    let (Some(then), Some(now)) = (difference.then, difference.now) else {
        return String::new();
    };
    let mut parts = Vec::new();
    if then.mode != now.mode {
        parts.push(format!("mode {:04o} -> {:04o}", then.mode, now.mode));
    }
    if then.mtime_ns != now.mtime_ns && then.kind != Kind::Folder {
        parts.push("another time, the same content".to_owned());
    }
    parts.join(", ")
}

/// One document per line, so that a program can read along.
fn print_json(value: &Value) {
    print_whole!("{value}");
}

fn out(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_same_from_different_and_from_unknown() {
        let compared = |changed, failed, covered| {
            let mut compared = Compared {
                changed,
                covered,
                ..Compared::default()
            };
            compared.failed.total = failed;
            compared
        };
        let other = Moment {
            at_ms: WallMs(0),
            end_of_day: false,
        };
        for (changed, failed, covered, purpose, want) in [
            (0, 0, 0, Purpose::WithFolder, COMPLETE),
            (1, 0, 0, Purpose::WithFolder, DIFFERENT),
            (1, 1, 0, Purpose::WithFolder, PARTIAL),
            (1, 0, 0, Purpose::WithMoment(other), DIFFERENT),
            (1, 0, 0, Purpose::DryRun { overwrite: true }, COMPLETE),
            (1, 0, 0, Purpose::DryRun { overwrite: false }, PARTIAL),
            (1, 0, 0, Purpose::DryRunInPlace, COMPLETE),
            (0, 1, 0, Purpose::DryRunInPlace, PARTIAL),
            (0, 0, 1, Purpose::DryRun { overwrite: true }, PARTIAL),
            (0, 0, 1, Purpose::WithFolder, PARTIAL),
        ] {
            let results = [Ok(compared(changed, failed, covered))];
            assert_eq!(exit_code(&results, purpose), want, "{purpose:?}");
        }
        let failed = [Err(Fatal::new("compare", "x", ""))];
        assert_eq!(exit_code(&failed, Purpose::WithFolder), FAILED);
    }
}
