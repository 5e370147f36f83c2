//! The run: both sides in key order, a few looks at once, results written down.
//!
//! Holds a page of each side, the looks under way, and what was drawn.

use super::draw::{Draw, Drawn};
use super::findings::{Deep, Finding, Verified};
use super::groups::{Group, Listing};
use super::judge;
use super::judge::{Expect, Next, Wrong};
use super::look::{Job, Outcome, SharedShop};
use super::request::{VerifyEvent, VerifyRequest};
use crate::history::Records;
use crate::retry::told;
use crate::s3::ListedVersion;
use crate::types::{Class, Fatal, Fault, ForeignKey, Record, RelKey, chain, is_own};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Versions asked about at once: HEADs wait for the way to the server and back,
/// and hold nothing meanwhile.
const LOOKS_AT_ONCE: usize = 32;

/// Between what seems to be somebody else's doing and the second look at it: a
/// worker whose change the bucket has taken writes it down some milliseconds
/// later, on a busy computer perhaps a second. All wait side by side, and the
/// rest of the bucket is looked at meanwhile.
const SETTLING: Duration = Duration::from_secs(3);

/// What waits for its second look at a time; some 2 KB each. Beyond that the
/// run waits for the first of them.
const SUSPECTS_MAX: usize = 2_000;

/// Looks that fail in a row because the server does, before it is asked whether
/// it is there at all.
const FAILURES_IN_A_ROW_MAX: u32 = 2 * LOOKS_AT_ONCE as u32;

/// One source being verified.
pub(crate) struct Run<'a> {
    pub(crate) shop: SharedShop,
    pub(crate) request: &'a VerifyRequest,
    report: &'a (dyn Fn(VerifyEvent<'_>) + Send + Sync),
    looks: JoinSet<Result<Outcome, Fault>>,
    /// What is to be looked at again, and since when.
    suspects: VecDeque<(Instant, Box<(Job, Wrong)>)>,
    draw: Draw<Job>,
    pub(crate) result: Verified,
    failures_in_a_row: u32,
    any_success: bool,
}

/// Whose key the listing shows next.
enum Whose {
    Ours(RelKey),
    /// A file of ours by the key of earlier versions.
    Older(RelKey),
    Shortened,
    /// Nobody's file: our own folder, or a key that no path has.
    Other {
        is_foreign: bool,
    },
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        shop: SharedShop,
        request: &'a VerifyRequest,
        report: &'a (dyn Fn(VerifyEvent<'_>) + Send + Sync),
    ) -> Self {
        Self {
            draw: Draw::new(request.deep, request.seed),
            looks: JoinSet::new(),
            suspects: VecDeque::new(),
            result: Verified {
                name: request.name.clone(),
                with_index: request.known.is_some(),
                all_versions: request.all_versions,
                ..Verified::default()
            },
            failures_in_a_row: 0,
            any_success: false,
            report,
            request,
            shop,
        }
    }

    /// What was found.
    pub(crate) fn into_result(self) -> Verified {
        self.result
    }

    pub(crate) async fn all(&mut self) -> Result<(), Fatal> {
        let request = self.request;
        for key in request.only.iter().flatten() {
            let record = match &request.known {
                Some(known) => known.record(key).await?,
                None => None,
            };
            self.one_key(key.clone(), record).await?;
        }
        let prefixes = match request.only {
            Some(_) => Vec::new(),
            None => request.selector.prefixes(&request.origin.prefix),
        };
        for prefix in prefixes {
            self.below(prefix).await?;
        }
        let empty = Draw::new(Deep::No, 0);
        for mut job in std::mem::replace(&mut self.draw, empty).into_items() {
            job.deep = true;
            self.start(job).await?;
        }
        while !self.looks.is_empty() || !self.suspects.is_empty() {
            self.take_in().await?;
            if self.looks.is_empty() {
                self.look_again(0).await?;
            }
        }
        if request.only.is_none() && request.selector.is_everything() {
            Box::pin(self.manifests()).await?;
        }
        Ok(())
    }

    /// Index and listing side by side, below one prefix of the bucket.
    async fn below(&mut self, prefix: String) -> Result<(), Fatal> {
        let request = self.request;
        let rel_prefix = prefix
            .strip_prefix(request.origin.prefix.as_str())
            .unwrap_or_default();
        let mut records = Records::new(request.known.clone(), rel_prefix);
        let shop = self.shop.clone();
        let mut listing = Listing::new(&shop.store, &shop.origin, prefix);
        let mut stop = shop.stop.clone();
        loop {
            let listed = listing.peek(&mut stop).await?.map(|next| next.key.clone());
            let within = listed.as_deref().map(|key| self.within(key));
            let index_key = records.peek().await?.cloned();
            let Some(is_listed_first) = first_of(within, index_key.as_ref()) else {
                return Ok(());
            };
            self.result.progress.seen += 1;
            if is_listed_first != std::cmp::Ordering::Greater
                && let Some(bucket_key) = &listed
            {
                let whose = self.whose(bucket_key);
                let record = match is_listed_first {
                    std::cmp::Ordering::Equal => records.take().map(|(_, record)| record),
                    _ => None,
                };
                self.group(&mut listing, bucket_key, whose, record).await?;
            } else if let Some((key, record)) = records.take() {
                self.record_alone(key, record).await?;
            }
            (self.report)(VerifyEvent::Progress(self.result.progress));
        }
    }

    fn within<'k>(&self, bucket_key: &'k str) -> &'k str {
        bucket_key
            .strip_prefix(self.request.origin.prefix.as_str())
            .unwrap_or(bucket_key)
    }

    fn whose(&self, bucket_key: &str) -> Whose {
        let within = self.within(bucket_key);
        if within.is_empty() || is_own(within) {
            return Whose::Other { is_foreign: false };
        }
        match RelKey::parse_at(within, &self.request.origin.prefix) {
            Ok(key) if self.request.selector.matches(&key.path()) => Whose::Ours(key),
            Ok(_) => Whose::Other { is_foreign: false },
            Err(ForeignKey::Shortened) => Whose::Shortened,
            Err(ForeignKey::Older(key)) => match self.request.selector.matches(&key.path()) {
                true => Whose::Older(key),
                false => Whose::Other { is_foreign: false },
            },
            Err(_) => Whose::Other {
                is_foreign: self.request.selector.is_everything(),
            },
        }
    }

    /// Everything that the bucket has of one key.
    async fn group(
        &mut self,
        listing: &mut Listing<'_>,
        bucket_key: &str,
        whose: Whose,
        record: Option<Record>,
    ) -> Result<(), Fatal> {
        let mut stop = self.shop.stop.clone();
        let rel = match &whose {
            Whose::Ours(key) | Whose::Older(key) => Some(key.clone()),
            Whose::Shortened | Whose::Other { .. } => None,
        };
        let is_looked_at = !matches!(whose, Whose::Other { .. });
        let pinned_id = record.as_ref().map(|record| record.version_id.clone());
        let mut group: Option<Group> = None;
        while let Some(version) = listing.take_of(bucket_key, &mut stop).await? {
            match &mut group {
                None => group = Some(Group::of(version, pinned_id.as_deref())),
                Some(group) => {
                    group.older(&version, pinned_id.as_deref());
                    if self.request.all_versions && is_looked_at && !version.is_marker {
                        self.older(rel.clone(), version).await?;
                    }
                }
            }
        }
        match whose {
            Whose::Other { is_foreign } => {
                self.result.foreign += u64::from(is_foreign);
                Ok(())
            }
            Whose::Older(key) => {
                // The record is of whatever key the path has today.
                if record.is_some() {
                    self.one_key(key.clone(), record).await?;
                }
                self.by_older_key(key, group).await
            }
            Whose::Ours(_) | Whose::Shortened => self.decide(rel, bucket_key, record, group).await,
        }
    }

    /// A record whose key the listing lacks at its place: a shortened key stands
    /// elsewhere in the listing.
    async fn record_alone(&mut self, key: RelKey, record: Record) -> Result<(), Fatal> {
        if !self.request.selector.matches(&key.path()) {
            return Ok(());
        }
        if key.in_bucket(&self.request.origin.prefix).shortened {
            return self.one_key(key, Some(record)).await;
        }
        let bucket_key = key.in_bucket(&self.request.origin.prefix).key;
        self.decide(Some(key), &bucket_key, Some(record), None)
            .await
    }

    /// One key, asked about by itself.
    async fn one_key(&mut self, key: RelKey, record: Option<Record>) -> Result<(), Fatal> {
        let shop = self.shop.clone();
        let mut stop = shop.stop.clone();
        let prefix = &self.request.origin.prefix;
        let bucket_key = key.in_bucket(prefix).key;
        let pinned_id = record.as_ref().map(|record| record.version_id.clone());
        let mut group: Option<Group> = None;
        // What earlier versions stored stays at its older key until it is sent again.
        for bucket_key in [Some(bucket_key.clone()), key.older(prefix)]
            .into_iter()
            .flatten()
        {
            let mut alone = Listing::new(&shop.store, &shop.origin, bucket_key.clone());
            while let Some(version) = alone.take_of(&bucket_key, &mut stop).await? {
                match &mut group {
                    None => group = Some(Group::of(version, pinned_id.as_deref())),
                    Some(group) => group.older(&version, pinned_id.as_deref()),
                }
            }
            if group.is_some() {
                break;
            }
        }
        self.decide(Some(key), &bucket_key, record, group).await
    }

    async fn decide(
        &mut self,
        rel: Option<RelKey>,
        bucket_key: &str,
        record: Option<Record>,
        group: Option<Group>,
    ) -> Result<(), Fatal> {
        let job = |listed: ListedVersion, expect: Expect| Job {
            rel: rel.clone(),
            listed,
            expect,
            wrong: None,
            is_older: false,
            deep: false,
        };
        match judge::by_listing(record.as_ref(), group.as_ref()) {
            Next::Nothing => Ok(()),
            Next::Look(listed, expect) => self.offer(job(listed, expect)).await,
            Next::Wrong(wrong, listed) => {
                let nothing = || ListedVersion {
                    key: bucket_key.to_owned(),
                    version_id: String::new(),
                    is_latest: false,
                    is_marker: false,
                    etag: String::new(),
                    stored_bytes: 0,
                    modified_ms: 0,
                    storage_class: String::new(),
                };
                let expect = match record {
                    Some(record) => Expect::Recorded(Box::new(record)),
                    None => Expect::Itself,
                };
                let mut job = job(listed.unwrap_or_else(nothing), expect);
                job.wrong = Some(wrong);
                self.start(job).await
            }
        }
    }

    /// A version to be looked at; chance may want its content, too.
    pub(crate) async fn offer(&mut self, mut job: Job) -> Result<(), Fatal> {
        let drawn = {
            let listed = &job.listed;
            let keep = || job.clone();
            self.draw
                .offer(&listed.key, &listed.version_id, listed.stored_bytes, keep)
        };
        match drawn {
            Drawn::Now => job.deep = true,
            Drawn::No => {}
            Drawn::TooLarge => self.result.too_large += 1,
        }
        self.start(job).await
    }

    async fn start(&mut self, job: Job) -> Result<(), Fatal> {
        self.look_again(SUSPECTS_MAX).await?;
        self.make_room().await?;
        self.result.progress.looked += 1;
        let shop = self.shop.clone();
        self.looks.spawn(async move { shop.look(&job).await });
        Ok(())
    }

    async fn make_room(&mut self) -> Result<(), Fatal> {
        while self.looks.len() >= LOOKS_AT_ONCE {
            self.take_in().await?;
        }
        Ok(())
    }

    /// Second looks: those that have waited long enough, and as many more as are
    /// beyond `waiting_max`.
    async fn look_again(&mut self, waiting_max: usize) -> Result<(), Fatal> {
        while let Some((since, _)) = self.suspects.front() {
            let due = *since + SETTLING;
            if due > Instant::now() && self.suspects.len() <= waiting_max {
                return Ok(());
            }
            tokio::time::sleep_until(due).await;
            self.make_room().await?;
            if let Some((_, suspect)) = self.suspects.pop_front() {
                let shop = self.shop.clone();
                self.looks.spawn(async move {
                    let (job, wrong) = *suspect;
                    shop.confirm(&job, wrong).await
                });
            }
        }
        Ok(())
    }

    async fn take_in(&mut self) -> Result<(), Fatal> {
        let Some(joined) = self.looks.join_next().await else {
            return Ok(());
        };
        let done = joined.map_err(|e| Fatal::new("verify", chain(&e), ""))?;
        self.write_down(done).await
    }

    async fn write_down(&mut self, done: Result<Outcome, Fault>) -> Result<(), Fatal> {
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(fault) => return self.weigh(fault).await,
        };
        self.failures_in_a_row = 0;
        self.any_success = true;
        match outcome {
            Outcome::Fine(None) => {}
            Outcome::Fine(Some(bytes)) => {
                self.result.progress.hashed += 1;
                self.result.progress.hashed_bytes += bytes;
            }
            Outcome::Cold => self.result.cold += 1,
            Outcome::Foreign => self.result.foreign += 1,
            Outcome::ByRecord => self.result.progress.looked -= 1,
            Outcome::Moving => self.result.moving += 1,
            Outcome::Perhaps(suspect) => self.suspects.push_back((Instant::now(), suspect)),
            Outcome::Wrong(finding) => {
                // A version that was drawn is looked at twice.
                let is_known = |known: &Finding| {
                    known.path == finding.path && known.version_id == finding.version_id
                };
                if !self.result.findings.iter().any(is_known) {
                    self.found(*finding);
                }
            }
        }
        (self.report)(VerifyEvent::Progress(self.result.progress));
        Ok(())
    }

    /// Tell it and write it down.
    pub(crate) fn found(&mut self, finding: Finding) {
        (self.report)(VerifyEvent::Found(&finding));
        self.result.found(finding);
    }

    /// One object's trouble, or the end of the run?
    pub(crate) async fn weigh(&mut self, fault: Fault) -> Result<(), Fatal> {
        match fault.class {
            class if class.ends_reading() => return Err(fault.into()),
            Class::Denied if !self.any_success => return Err(fault.into()),
            class if class.is_destination() => self.failures_in_a_row += 1,
            _ => self.any_success = true,
        }
        self.result.not_looked(fault);
        if self.failures_in_a_row >= FAILURES_IN_A_ROW_MAX {
            self.failures_in_a_row = 0;
            let bucket = &self.request.origin.bucket;
            self.shop.store.reach(bucket).await.map_err(told)?;
        }
        Ok(())
    }
}

/// Which side comes first in key order; `None` when both have ended.
fn first_of(listed: Option<&str>, index: Option<&RelKey>) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering;
    match (listed, index) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(listed), Some(index)) => Some(listed.as_bytes().cmp(index.as_str().as_bytes())),
    }
}
