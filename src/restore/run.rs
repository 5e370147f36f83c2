//! The run: the timeline feeds a few workers, files first, links and folders last.
//!
//! Links come last so that none can be in the way of a file, and so that a
//! link that leads elsewhere is never written through. What is put off until
//! then is bounded; beyond that, the listing is read a second time.

use super::request::{Pass, Request};
use super::{folders, manifest_check, object, room};
use crate::types::command;

use super::arrival::{Budget, RANGE_BYTES};
use super::folders::Folders;
use super::large::LARGE_AT_ONCE;
use super::later::{Later, can_be_put_off};
use super::shop::{Outcome, Shop};
use super::stale::Stale;
use super::survey::Survey;
use super::tally::{Event, Restored, Tally};
use super::thawing::Waiting;
use crate::history::{Chosen, Timeline};
use crate::retry::{Stop, told};
use crate::s3::Store;
use crate::types::{Class, Fatal, Fault, Kind, chain};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// More workers gain nothing on any line; each takes a connection, and a file
/// and one of the process's blocking threads now and then.
const WORKERS_MAX: usize = 128;

/// Links and folders that are put off; at 300 bytes each, some 6 MB.
const LATER_MAX: usize = 20_000;

/// Objects that fail in a row because the server does, before it is asked
/// whether it is there at all: as many as one short outage meets at once. If it
/// answers, the run goes on.
const FAILURES_IN_A_ROW_MAX: u32 = 32;

/// Bring what was current at the moment into the target. Files that are there
/// already and the same are not downloaded again, so a run that was cut short
/// is simply repeated.
///
/// # Errors
/// [`Fatal`] when nothing more can be had: credentials, bucket, listing, or a
/// server that is gone; and when told to stop. What fails for single files is
/// in [`Restored`].
pub async fn restore(
    store: &Store,
    request: Request,
    report: impl Fn(Event<'_>) + Send + Sync + 'static,
    stop: &Stop,
) -> Result<Restored, Fatal> {
    let mut request = request;
    let survey = match request.survey.take() {
        Some(survey) => survey,
        None => crate::restore::survey::survey(store, &request, &report, stop).await?,
    };
    if !request.options.ignore_space {
        Survey::fits(std::slice::from_ref(&survey), request.target.path())?;
    }
    // The workers' own: they also end when the run does for another reason.
    let (end, ended) = watch::channel(false);
    let shop = Arc::new(Shop {
        store: store.clone(),
        origin: request.origin,
        selector: request.selector,
        target: request.target,
        options: request.options,
        tally: Arc::new(Tally::new(Box::new(report))),
        stop: Stop::new(ended),
        budget: Budget::default(),
        large: Semaphore::new(LARGE_AT_ONCE),
        is_fresh: survey.is_fresh,
        folders: Folders::default(),
        at_ms: request.at_ms,
        stale: Stale::default(),
    });
    shop.tally.expect(survey.objects, survey.stored_bytes);
    let mut run = Run {
        workers: JoinSet::new(),
        later: Later::default(),
        waiting: Waiting::default(),
        failures_in_a_row: 0,
        refused_in_a_row: 0,
        any_success: false,
        shop,
    };
    let mut stop = stop.clone();
    let request_at_ms = request.at_ms;
    let done = tokio::select! {
        done = run.all(request.at_ms, survey) => done,
        () = stop.asked() => Err(Fatal::interrupted("restore everything")),
    };
    // However it ended: nobody writes, and no half file is left, when this returns.
    end.send_replace(true);
    while run.workers.join_next().await.is_some() {}
    let first_ms = done?;
    let shop = run.shop;
    Box::pin(manifest_check::finish(&shop, request_at_ms, &mut stop)).await?;
    folders::close(&shop).await;
    let target = shop.target.clone();
    let synced = tokio::task::spawn_blocking(move || target.sync())
        .await
        .map_err(|e| Fatal::new("finish the restore", chain(&e), ""))?;
    if let Err(fault) = synced {
        shop.tally.failed(fault);
    }
    Ok(Restored {
        unmatched: shop.selector.unmatched(),
        first_ms,
        ..shop.tally.result()
    })
}

pub(crate) struct Run {
    pub(crate) shop: Arc<Shop>,
    workers: JoinSet<(Chosen, Pass, Result<Outcome, Fault>)>,
    later: Later,
    pub(crate) waiting: Waiting,
    failures_in_a_row: u32,
    /// Files that the disk refused.
    refused_in_a_row: u32,
    any_success: bool,
}

impl Run {
    /// Both passes; gives when the earliest version was stored.
    async fn all(&mut self, at_ms: Option<i64>, survey: Survey) -> Result<Option<i64>, Fatal> {
        let first_ms = match survey.kept {
            Some(kept) => {
                self.remark(survey.remarks);
                for chosen in kept {
                    self.hand_out(chosen, Pass::Files).await?;
                }
                self.finish().await?;
                survey.first_ms
            }
            None => self.files(at_ms).await?,
        };
        self.wait_for_thawing(Pass::Files).await?;
        self.links_and_folders(at_ms).await?;
        self.wait_for_thawing(Pass::LinksAndFolders).await?;
        Ok(first_ms)
    }

    async fn files(&mut self, at_ms: Option<i64>) -> Result<Option<i64>, Fatal> {
        let shop = self.shop.clone();
        let mut timeline = Timeline::new(&shop.store, &shop.origin, &shop.selector, at_ms);
        let mut stop = shop.stop.clone();
        let mut page = 0;
        while let Some(chosen) = timeline.next(&mut stop).await? {
            if !timeline.is_in_order() {
                if self.shop.options.overwrite {
                    return Err(self.out_of_order().into());
                }
                // What was named before has the better claim to its name.
                if timeline.pages() != page {
                    page = timeline.pages();
                    self.finish().await?;
                }
            }
            self.hand_out(chosen, Pass::Files).await?;
            self.unsure(timeline.take_unsure()).await?;
        }
        self.unsure(timeline.take_unsure()).await?;
        self.remark(timeline.take_remarks());
        self.finish().await?;
        if !timeline.is_in_order() {
            self.shop.tally.failed(self.out_of_order());
        }
        Ok(timeline.first_ms())
    }

    fn remark(&self, remarks: Vec<Fault>) {
        let tally = &self.shop.tally;
        remarks
            .into_iter()
            .for_each(|remark| tally.remarked(remark));
    }

    /// Files of which nobody could say what they were: named like what failed.
    async fn unsure(&mut self, faults: Vec<Fault>) -> Result<(), Fatal> {
        for fault in faults {
            self.weigh(fault).await?;
        }
        Ok(())
    }

    async fn links_and_folders(&mut self, at_ms: Option<i64>) -> Result<(), Fatal> {
        let Later {
            mut known,
            beyond,
            any_size,
        } = std::mem::take(&mut self.later);
        // From the end, so that a folder comes after what is in it.
        known.sort_by(|a, b| b.key.cmp(&a.key));
        for chosen in known {
            self.hand_out(chosen, Pass::LinksAndFolders).await?;
        }
        self.finish().await?;
        let Some(beyond) = beyond else {
            return Ok(());
        };
        let shop = self.shop.clone();
        let mut timeline = Timeline::new(&shop.store, &shop.origin, &shop.selector, at_ms);
        let mut stop = shop.stop.clone();
        while let Some(chosen) = timeline.next(&mut stop).await? {
            if chosen.key >= beyond && (any_size || can_be_put_off(&chosen)) {
                self.hand_out(chosen, Pass::LinksAndFolders).await?;
            }
            self.unsure(timeline.take_unsure()).await?;
        }
        self.unsure(timeline.take_unsure()).await?;
        self.finish().await?;
        if !timeline.is_in_order() {
            self.shop.tally.failed(self.out_of_order());
        }
        Ok(())
    }

    /// The list may give an older version of a key after its newest. What is
    /// free is written all the same, since a doubtful copy is better than none;
    /// nothing is replaced by one.
    fn out_of_order(&self) -> Fault {
        Fault::new(
            Class::Refused,
            "be sure to restore the newest version of every file in",
            &self.shop.origin.bucket,
            "the server does not list its keys in order",
        )
        .hint(format!(
            "compare what came back with `{}`, and tell your technician",
            command::on_copies("versions FILE")
        ))
    }

    /// Give an object to a worker as soon as one is free.
    pub(crate) async fn hand_out(&mut self, chosen: Chosen, pass: Pass) -> Result<(), Fatal> {
        let workers_max = self.shop.options.workers.clamp(1, WORKERS_MAX);
        while self.workers.len() >= workers_max {
            self.take_in().await?;
        }
        let shop = self.shop.clone();
        self.workers.spawn(async move {
            let done = object::bring(&shop, &chosen, pass).await;
            (chosen, pass, done)
        });
        Ok(())
    }

    pub(crate) async fn finish(&mut self) -> Result<(), Fatal> {
        while !self.workers.is_empty() {
            self.take_in().await?;
        }
        Ok(())
    }

    /// Wait for one worker and write down what it did.
    async fn take_in(&mut self) -> Result<(), Fatal> {
        let Some(joined) = self.workers.join_next().await else {
            return Ok(());
        };
        let (chosen, pass, done) = joined.map_err(|e| Fatal::new("restore", chain(&e), ""))?;
        self.count_work(&chosen, pass, &done);
        match done {
            Ok(outcome) => {
                self.failures_in_a_row = 0;
                self.refused_in_a_row = 0;
                self.any_success = true;
                self.write_down(chosen, outcome);
                Ok(())
            }
            Err(fault) => self.weigh(fault).await,
        }
    }

    /// For the time that is left.
    fn count_work(&self, chosen: &Chosen, pass: Pass, done: &Result<Outcome, Fault>) {
        let is_counted = match done {
            Ok(Outcome::Later | Outcome::Thawing(_)) => false,
            // Its turn was the first time.
            Ok(Outcome::Passed) => pass == Pass::Files,
            _ => true,
        };
        if is_counted {
            let came_by_ranges = chosen.stored_bytes > RANGE_BYTES
                && matches!(done, Ok(Outcome::Written { .. }) | Err(_));
            let bytes = if came_by_ranges {
                0
            } else {
                chosen.stored_bytes
            };
            let was_found = matches!(done, Ok(Outcome::Identical | Outcome::Kept(_)));
            self.shop.tally.object_done(bytes, was_found);
        }
    }

    fn write_down(&mut self, mut chosen: Chosen, outcome: Outcome) {
        let tally = &self.shop.tally;
        match outcome {
            Outcome::Written {
                kind,
                bytes,
                left_out,
                unrested,
            } => {
                tally.note(|all| {
                    match kind {
                        Kind::Symlink => all.links += 1,
                        Kind::Folder => all.folders += 1,
                        Kind::File | Kind::Special => {
                            all.files += 1;
                            all.bytes += bytes;
                        }
                    }
                    all.newest_ms = all.newest_ms.max(Some(chosen.modified_ms));
                    if let Some(path) = unrested {
                        all.unrested.push(path);
                    }
                });
                if let Some(fault) = left_out {
                    tally.left_out(fault);
                }
            }
            Outcome::Identical => tally.note(|all| {
                all.identical += 1;
                all.newest_ms = all.newest_ms.max(Some(chosen.modified_ms));
            }),
            Outcome::Kept(fault) => tally.already_there(fault),
            Outcome::Thawing(fault) => self.put_by(chosen, fault),
            Outcome::Covered(outcome, covered) => {
                chosen.modified_ms = covered.stored_at_ms;
                tally.covered(covered);
                self.write_down(chosen, *outcome);
            }
            Outcome::Foreign => tally.note(|all| all.skipped_foreign += 1),
            Outcome::Later => self.later.put_off(chosen, LATER_MAX),
            Outcome::Passed => {}
        }
    }

    /// One file's failure, or the end of the run?
    async fn weigh(&mut self, fault: Fault) -> Result<(), Fatal> {
        match fault.class {
            class if class.ends_reading() => return Err(fault.into()),
            // Some single objects may be locked away; all of them is a matter of the key.
            Class::Denied if !self.any_success => return Err(fault.into()),
            _ if fault.is_of_the_disk() => {
                self.refused_in_a_row += 1;
                let (shop, refused, asked) =
                    (self.shop.clone(), self.refused_in_a_row, fault.clone());
                let is_over = move || room::is_over(&shop, refused, &asked);
                let over = tokio::task::spawn_blocking(is_over).await;
                if let Some(over) = over.map_err(|e| Fatal::new("restore", chain(&e), ""))? {
                    return Err(over);
                }
            }
            class if class.is_destination() => self.failures_in_a_row += 1,
            _ => self.any_success = true,
        }
        self.shop.tally.failed(fault);
        if self.failures_in_a_row >= FAILURES_IN_A_ROW_MAX {
            self.failures_in_a_row = 0;
            let bucket = &self.shop.origin.bucket;
            self.shop.store.reach(bucket).await.map_err(told)?;
        }
        Ok(())
    }
}
