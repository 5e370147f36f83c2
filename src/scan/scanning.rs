//! Scans one source whenever that is asked for, and reports each scan.

use super::scanner::Scanner;
use super::{known, listing, merge};
use crate::destination;
use crate::os::blocking::blocking;
use crate::source::SourceRuntime;
use crate::status::{Event, LiveStatus, ScanDone};
use crate::types::{Fault, RelKey, RelPath, text};
use crate::work::{Lane, Whole};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long until a failed comparison with the bucket is tried again.
const RETRY: Duration = Duration::from_secs(60);

impl Scanner {
    /// Scan the source whenever that is asked for, until told to stop. New folders do not
    /// wait for the scan of the whole source, which may take days.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        // A running scan stops at the next file, also when this future is dropped.
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        tokio::select! {
            () = self.scan_wholes(&cancel.0) => {}
            () = self.scan_parts(&cancel.0) => {}
            _ = stop.changed() => {}
        }
    }

    async fn scan_wholes(&self, cancelled: &Arc<AtomicBool>) {
        let work = &self.source.work;
        loop {
            let asked = work.scans.take_whole().await;
            let done = whole(self, &asked, cancelled).await;
            work.scans.looked_everywhere();
            // A deferred path may come now.
            work.queue.wake();
            for waiting in asked.waiting {
                // Whoever asked may have given up.
                let _ = waiting.send(done.clone());
            }
        }
    }

    async fn scan_parts(&self, cancelled: &Arc<AtomicBool>) {
        let work = &self.source.work;
        loop {
            for subtree in work.scans.take_subtrees().await {
                if let Err(fault) = part(self, subtree, cancelled).await {
                    tracing::error!(source = %self.source.name(), "{fault}");
                    // What this scan missed must not wait until tomorrow.
                    work.scans.lost_news();
                    work.scans.ask_later();
                }
            }
            work.scans.looked();
            // A deferred path may come now.
            work.queue.wake();
        }
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn whole(scanner: &Scanner, asked: &Whole, cancelled: &Arc<AtomicBool>) -> ScanDone {
    let source = &scanner.source;
    let with_bucket = asked.with_bucket;
    let unanswered = destination::look(&source.destination).await;
    source.status.update(|board| board.scanning = Some(0));
    let started_ms = scanner.clock.now_ms();
    let links = source.links.begin();
    let ours = match source.destination.is_known_ours() {
        true => Ok(()),
        false => Err(unanswered),
    };
    let mut done = match source.destination.may_send() {
        true => compare(scanner, asked, ours, cancelled).await,
        // The bucket holds another computer's backup, which says nothing of this folder.
        false => ScanDone {
            incomplete: destination::troubles(&source.destination)
                .into_iter()
                .map(|trouble| trouble.text)
                .collect(),
            ..ScanDone::default()
        },
    };
    if done.complete() {
        source.links.forget_before(source.id, links);
        if done.gone == 0 {
            destination::may_be_marked(&source.destination).await;
        }
    }
    done.started_ms = started_ms;
    done.took_ms = scanner.clock.now_ms() - started_ms;
    done.with_bucket = with_bucket;
    if done.listed_whole {
        compared(scanner).await;
    }
    log_scan(source, &done);
    show_scan(&source.status, &done);
    // Another computer's is compared once it has become ours.
    let unsure = source.destination.may_send() && !source.comparison.is_done();
    if with_bucket && unsure && !cancelled.load(Ordering::Relaxed) {
        ask_again(scanner);
    }
    done
}

fn log_scan(source: &SourceRuntime, done: &ScanDone) {
    let known = source.status.snapshot().warnings;
    let source = source.name();
    tracing::info!(
        source = %source,
        files = done.files,
        folders = done.folders,
        examined = done.examined,
        with_bucket = done.with_bucket,
        took_ms = done.took_ms,
        complete = done.complete(),
        "folder scanned"
    );
    for reason in &done.incomplete {
        match known.values().any(|text| text == reason) {
            // It stands in the log already.
            true => tracing::debug!(source = %source, "the scan is not complete: {reason}"),
            false => tracing::warn!(source = %source, "the scan is not complete: {reason}"),
        }
    }
}

/// Show in the status what a scan has found.
fn show_scan(status: &LiveStatus, done: &ScanDone) {
    let special = (done.special > 0).then(|| {
        format!(
            "{} left out: sockets, pipes and devices have no content to back up",
            text::counted(
                done.special,
                "special file",
                ["in the folder is", "in the folder are"]
            )
        )
    });
    status.warn("special", special);
    status.note(
        "linked",
        (done.linked > 0).then(|| linked_note(done.linked)),
    );
    let foreign = (done.foreign > 0).then(|| {
        format!(
            "{} left alone",
            text::counted(
                done.foreign,
                "object",
                [
                    "in the bucket was not written by Keepwatch and is",
                    "in the bucket were not written by Keepwatch and are",
                ]
            )
        )
    });
    if done.with_bucket {
        status.warn("foreign", foreign);
    }
    status.update(|board| {
        board.scanning = None;
        board.last_scan = Some(done.clone());
    });
    status.tell(Event::Scanned {
        source: status.name(),
        scan: done.clone(),
    });
}

/// What is said of files that have several names.
fn linked_note(names: u64) -> String {
    let (who, each) = match names {
        1 => ("1 name belongs to a file that has".to_owned(), "it"),
        _ => (
            format!("{} names belong to files that have", text::number(names)),
            "each",
        ),
    };
    format!(
        "{who} more than one name (hard links): {each} is backed up, and comes back, as a file of its own"
    )
}

/// Why a bucket was not compared that does not say whose it is, and what to do.
fn untold(place: &str, why: Option<&Fault>) -> String {
    let text =
        format!("{place} was not compared: it does not say whether it belongs to this computer");
    let Some(fault) = why else {
        return text;
    };
    let text = format!("{text}: {}", fault.reason());
    match fault.hint.as_str() {
        "" => text,
        hint => format!("{text} (what to do: {hint})"),
    }
}

/// Compare disk and index, and the bucket if that is asked for and the bucket is known to
/// be this folder's (`ours`; else why that is not known, if a fault says it).
async fn compare(
    scanner: &Scanner,
    asked: &Whole,
    ours: Result<(), Option<Fault>>,
    cancelled: &Arc<AtomicBool>,
) -> ScanDone {
    let with_bucket = asked.with_bucket && ours.is_ok();
    if with_bucket {
        look_again(scanner).await;
    }
    let is_new = !scanner.source.comparison.is_done();
    let known = match with_bucket && is_new {
        true => known::start(&scanner.source, &scanner.index, &scanner.store).await,
        false => None,
    };
    // The listing may miss what is stored from here on.
    let started_ms = scanner.clock.now_ms();
    let listing = with_bucket.then(|| listing::start(&scanner.source, &scanner.store));
    let work = merge::Work {
        scanner: scanner.clone(),
        subtree: RelPath::root(),
        listing,
        known,
        started_ms,
        lane: Lane::Backlog,
        confirmed: asked.confirmed,
        cancelled: Arc::clone(cancelled),
    };
    let runtime = tokio::runtime::Handle::current();
    match blocking(move || merge::merge(work, &runtime)).await {
        Ok(mut done) => {
            if let (true, Err(why)) = (asked.with_bucket, &ours) {
                let place = destination::place_name(&scanner.source.destination);
                done.incomplete.push(untold(&place, why.as_ref()));
            }
            done
        }
        Err(fault) => {
            // Otherwise the next scan would be tomorrow's.
            scanner.source.work.scans.ask_later();
            ScanDone {
                has_no_root: fault.is_of_the_root(),
                incomplete: vec![fault.to_string()],
                ..ScanDone::default()
            }
        }
    }
}

/// Unprotected paths that a comparison looks at again; the others have their own next try
/// within the hour.
const AGAIN_MAX: usize = 10_000;

/// Try again now what failed before, whenever its next try is due: whoever asks for a
/// comparison wants to know how things are.
async fn look_again(scanner: &Scanner) {
    let unprotected = {
        let (index, id) = (scanner.index.clone(), scanner.source.id);
        blocking(move || index.unprotected(id, AGAIN_MAX)).await
    };
    match unprotected {
        Ok((paths, _)) => {
            for (key, _) in paths {
                let now_ms = scanner.clock.monotonic_ms();
                scanner
                    .source
                    .work
                    .queue
                    .push_backlog(key.path(), now_ms)
                    .await;
            }
        }
        Err(fault) => tracing::error!("{fault}"),
    }
}

/// Ask again after a while, for ever: the bucket could not be compared.
fn ask_again(scanner: &Scanner) {
    let work = scanner.source.work.clone();
    tokio::spawn(async move {
        tokio::time::sleep(RETRY).await;
        if !work.queue.is_closed() {
            work.scans.ask_whole(true);
        }
    });
}

/// Remember that index and bucket have been compared.
async fn compared(scanner: &Scanner) {
    if let Err(fault) = scanner.source.comparison.remember().await {
        tracing::error!("{fault}");
    }
    destination::is_compared(&scanner.source.destination).await;
}

/// Scan one new folder or path, in the lane of edits.
async fn part(
    scanner: &Scanner,
    subtree: RelPath,
    cancelled: &Arc<AtomicBool>,
) -> Result<(), Fault> {
    if !scanner.source.destination.may_send() {
        return Ok(());
    }
    let work = merge::Work {
        scanner: scanner.clone(),
        subtree: subtree.clone(),
        listing: None,
        known: None,
        started_ms: scanner.clock.now_ms(),
        lane: Lane::Edit,
        confirmed: false,
        cancelled: Arc::clone(cancelled),
    };
    let runtime = tokio::runtime::Handle::current();
    let done = blocking(move || {
        // The path itself may have been a file until now.
        let Scanner {
            source,
            index,
            clock,
            ..
        } = &work.scanner;
        if index.get(source.id, &RelKey::of_file(&subtree))?.is_some() {
            source.work.edit(subtree, clock.monotonic_ms(), false);
        }
        merge::merge(work, &runtime)
    })
    .await?;
    for reason in &done.incomplete {
        tracing::warn!(source = %scanner.source.config.name, "the scan is not complete: {reason}");
    }
    Ok(())
}
