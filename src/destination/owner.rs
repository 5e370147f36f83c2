//! Whose a source's destination is: read, claimed, taken over.
//!
//! Invariants: nothing is sent to a destination, and nothing marked there, before
//! its record is known to name this state folder; a record that names another is
//! replaced only by somebody's word. Of two that claim at once one wins, and the
//! other sees it before it sends anything.

use super::known::Destination;
use super::policy::Kind;
use super::record::{FoundOwner, found_owner, newest_header, record};
use super::trouble::change;
use crate::files;
use crate::files::Pulse;
use crate::mail::commands;
use crate::manifest::{Claimant, Whose, owner};
use crate::os::blocking::blocking;
use crate::s3::{At, ObjectHeaders, Precondition, Wrote};
use crate::types::{Class, ContentHash, Fault, Fingerprint, ObjectMeta, WallMs, chain, time};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Under which name the index remembers the ids of a source's record.
const IDS: &str = "owner";

/// Tries to claim: each fails only because somebody else claims as well.
const TRIES: u32 = 3;

/// How long a claim rests before it counts, where the server lets everybody
/// overwrite what is there: longer than a request and its repetition take that was
/// begun before ours was seen.
const REST: Duration = Duration::from_secs(3);

/// What this computer wrote there last is there no more, whoever took it away: whatever
/// else was believed to be there is compared, from this moment on and after a restart.
async fn is_not_what_it_was(destination: &Arc<Destination>) -> Result<(), Fault> {
    destination.comparison.forget().await?;
    let bucket = &destination.source.bucket;
    let text = format!(
        "the bucket {bucket} no longer has what this computer wrote there to know it again: it was emptied or made again, and whatever else it had may be gone as well"
    );
    let remedy = "nothing for the files that are on disk: everything is compared with the bucket and sent again where it is missing. Earlier versions and deleted files may be gone: ask whoever runs the server".to_owned();
    let now_ms = destination.clock.server_now_ms();
    change(destination, |troubles| {
        troubles.set(Kind::Emptied, Some((text, remedy)), now_ms);
    })
    .await;
    Ok(())
}

/// Find out whose the destination is, and claim it if it is ours or nobody's;
/// `force` takes it from anybody. The caller holds the question.
///
/// # Errors
/// It cannot be found out or claimed now.
pub(super) async fn settle(destination: &Arc<Destination>, force: bool) -> Result<(), Fault> {
    if destination.memory().awaits_folder {
        // No server is asked again before it is there.
        see_folder(destination).await?;
    }
    for _ in 0..TRIES {
        let me = claimant(destination).await?;
        let word = found_owner(destination, &me).await?;
        let whose = match &word {
            FoundOwner::Overlap(..) => Whose::Others,
            _ if force => Whose::Claimable,
            FoundOwner::Unreadable(_) => Whose::Others,
            word if is_displacer(destination, word) => Whose::Others,
            word => me.judge(word.owner()),
        };
        match whose {
            Whose::Ours => {
                let id = word.owner().map(|owner| owner.id.clone());
                return owned(destination, id.unwrap_or_default()).await;
            }
            Whose::Others => return refused(destination, &word).await,
            Whose::Claimable => {
                // Kept before the new record hides it from whoever looks after a kill.
                let is_gone = is_our_record_gone(&me, &word);
                if is_gone {
                    is_not_what_it_was(destination).await?;
                } else {
                    see_folder(destination).await?;
                }
                if let Some(id) = claim(destination, &me, &word).await? {
                    owned(destination, id).await?;
                    if is_gone {
                        destination.work.scans.ask_whole(true);
                    }
                    return Ok(());
                }
            }
        }
    }
    let subject = destination.name();
    let why = "others claim it at the same time";
    Err(Fault::new(Class::Transient, "claim", subject, why).hint("Keepwatch tries again by itself"))
}

/// Nothing is claimed for a folder that nobody has seen: its path may be mistyped, and the
/// record would name it for good.
async fn see_folder(destination: &Arc<Destination>) -> Result<(), Fault> {
    let watchdog = &destination.watchdog;
    if !watchdog.may_work() {
        return Err(watchdog.no_answer());
    }
    let root = destination.source.path.clone();
    let look = move || files::root_state(&root);
    let seen = watchdog.run(&Pulse::default(), look).await;
    destination.memory().awaits_folder = seen.is_err();
    seen.map(|_| ())
}

/// We have had a record there, and have stored files: nobody takes it away alone.
fn is_our_record_gone(me: &Claimant, found: &FoundOwner) -> bool {
    matches!(found, FoundOwner::Nobody) && me.knows && !me.ids.is_empty()
}

/// Look whether the record still is the one that we wrote.
///
/// # Errors
/// It cannot be read now.
pub(super) async fn still(destination: &Arc<Destination>, id: &str) -> Result<(), Fault> {
    let settings = &destination.source;
    match record(&destination.store, &settings.bucket, &settings.prefix).await? {
        FoundOwner::Owner(owner, _) if owner.id == id => owned(destination, owner.id).await,
        // Somebody has removed it: whoever may claims it anew.
        FoundOwner::Nobody => settle(destination, false).await,
        other => {
            let by = other.owner().map(|owner| owner.id.clone());
            destination.memory().displaced_by = by;
            refused(destination, &other).await
        }
    }
}

/// It took our place while we ran: by its name it may be this very computer (a
/// second Keepwatch with a state folder of its own), and the two would take the
/// destination from each other for ever.
fn is_displacer(destination: &Destination, word: &FoundOwner) -> bool {
    let by = destination.memory().displaced_by.clone();
    by.is_some() && by == word.owner().map(|owner| owner.id.clone())
}

/// Who asks, as the configuration and the index have it.
async fn claimant(destination: &Arc<Destination>) -> Result<Claimant, Fault> {
    let (ids, knows) = {
        let destination = Arc::clone(destination);
        blocking(move || {
            let id = destination.id;
            let ids = destination.index.source_state_get(id, IDS)?;
            let counts = destination.index.counts(id);
            Ok((ids, counts.files + counts.links > 0))
        })
        .await?
    };
    let settings = &destination.source;
    Ok(Claimant {
        computer: destination.computer.clone(),
        source: settings.name.clone(),
        root: settings.path.display().to_string(),
        ids: ids
            .and_then(|ids| serde_json::from_value(ids).ok())
            .unwrap_or_default(),
        knows,
        take_over: settings.take_over.clone(),
    })
}

async fn remember(destination: &Arc<Destination>, ids: Vec<String>) -> Result<(), Fault> {
    let destination = Arc::clone(destination);
    blocking(move || {
        let id = destination.id;
        destination.index.source_state_set(id, IDS, &ids.into())?;
        destination.index.flush()
    })
    .await
}

/// Write our record over what was found. The id it has now; `None` when somebody
/// else was quicker.
async fn claim(
    destination: &Arc<Destination>,
    me: &Claimant,
    over: &FoundOwner,
) -> Result<Option<String>, Fault> {
    let settings = &destination.source;
    let key = owner::key(&settings.prefix);
    let at = At {
        bucket: &settings.bucket,
        key: &key,
    };
    let id = format!("{:032x}", fastrand::u128(..));
    let now_ms = destination.clock.server_now_ms();
    let body = Bytes::from(
        me.record(id.clone(), now_ms)
            .to_json()
            .map_err(|e| Fault::new(Class::Local, "claim", destination.name(), chain(&e)))?,
    );
    let headers = headers(&body, now_ms);
    // Before it is sent: an answer that is lost must not make a stranger of us.
    let mut ids = me.ids.clone();
    ids.push(id.clone());
    remember(destination, ids).await?;
    if !write_over(destination, at, &body, &headers, over).await? {
        return Ok(None);
    }
    // There is one now, so a server that keeps to preconditions refuses this.
    let again = destination
        .store
        .write_record(at, body, &headers, Precondition::Absent)
        .await?;
    if again != Wrote::PreconditionFailed {
        tokio::time::sleep(REST).await;
    }
    match record(&destination.store, &settings.bucket, &settings.prefix).await? {
        FoundOwner::Owner(now, _) if now.id == id => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// Write the record where `over` was found. False when something else stands there by now.
async fn write_over(
    destination: &Arc<Destination>,
    at: At<'_>,
    body: &Bytes,
    headers: &ObjectHeaders,
    over: &FoundOwner,
) -> Result<bool, Fault> {
    let precondition = match over {
        FoundOwner::Owner(_, Some(etag)) => Precondition::Unchanged(etag),
        FoundOwner::Owner(_, None) | FoundOwner::Overlap(..) | FoundOwner::Nobody => {
            Precondition::Absent
        }
        FoundOwner::Unreadable(_) => Precondition::Always,
    };
    let write = |precondition| {
        let store = &destination.store;
        store.write_record(at, body.clone(), headers, precondition)
    };
    match write(precondition).await? {
        // A server that refuses every precondition (Ceph RGW 16.2: quoted ETags).
        Wrote::PreconditionFailed if !is_as_found(destination, over).await? => return Ok(false),
        Wrote::PreconditionFailed | Wrote::Unsupported => {
            write(Precondition::Always).await?;
        }
        Wrote::Done => {}
    }
    Ok(true)
}

/// The record is what it was when it was found.
async fn is_as_found(destination: &Arc<Destination>, found: &FoundOwner) -> Result<bool, Fault> {
    let settings = &destination.source;
    let now = record(&destination.store, &settings.bucket, &settings.prefix).await?;
    Ok(match (found, &now) {
        (FoundOwner::Owner(then, Some(_)), FoundOwner::Owner(now, _)) => then.id == now.id,
        (_, FoundOwner::Nobody) => true,
        _ => false,
    })
}

fn headers(body: &Bytes, now_ms: WallMs) -> ObjectHeaders {
    let file = Fingerprint {
        kind: crate::types::Kind::File,
        size_bytes: body.len() as u64,
        mtime_ns: i128::from(now_ms.0) * 1_000_000,
        ctime_ns: 0,
        inode: 0,
        mode: 0o600,
        owner: None,
    };
    ObjectHeaders {
        meta: ObjectMeta::of(&file, Some(ContentHash::of(body))),
        gzip: false,
        content_type: Some("application/json"),
    }
}

async fn owned(destination: &Arc<Destination>, id: String) -> Result<(), Fault> {
    let was = publish(destination, Some(Ok(id.clone())));
    let now_ms = destination.clock.server_now_ms();
    if was != Some(Ok(id.clone())) {
        remember(destination, vec![id]).await?;
        change(destination, |troubles| {
            troubles.set(Kind::OtherOwner, None, now_ms);
        })
        .await;
        // What waited for this may go now.
        destination.work.queue.wake();
    }
    if was == Some(Err(())) {
        destination.work.scans.ask_whole(true);
    }
    Ok(())
}

/// What is known of the owner: our id, somebody else, or nothing. Gives what was.
fn publish(
    destination: &Destination,
    now: Option<Result<String, ()>>,
) -> Option<Result<String, ()>> {
    std::mem::replace(&mut destination.memory().owner, now)
}

/// Say whose it is and what to do; send nothing there.
async fn refused(destination: &Arc<Destination>, word: &FoundOwner) -> Result<(), Fault> {
    publish(destination, Some(Err(())));
    let settings = &destination.source;
    let at = destination.name();
    let text = match word {
        FoundOwner::Unreadable(key) => format!(
            "whose the destination {at} is cannot be read in {key}, so nothing is sent there"
        ),
        FoundOwner::Overlap(owner, prefix) => format!(
            "the destination {at} overlaps with {}/{prefix}, which belongs to {}, so nothing is sent there",
            settings.bucket,
            owner.who()
        ),
        FoundOwner::Owner(owner, _) => {
            let seen = last_seen(destination).await;
            format!(
                "the destination {at} belongs to {}{seen}, so nothing is sent there: two computers in one place would mark each other's files as deleted",
                owner.who()
            )
        }
        FoundOwner::Nobody => format!("whose the destination {at} is, is not known"),
    };
    let program = commands::program(&destination.config);
    let remedy = match word {
        FoundOwner::Overlap(_, prefix) => format!(
            "give this source a bucket or prefix of its own. If nobody uses that other place any more, remove {} from the bucket",
            owner::key(prefix)
        ),
        _ => format!(
            "if that computer is still in use, give this source a bucket or prefix of its own. If it is gone and this one takes its place: restore first (docs/RECOVERY.md), then {program} --reconcile --take-over"
        ),
    };
    let now_ms = destination.clock.server_now_ms();
    change(destination, |troubles| {
        troubles.set(Kind::OtherOwner, Some((text, remedy)), now_ms);
    })
    .await;
    Ok(())
}

/// When the owner last compared everything, as the manifests say.
async fn last_seen(destination: &Destination) -> String {
    let (bucket, prefix) = destination.place();
    match newest_header(&destination.store, bucket, prefix).await {
        Ok(Some(header)) => {
            let zone = &destination.config.schedule.time_zone;
            format!(", last seen {}", time(header.moment_ms, zone))
        }
        // It is no reason to be silent about the rest.
        Ok(None) | Err(_) => String::new(),
    }
}
