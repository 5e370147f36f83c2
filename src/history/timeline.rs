//! What was current at a moment, streamed from the bucket's list of versions.
//!
//! Holds one page of the listing and a bounded number of keys whose metadata has
//! to be asked, however large the bucket is. It never opens an object's body.
//!
//! S3 says when it stored a version with a grain of one second (some servers a
//! millisecond), and for an upload in parts it says when that began or when it
//! ended. What counts is when the file had that state: where a version was
//! stored so soon after the moment that this may differ, or within the same second,
//! its metadata says when the file was read (`history::state_time`). Where a version
//! and a delete marker carry the same time, the server's order decides. A time that
//! contradicts the order was given by a clock that was wrong (`history::written_order`):
//! where the moment hangs on it, a manifest of the moment is asked (`witness`), and what
//! none settles is named and not given.

pub(crate) mod chosen;
pub(crate) mod doubt;
mod joined;
pub(crate) mod question;

use super::legacy_keys::{may_be_older, unless_newer};
use super::pages::{Pages, has_past};
use super::selector::Selector;
use super::together;
use super::version_selector::{Candidate, TimesInDoubt, Undecided, VersionSelector};
use super::witness::Witness;
use crate::os::clock::wall_ms;
use crate::retry::Stop;
use crate::s3::{ListedVersion, Store};
use crate::types::{Fatal, Fault, Origin, WallMs};
use chosen::{Chosen, Name};
use doubt::settle;
use joined::{Joined, Remarks};
use question::{MetadataQuestion, PendingAnswer};
use std::collections::VecDeque;

/// Keys whose metadata is asked for at once, and keys that wait in line behind them. So
/// many hide the round trip to a server; a line of this length holds 30 KB.
const ASKED_AT_ONCE: usize = 32;

/// The versions that were current at a moment, in key order within each of the
/// selector's prefixes.
pub struct Timeline<'a> {
    store: &'a Store,
    origin: &'a Origin,
    selector: &'a Selector,
    at_ms: Option<WallMs>,
    version_selector: VersionSelector,
    pages: Pages<'a>,
    page: std::vec::IntoIter<ListedVersion>,
    first_ms: Option<WallMs>,
    /// In key order, at most [`ASKED_AT_ONCE`].
    line: VecDeque<InLine>,
    unsure: Vec<Fault>,
    /// What was told of files that belong together.
    remarks: Remarks,
    witness: Witness,
}

/// One key's version, or the question that decides on it.
enum InLine {
    Chosen(Box<Chosen>),
    PendingAnswer(PendingAnswer),
    /// It asks a manifest when its turn in the line comes.
    Doubtful(TimesInDoubt),
}

impl<'a> Timeline<'a> {
    /// What was current at `at_ms` (milliseconds since 1970), or is now.
    pub fn new(
        store: &'a Store,
        origin: &'a Origin,
        selector: &'a Selector,
        at_ms: Option<WallMs>,
    ) -> Self {
        let prefixes = selector.prefixes(&origin.prefix);
        Self {
            store,
            origin,
            selector,
            at_ms,
            version_selector: VersionSelector::new(at_ms, store.server_now_ms(wall_ms())),
            pages: Pages::new(store, &origin.bucket, prefixes),
            page: Vec::new().into_iter(),
            first_ms: None,
            line: VecDeque::new(),
            unsure: Vec::new(),
            remarks: Remarks::default(),
            witness: Witness::default(),
        }
    }

    /// What became of companions that were in another state than their main file, since
    /// the last call.
    pub fn take_remarks(&mut self) -> Vec<Fault> {
        self.remarks.take()
    }

    /// The earliest version seen so far, whether chosen or not.
    pub fn first_ms(&self) -> Option<WallMs> {
        self.first_ms
    }

    /// False once the server's keys have gone back: then an older version of a
    /// key may be given after its newest.
    pub fn is_in_order(&self) -> bool {
        self.pages.is_in_order()
    }

    /// Pages of the listing so far.
    pub fn pages(&self) -> u64 {
        self.pages.turned()
    }

    /// Files whose current version could not be decided since the last call, and which were
    /// not given. Call it after each [`Timeline::next`].
    pub fn take_unsure(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.unsure)
    }

    /// The next one; `None` at the end, or when told to stop.
    ///
    /// # Errors
    /// The listing cannot be had: then nothing can be said about the rest.
    pub async fn next(&mut self, stop: &mut Stop) -> Result<Option<Chosen>, Fatal> {
        loop {
            let has_more = self.fill(stop).await?;
            match self.line.pop_front() {
                Some(InLine::Chosen(chosen)) => return Ok(Some(*chosen)),
                Some(InLine::PendingAnswer(asked)) => match asked.answer().await {
                    Ok(Some(chosen)) => return Ok(Some(chosen)),
                    Ok(None) => {}
                    // Told by the caller before it asks for the next one.
                    Err(fault) => self.unsure.push(fault),
                },
                Some(InLine::Doubtful(doubt)) => match self.settle(doubt, stop).await {
                    Ok(Some(chosen)) => return Ok(Some(chosen)),
                    Ok(None) => {}
                    Err(fault) => self.unsure.push(fault),
                },
                None if has_more => {}
                None => return Ok(None),
            }
        }
    }

    /// Fill the line; false when the listing has ended. A first key that is decided does
    /// not wait for the next page.
    async fn fill(&mut self, stop: &mut Stop) -> Result<bool, Fatal> {
        while self.line.len() < ASKED_AT_ONCE {
            if let Some(version) = self.page.next() {
                self.take(version, stop);
                continue;
            }
            if matches!(self.line.front(), Some(InLine::Chosen(_))) {
                return Ok(true);
            }
            if stop.is_asked() || !self.turn_page(stop).await? {
                let last = self.version_selector.end();
                self.wait_in_line(last, stop);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take(&mut self, version: ListedVersion, stop: &Stop) {
        if name_of(&version.key, self.origin, self.selector).is_none() {
            return;
        }
        let modified_ms = version.modified_ms;
        if !version.is_marker && self.first_ms.is_none_or(|first| modified_ms < first) {
            self.first_ms = Some(modified_ms);
        }
        for candidate in self.version_selector.push(version) {
            self.wait_in_line(candidate, stop);
        }
    }

    fn wait_in_line(&mut self, candidate: Option<Candidate>, stop: &Stop) {
        let Some(candidate) = candidate else {
            return;
        };
        if let Some(doubt) = candidate.doubt {
            self.line.push_back(InLine::Doubtful(doubt));
            return;
        }
        let by_then = candidate.by_then.and_then(|version| self.chosen(version));
        let previous = candidate.previous.and_then(|version| self.chosen(version));
        let undecided: Vec<(Undecided, Chosen)> = candidate
            .undecided
            .into_iter()
            .filter_map(|undecided| {
                let chosen = self.chosen(undecided.version.clone())?;
                Some((undecided, chosen))
            })
            .collect();
        let is_asked = !undecided.is_empty() || previous.is_some();
        let waiting = match self.at_ms.filter(|_| is_asked) {
            Some(at_ms) => InLine::PendingAnswer(PendingAnswer::new(MetadataQuestion {
                store: self.store.clone(),
                origin: self.origin.clone(),
                at_ms,
                undecided,
                by_then,
                previous,
                stop: stop.clone(),
            })),
            None => match by_then {
                Some(chosen) => InLine::Chosen(Box::new(chosen)),
                None => return,
            },
        };
        let waiting = self.with_its_file(waiting, stop);
        self.line.push_back(match waiting {
            InLine::Chosen(chosen) if may_be_older(&chosen) => {
                let (store, origin) = (self.store.clone(), self.origin.clone());
                let (at_ms, mut stop) = (self.at_ms, stop.clone());
                let name = chosen.name.clone();
                InLine::PendingAnswer(PendingAnswer::of(name, chosen.subject(), async move {
                    unless_newer(&store, &origin, *chosen, at_ms, &mut stop).await
                }))
            }
            waiting => waiting,
        });
    }

    /// A companion comes in the state that goes with its main file. A key in doubt gets
    /// here once it is settled.
    fn with_its_file(&self, waiting: InLine, stop: &Stop) -> InLine {
        let (name, subject) = match &waiting {
            InLine::Chosen(chosen) => (&chosen.name, chosen.subject()),
            InLine::PendingAnswer(asked) => (&asked.name, asked.subject.clone()),
            InLine::Doubtful(_) => return waiting,
        };
        if together::main_of(name).is_none() {
            return waiting;
        }
        let (name, mut stop) = (name.clone(), stop.clone());
        let joined = self.joined();
        InLine::PendingAnswer(PendingAnswer::of(name, subject, async move {
            let chosen = match waiting {
                InLine::Chosen(chosen) => Some(*chosen),
                InLine::PendingAnswer(asked) => asked.answer().await?,
                InLine::Doubtful(_) => None,
            };
            match chosen {
                Some(chosen) => joined.state_of(chosen, &mut stop).await,
                None => Ok(None),
            }
        }))
    }

    fn joined(&self) -> Joined {
        Joined {
            store: self.store.clone(),
            origin: self.origin.clone(),
            at_ms: self.at_ms,
            remarks: self.remarks.clone(),
        }
    }

    async fn settle(
        &mut self,
        doubt: TimesInDoubt,
        stop: &mut Stop,
    ) -> Result<Option<Chosen>, Fault> {
        let key = doubt.versions.first().map(|first| first.key.as_str());
        let name = key.and_then(|key| name_of(key, self.origin, self.selector));
        let (Some(name), Some(at_ms)) = (name, self.at_ms) else {
            return Ok(None);
        };
        let (store, origin, witness) = (self.store, self.origin, &mut self.witness);
        match settle(store, origin, at_ms, &name, doubt, witness, stop).await? {
            Some(chosen) if together::main_of(&name).is_some() => {
                self.joined().state_of(chosen, stop).await
            }
            settled => Ok(settled),
        }
    }

    fn chosen(&self, version: ListedVersion) -> Option<Chosen> {
        let name = name_of(&version.key, self.origin, self.selector)?;
        Some(Chosen::of(version, name))
    }

    /// Get the next page; false when there is none.
    async fn turn_page(&mut self, stop: &mut Stop) -> Result<bool, Fatal> {
        let Some(page) = self.pages.next(stop).await? else {
            return Ok(false);
        };
        if self.at_ms.is_some() {
            has_past(self.store, &self.origin.bucket)?;
        }
        self.page = page;
        Ok(true)
    }
}

/// Which path the key stands for; `None` when it was not asked for.
fn name_of(key: &str, origin: &Origin, selector: &Selector) -> Option<Name> {
    let name = Name::of(key, &origin.prefix)?;
    let is_asked_for = match &name {
        Name::Path(key) | Name::Older(key) => selector.matches(&key.path()),
        // Its path is not known yet: it is asked again when it is.
        Name::Shortened => true,
        Name::Foreign(_) => selector.is_everything(),
    };
    is_asked_for.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_key_it_is() {
        let origin = Origin {
            bucket: "b".into(),
            prefix: "office/".into(),
        };
        let all = Selector::everything();
        let some = Selector::of(&[(
            crate::history::typed::Typed::new("a").unwrap(),
            crate::types::Reading::Name,
        )]);
        let shortened = format!("office/ddd~kw-{}", "0".repeat(32));
        let of = |key: &str, selector: &Selector| name_of(key, &origin, selector);
        assert!(matches!(of("office/a/b", &some), Some(Name::Path(_))));
        assert_eq!(of("office/c", &some), None);
        assert_eq!(of("elsewhere/a", &all), None);
        assert_eq!(of(&shortened, &some), Some(Name::Shortened));
        for key in ["office/", "office/../a", "office//etc/x", "office/a%00"] {
            assert!(matches!(of(key, &all), Some(Name::Foreign(_))), "{key}");
            assert_eq!(of(key, &some), None, "{key}");
        }
    }
}
