//! What was current at a moment, streamed from the bucket's list of versions.
//!
//! Holds one page of the listing and a bounded number of keys whose metadata has
//! to be asked, however large the bucket is. It never opens an object's body.
//!
//! S3 says when it stored a version with a grain of one second (some servers a
//! millisecond), and for an upload in parts it says when that began or when it
//! ended. What counts is when the file had that state: where a version was
//! stored so soon after the moment that this may differ, or within the same second,
//! its metadata says when the file was read (`model::state_time`). Where a version
//! and a delete marker carry the same time, the server's order decides. A time that
//! contradicts the order was given by a clock that was wrong (`model::written_order`):
//! where the moment hangs on it, a manifest of the moment is asked (`witness`), and what
//! none settles is named and not given.

use super::chooser::{Chooser, Doubt, Perhaps, Pick};
use super::older::{may_be_older, unless_newer};
use super::pages::Pages;
use super::retry::{Patience, Stop, told};
use super::selector::Selector;
use super::together;
use super::witness::{Verdict, Witness};
use super::{Origin, shown};
use crate::error::{Class, Fatal, Fault, chain};
use crate::model::RelKey;
use crate::model::key::ForeignKey;
use crate::store::{At, ListedVersion, Store};
use crate::transfer::wall_ms;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Keys whose metadata is asked at once, and that wait in line behind them. As
/// many hide the way to a server and back; a line of this length holds 30 KB.
const ASKED_AT_ONCE: usize = 32;

/// Times that are named where they contradict each other.
const DOUBTFUL_SHOWN_MAX: usize = 4;

/// What a key in the bucket says about the file it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This path.
    Path(RelKey),
    /// This path, by the key that earlier versions of Keepwatch gave it. It
    /// stands elsewhere in the listing than its path.
    Older(RelKey),
    /// The path is in the object's metadata.
    Shortened,
    /// No path of ours has this key; the reason in words.
    Foreign(String),
}

impl Name {
    /// Whose a full key is; `None` for what lies elsewhere, and for Keepwatch's
    /// own objects, which are nobody's files.
    pub(super) fn of(bucket_key: &str, prefix: &str) -> Option<Self> {
        match RelKey::parse_at(bucket_key.strip_prefix(prefix)?, prefix) {
            Ok(key) => Some(Self::Path(key)),
            Err(ForeignKey::Shortened) => Some(Self::Shortened),
            Err(ForeignKey::Own) => None,
            Err(ForeignKey::Older(key)) => Some(Self::Older(key)),
            Err(foreign) => Some(Self::Foreign(foreign.to_string())),
        }
    }
}

/// The version of one key that was current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Full key in the bucket.
    pub key: String,
    /// Whose it is.
    pub name: Name,
    /// Version id.
    pub version_id: String,
    /// ETag without quotes.
    pub etag: String,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
    /// S3 storage class.
    pub storage_class: String,
}

impl Chosen {
    pub(super) fn of(version: ListedVersion, name: Name) -> Self {
        Self {
            key: version.key,
            name,
            version_id: version.version_id,
            etag: version.etag,
            stored_bytes: version.stored_bytes,
            modified_ms: version.modified_ms,
            storage_class: version.storage_class,
        }
    }

    /// The version to ask for.
    pub(super) fn version(&self) -> Option<&str> {
        Some(&self.version_id)
    }

    /// What tells this version's bytes from every other's.
    pub(super) fn identity(&self) -> String {
        format!("{}\n{}\n{}", self.key, self.version_id, self.etag)
    }

    /// As people know it: the file's path, or the key on one line.
    pub fn subject(&self) -> String {
        match &self.name {
            Name::Path(key) | Name::Older(key) => key.path().to_string(),
            Name::Shortened | Name::Foreign(_) => shown(&self.key),
        }
    }
}

/// The versions that were current at a moment, in key order within each of the
/// selector's prefixes.
pub struct Timeline<'a> {
    store: &'a Store,
    origin: &'a Origin,
    selector: &'a Selector,
    at_ms: Option<i64>,
    chooser: Chooser,
    pages: Pages<'a>,
    page: std::vec::IntoIter<ListedVersion>,
    first_ms: Option<i64>,
    /// In key order, at most [`ASKED_AT_ONCE`].
    line: VecDeque<Waiting>,
    unsure: Vec<Fault>,
    /// What was told of files that belong together; at most [`REMARKS_MAX`].
    remarks: Remarks,
    witness: Witness,
}

type Remarks = Arc<Mutex<Vec<Fault>>>;

/// Each is of a database that was being written to at the moment.
const REMARKS_MAX: usize = 1_000;

/// One key's version, or the question that decides on it.
enum Waiting {
    Chosen(Box<Chosen>),
    Asked(Asked),
    /// Its turn to ask a manifest comes with its turn in the line.
    Doubtful(Doubt),
}

impl<'a> Timeline<'a> {
    /// What was current at `at_ms` (milliseconds since 1970), or is now.
    pub fn new(
        store: &'a Store,
        origin: &'a Origin,
        selector: &'a Selector,
        at_ms: Option<i64>,
    ) -> Self {
        let prefixes = selector.prefixes(&origin.prefix);
        Self {
            store,
            origin,
            selector,
            at_ms,
            chooser: Chooser::new(at_ms, store.server_now_ms(wall_ms())),
            pages: Pages::new(store, &origin.bucket, prefixes),
            page: Vec::new().into_iter(),
            first_ms: None,
            line: VecDeque::new(),
            unsure: Vec::new(),
            remarks: Remarks::default(),
            witness: Witness::default(),
        }
    }

    /// What became of files that belong to others, and were of another state than
    /// those, since the last call.
    pub fn take_remarks(&mut self) -> Vec<Fault> {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *remarks)
    }

    /// The earliest version seen so far, whether chosen or not.
    pub fn first_ms(&self) -> Option<i64> {
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

    /// Files of which nobody could say which version was current, since the last
    /// call: they were not given. Call it after each [`Timeline::next`].
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
                Some(Waiting::Chosen(chosen)) => return Ok(Some(*chosen)),
                Some(Waiting::Asked(asked)) => match asked.answer().await {
                    Ok(Some(chosen)) => return Ok(Some(chosen)),
                    Ok(None) => {}
                    // Told by the caller before it asks for the next one.
                    Err(fault) => self.unsure.push(fault),
                },
                Some(Waiting::Doubtful(doubt)) => match self.settle(doubt, stop).await {
                    Ok(Some(chosen)) => return Ok(Some(chosen)),
                    Ok(None) => {}
                    Err(fault) => self.unsure.push(fault),
                },
                None if has_more => {}
                None => return Ok(None),
            }
        }
    }

    /// Let the line become as long as it may; false when the listing has ended.
    /// A first key that is decided does not wait for the next page.
    async fn fill(&mut self, stop: &mut Stop) -> Result<bool, Fatal> {
        while self.line.len() < ASKED_AT_ONCE {
            if let Some(version) = self.page.next() {
                self.take(version, stop);
                continue;
            }
            if matches!(self.line.front(), Some(Waiting::Chosen(_))) {
                return Ok(true);
            }
            if stop.is_asked() || !self.turn_page(stop).await? {
                let last = self.chooser.end();
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
        for pick in self.chooser.push(version) {
            self.wait_in_line(pick, stop);
        }
    }

    fn wait_in_line(&mut self, pick: Option<Pick>, stop: &Stop) {
        let Some(pick) = pick else {
            return;
        };
        if let Some(doubt) = pick.doubt {
            self.line.push_back(Waiting::Doubtful(doubt));
            return;
        }
        let by_then = pick.by_then.and_then(|version| self.chosen(version));
        let perhaps: Vec<(Perhaps, Chosen)> = pick
            .perhaps
            .into_iter()
            .filter_map(|perhaps| {
                let chosen = self.chosen(perhaps.version.clone())?;
                Some((perhaps, chosen))
            })
            .collect();
        let waiting = match self.at_ms.filter(|_| !perhaps.is_empty()) {
            Some(at_ms) => Waiting::Asked(Asked::new(Question {
                store: self.store.clone(),
                origin: self.origin.clone(),
                at_ms,
                perhaps,
                by_then,
                stop: stop.clone(),
            })),
            None => match by_then {
                Some(chosen) => Waiting::Chosen(Box::new(chosen)),
                None => return,
            },
        };
        let waiting = self.with_its_file(waiting, stop);
        self.line.push_back(match waiting {
            Waiting::Chosen(chosen) if may_be_older(&chosen) => {
                let (store, origin) = (self.store.clone(), self.origin.clone());
                let (at_ms, mut stop) = (self.at_ms, stop.clone());
                let name = chosen.name.clone();
                Waiting::Asked(Asked::of(name, chosen.subject(), async move {
                    unless_newer(&store, &origin, *chosen, at_ms, &mut stop).await
                }))
            }
            waiting => waiting,
        });
    }

    /// What belongs to another file comes in the state that goes with that one. What
    /// is in doubt gets there when it is settled.
    fn with_its_file(&self, waiting: Waiting, stop: &Stop) -> Waiting {
        let (name, subject) = match &waiting {
            Waiting::Chosen(chosen) => (&chosen.name, chosen.subject()),
            Waiting::Asked(asked) => (&asked.name, asked.subject.clone()),
            Waiting::Doubtful(_) => return waiting,
        };
        if together::main_of(name).is_none() {
            return waiting;
        }
        let (name, mut stop) = (name.clone(), stop.clone());
        let joined = self.joined();
        Waiting::Asked(Asked::of(name, subject, async move {
            let chosen = match waiting {
                Waiting::Chosen(chosen) => Some(*chosen),
                Waiting::Asked(asked) => asked.answer().await?,
                Waiting::Doubtful(_) => None,
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
            remarks: Arc::clone(&self.remarks),
        }
    }

    async fn settle(&mut self, doubt: Doubt, stop: &mut Stop) -> Result<Option<Chosen>, Fault> {
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
        self.page = page;
        Ok(true)
    }
}

/// Asks which state of a file goes with the file that it belongs to.
struct Joined {
    store: Store,
    origin: Origin,
    at_ms: Option<i64>,
    remarks: Remarks,
}

impl Joined {
    async fn state_of(&self, chosen: Chosen, stop: &mut Stop) -> Result<Option<Chosen>, Fault> {
        let (store, origin, at_ms) = (&self.store, &self.origin, self.at_ms);
        let found = together::belonging(store, origin, chosen, at_ms, stop).await?;
        if let Some(remark) = found.remark {
            let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
            if remarks.len() < REMARKS_MAX {
                remarks.push(remark);
            }
        }
        Ok(found.chosen)
    }
}

/// What a manifest makes of what is in doubt; what it does not settle is a fault.
async fn settle(
    store: &Store,
    origin: &Origin,
    at_ms: i64,
    name: &Name,
    doubt: Doubt,
    witness: &mut Witness,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let Some(newest) = doubt.versions.first() else {
        return Ok(None);
    };
    let chosen = Chosen::of(newest.clone(), name.clone());
    let verdict = match name {
        Name::Path(key) => {
            // Rare, and deep: without a box each future that lists would hold it.
            let asked: Pin<Box<dyn Future<Output = Verdict> + Send + '_>> =
                Box::pin(witness.verdict(store, origin, at_ms, key, &doubt, stop));
            asked.await
        }
        // A manifest has them elsewhere, or not at all.
        Name::Older(_) | Name::Shortened | Name::Foreign(_) => Verdict::Unknown,
    };
    match verdict {
        Verdict::Version(version) => Ok(Some(Chosen::of(version, name.clone()))),
        Verdict::Gone => Ok(None),
        Verdict::Unknown => Err(doubtful(&chosen, &doubt.versions)),
    }
}

/// The list's times cannot all be right, and the answer hangs on which are.
fn doubtful(chosen: &Chosen, versions: &[ListedVersion]) -> Fault {
    let times: Vec<String> = versions
        .iter()
        .take(DOUBTFUL_SHOWN_MAX)
        .map(|version| {
            let at = Timestamp::from_millisecond(version.modified_ms).unwrap_or_default();
            let what = if version.is_marker {
                "a deletion"
            } else {
                "a version"
            };
            format!("{what} with the time {at}")
        })
        .collect();
    Fault::new(
        Class::Damaged,
        "tell what the file was at that moment:",
        chosen.subject(),
        format!(
            "the bucket has {}, which contradicts the order in which they were written or has not come yet: a clock was wrong then, or this computer's is wrong now",
            times.join(", ")
        ),
    )
    .hint("see that this computer's clock is right; `keepwatch versions FILE` lists what there is: give an --at before or after the times in doubt, or fetch the version with an S3 tool (docs/FORMAT.md)")
}

/// What the metadata of some versions is asked for, the newest first.
struct Question {
    store: Store,
    origin: Origin,
    at_ms: i64,
    /// Each as it is given when it was current.
    perhaps: Vec<(Perhaps, Chosen)>,
    by_then: Option<Chosen>,
    stop: Stop,
}

impl Question {
    fn subject(&self) -> String {
        let first = self.perhaps.first().map(|(_, chosen)| chosen);
        first.map_or_else(String::new, Chosen::subject)
    }

    async fn ask(mut self) -> Result<Option<Chosen>, Fault> {
        let mut was = self.by_then.take();
        for (perhaps, chosen) in std::mem::take(&mut self.perhaps) {
            let seen_ms = self.seen_ms(&chosen).await?;
            if perhaps.was_current(self.at_ms, seen_ms) {
                was = Some(chosen);
                break;
            }
        }
        let Some(was) = was else { return Ok(None) };
        let at_ms = Some(self.at_ms);
        unless_newer(&self.store, &self.origin, was, at_ms, &mut self.stop).await
    }

    /// When the file was read, by its metadata. Of what is not ours, or gone by now,
    /// only the server's time is known.
    async fn seen_ms(&mut self, chosen: &Chosen) -> Result<Option<i64>, Fault> {
        let at = At {
            bucket: &self.origin.bucket,
            key: &chosen.key,
        };
        let mut patience = Patience::default();
        let head = loop {
            match self.store.head(at, Some(&chosen.version_id)).await {
                Err(fault) if patience.again(&fault, &mut self.stop).await => {}
                done => break done,
            }
        };
        let head = head.map_err(|fault| told(fault).about(chosen.subject()))?;
        Ok(head.and_then(|head| head.meta.ok()?.seen_ms))
    }
}

/// A question on its way; dropped, it is not asked any further.
struct Asked {
    answer: JoinHandle<Result<Option<Chosen>, Fault>>,
    name: Name,
    subject: String,
}

impl Asked {
    fn new(question: Question) -> Self {
        // A question is about some version.
        let name = question
            .perhaps
            .first()
            .map(|(_, chosen)| chosen.name.clone());
        let name = name.unwrap_or_else(|| Name::Foreign(String::new()));
        Self::of(name, question.subject(), question.ask())
    }

    fn of(
        name: Name,
        subject: String,
        answer: impl Future<Output = Result<Option<Chosen>, Fault>> + Send + 'static,
    ) -> Self {
        Self {
            name,
            subject,
            answer: tokio::spawn(answer),
        }
    }

    async fn answer(mut self) -> Result<Option<Chosen>, Fault> {
        let joined = (&mut self.answer).await;
        let subject = std::mem::take(&mut self.subject);
        joined.unwrap_or_else(|error| {
            Err(Fault::new(Class::Local, "look up", subject, chain(&error)))
        })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

/// What was current of exactly this full key, which has this name.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
pub(super) async fn current_by(
    store: &Store,
    origin: &Origin,
    full: String,
    name: Name,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let mut chooser = Chooser::new(at_ms, store.server_now_ms(wall_ms()));
    // Keys that go back end the search: they are not this one.
    let mut pages = Pages::new(store, &origin.bucket, vec![full.clone()]);
    let pick = 'found: loop {
        let Some(page) = pages.next(stop).await? else {
            break chooser.end();
        };
        for version in page {
            if version.key != full {
                break 'found chooser.end();
            }
            if let [_, Some(pick)] = chooser.push(version) {
                break 'found Some(pick);
            }
        }
    };
    let chosen = |version| Chosen::of(version, name.clone());
    let Some(pick) = pick else {
        return Ok(None);
    };
    if let (Some(doubt), Some(at_ms)) = (pick.doubt, at_ms) {
        let mut witness = Witness::default();
        return settle(store, origin, at_ms, &name, doubt, &mut witness, stop).await;
    }
    let by_then = pick.by_then.map(chosen);
    let perhaps = pick.perhaps.into_iter();
    let perhaps = perhaps.map(|perhaps| {
        let chosen = chosen(perhaps.version.clone());
        (perhaps, chosen)
    });
    match at_ms {
        Some(at_ms) => {
            let question = Question {
                store: store.clone(),
                origin: origin.clone(),
                at_ms,
                perhaps: perhaps.collect(),
                by_then,
                stop: stop.clone(),
            };
            question.ask().await
        }
        None => Ok(by_then),
    }
}

/// Whose key it is; `None` when it was not asked for.
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
            crate::recovery::Typed::new("a").unwrap(),
            crate::model::taken::Reading::Name,
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
