//! Whose a source's destination is: read, claimed, taken over.
//!
//! Invariants: nothing is sent to a destination, and nothing marked there, before
//! its record is known to name this state folder; a record that names another is
//! replaced only by somebody's word. Of two that claim at once one wins, and the
//! other sees it before it sends anything.

use super::policy::Kind;
use super::{Destination, change, is_not_what_it_was};
use crate::history::{Found as Nested, find};
use crate::manifest::{Claimant, Header, OWNER_BYTES_MAX, Owner, Whose, owner, read};
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::{At, Demand, ObjectHeaders, PAGE_KEYS, Wrote};
use crate::source::{Context, commands};
use crate::types::{Class, ContentHash, ETag, Fault, Fingerprint, ObjectMeta, Origin, chain, time};
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

/// Objects asked whether a Keepwatch wrote them, at a destination without any
/// word of its owner.
const ASKED_MAX: usize = 20;

/// Folders within folders that are searched for destinations of others, where
/// files of somebody are already: as deep as people put prefixes.
const NESTED_DEPTH: usize = 2;

/// What a destination says of its owner.
enum Word {
    /// This one; with the ETag of its record, where there is one.
    Owner(Owner, Option<ETag>),
    /// There is a record that cannot be read.
    Unreadable(String),
    /// Another destination is in use at this prefix, around this one or inside it.
    Overlap(Owner, String),
    /// Nothing.
    Nobody,
}

impl Word {
    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Owner(owner, _) => Some(owner),
            _ => None,
        }
    }
}

/// Find out whose the destination is, and claim it if it is ours or nobody's;
/// `force` takes it from anybody. The caller holds the question.
///
/// # Errors
/// It cannot be found out or claimed now.
pub(crate) async fn settle(ctx: &Arc<Context>, source: usize, force: bool) -> Result<(), Fault> {
    for _ in 0..TRIES {
        let me = claimant(ctx, source).await?;
        let word = word(ctx, source, &me).await?;
        let whose = match &word {
            Word::Overlap(..) => Whose::Others,
            _ if force => Whose::Claimable,
            Word::Unreadable(_) => Whose::Others,
            word if is_displacer(ctx, source, word) => Whose::Others,
            word => me.judge(word.owner()),
        };
        match whose {
            Whose::Ours => {
                let id = word.owner().map(|owner| owner.id.clone());
                return owned(ctx, source, id.unwrap_or_default()).await;
            }
            Whose::Others => return refused(ctx, source, &word).await,
            Whose::Claimable => {
                // Kept before the new record hides it from whoever looks after a kill.
                let is_gone = is_our_record_gone(&me, &word);
                if is_gone {
                    is_not_what_it_was(ctx, source).await?;
                }
                if let Some(id) = claim(ctx, source, &me, &word).await? {
                    owned(ctx, source, id).await?;
                    if is_gone {
                        ctx.scans.ask_whole(source, true);
                    }
                    return Ok(());
                }
            }
        }
    }
    let subject = place(ctx, source);
    let why = "others claim it at the same time";
    Err(Fault::new(Class::Transient, "claim", subject, why).hint("Keepwatch tries again by itself"))
}

/// We have had a record there, and have stored files: nobody takes it away alone.
fn is_our_record_gone(me: &Claimant, found: &Word) -> bool {
    matches!(found, Word::Nobody) && me.knows && !me.ids.is_empty()
}

/// Look whether the record still is the one that we wrote.
///
/// # Errors
/// It cannot be read now.
pub(crate) async fn still(ctx: &Arc<Context>, source: usize, id: &str) -> Result<(), Fault> {
    let settings = &ctx.sources[source].config;
    match record(ctx, &settings.bucket, &settings.prefix).await? {
        Word::Owner(owner, _) if owner.id == id => owned(ctx, source, owner.id).await,
        // Somebody has removed it: whoever may claims it anew.
        Word::Nobody => settle(ctx, source, false).await,
        other => {
            let by = other.owner().map(|owner| owner.id.clone());
            ctx.sources[source].destination.memory().displaced_by = by;
            refused(ctx, source, &other).await
        }
    }
}

/// It took our place while we ran: by its name it may be this very computer (a
/// second Keepwatch with a state folder of its own), and the two would take the
/// destination from each other for ever.
fn is_displacer(ctx: &Context, source: usize, word: &Word) -> bool {
    let by = ctx.sources[source]
        .destination
        .memory()
        .displaced_by
        .clone();
    by.is_some() && by == word.owner().map(|owner| owner.id.clone())
}

/// Who asks, as the configuration and the index have it.
async fn claimant(ctx: &Arc<Context>, source: usize) -> Result<Claimant, Fault> {
    let (ids, knows) = {
        let ctx = Arc::clone(ctx);
        blocking(move || {
            let id = ctx.sources[source].id;
            let ids = ctx.index.source_state_get(id, IDS)?;
            let counts = ctx.index.counts(id);
            Ok((ids, counts.files + counts.links > 0))
        })
        .await?
    };
    let settings = &ctx.sources[source].config;
    Ok(Claimant {
        computer: ctx.computer.clone(),
        source: settings.name.clone(),
        root: settings.path.display().to_string(),
        ids: ids
            .and_then(|ids| serde_json::from_value(ids).ok())
            .unwrap_or_default(),
        knows,
        take_over: settings.take_over.clone(),
    })
}

async fn remember(ctx: &Arc<Context>, source: usize, ids: Vec<String>) -> Result<(), Fault> {
    let ctx = Arc::clone(ctx);
    blocking(move || {
        let id = ctx.sources[source].id;
        ctx.index.source_state_set(id, IDS, &ids.into())?;
        ctx.index.flush()
    })
    .await
}

/// What the destination says of its owner.
async fn word(ctx: &Arc<Context>, source: usize, me: &Claimant) -> Result<Word, Fault> {
    let settings = &ctx.sources[source].config;
    let (bucket, prefix) = (settings.bucket.as_str(), settings.prefix.as_str());
    let own = record(ctx, bucket, prefix).await?;
    if !matches!(own, Word::Nobody) {
        return Ok(own);
    }
    for above in owner::above(prefix) {
        if let Word::Owner(owner, _) = recorded_or_told(ctx, bucket, above).await?
            && me.judge(Some(&owner)) == Whose::Others
        {
            return Ok(Word::Overlap(owner, above.to_owned()));
        }
    }
    let told = told(ctx, bucket, prefix).await?;
    if !matches!(told, Word::Nobody) || me.knows {
        return Ok(told);
    }
    unrecorded(ctx, source, me).await
}

/// What the record at this prefix says.
async fn record(ctx: &Arc<Context>, bucket: &str, prefix: &str) -> Result<Word, Fault> {
    let key = owner::key(prefix);
    let at = At { bucket, key: &key };
    let Some((bytes, etag)) = ctx.store.read_record(at, OWNER_BYTES_MAX).await? else {
        return Ok(Word::Nobody);
    };
    Ok(match Owner::from_json(&bytes) {
        Some(owner) => Word::Owner(owner, Some(etag)),
        None => Word::Unreadable(format!("{bucket}/{key}")),
    })
}

/// What the newest manifest at this prefix says, from times without records.
async fn told(ctx: &Arc<Context>, bucket: &str, prefix: &str) -> Result<Word, Fault> {
    let header = newest_header(ctx, bucket, prefix).await?;
    Ok(header.map_or(Word::Nobody, |header| {
        Word::Owner(Owner::of_manifest(&header), None)
    }))
}

async fn recorded_or_told(ctx: &Arc<Context>, bucket: &str, prefix: &str) -> Result<Word, Fault> {
    match record(ctx, bucket, prefix).await? {
        Word::Nobody => told(ctx, bucket, prefix).await,
        word => Ok(word),
    }
}

async fn newest_header(
    ctx: &Arc<Context>,
    bucket: &str,
    prefix: &str,
) -> Result<Option<Header>, Fault> {
    let origin = Origin {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    let mut stop = Stop::never();
    let all = match read::list(&ctx.store, &origin, &mut stop).await {
        // Who may not look there sees the objects themselves.
        Err(fault) if fault.class == Class::Denied => return Ok(None),
        all => all?,
    };
    let believed = all.iter().rev().filter(|one| !one.is_ahead());
    for one in believed.take(read::PASSED_OVER_MAX) {
        match read::header(&ctx.store, bucket, one, &stop).await {
            Ok(header) => return Ok(Some(header)),
            Err(fault) if fault.class.is_transient() => return Err(fault),
            // A damaged one has an older one behind it.
            Err(_) => {}
        }
    }
    Ok(None)
}

/// There is neither record nor manifest: whether objects of a Keepwatch are there,
/// or destinations of others inside.
async fn unrecorded(ctx: &Arc<Context>, source: usize, me: &Claimant) -> Result<Word, Fault> {
    let settings = &ctx.sources[source].config;
    let (bucket, prefix) = (settings.bucket.as_str(), settings.prefix.as_str());
    let page = ctx.store.list(bucket, prefix, None, PAGE_KEYS).await?;
    if page.items.is_empty() {
        return Ok(Word::Nobody);
    }
    let mut stop = Stop::never();
    let nested = find(&ctx.store, bucket, prefix, NESTED_DEPTH, &mut stop).await;
    let nested = nested.map_err(|fatal| {
        Fault::new(Class::Transient, fatal.operation, "", fatal.cause).hint(fatal.hint)
    })?;
    for nested in nested.found {
        let Nested {
            origin,
            newest,
            owner,
            ..
        } = nested;
        let told = || newest.as_ref().map(Owner::of_manifest);
        let owner = owner.or_else(told).unwrap_or_else(Owner::unknown);
        if origin.prefix != prefix && me.judge(Some(&owner)) == Whose::Others {
            return Ok(Word::Overlap(owner, origin.prefix));
        }
    }
    let ours_or_not = page.items.iter().map(|object| object.key.as_str());
    let keys = ours_or_not.filter(|key| !crate::types::is_own(key));
    for key in keys.take(ASKED_MAX) {
        let head = ctx.store.head(At { bucket, key }, None).await?;
        if head.is_some_and(|head| head.meta.is_ok()) {
            return Ok(Word::Owner(Owner::unknown(), None));
        }
    }
    Ok(Word::Nobody)
}

/// Write our record over what was found. The id it has now; `None` when somebody
/// else was quicker.
async fn claim(
    ctx: &Arc<Context>,
    source: usize,
    me: &Claimant,
    over: &Word,
) -> Result<Option<String>, Fault> {
    let settings = &ctx.sources[source].config;
    let key = owner::key(&settings.prefix);
    let at = At {
        bucket: &settings.bucket,
        key: &key,
    };
    let id = format!("{:032x}", fastrand::u128(..));
    let now_ms = ctx.server_now_ms();
    let body = Bytes::from(
        me.record(id.clone(), now_ms)
            .to_json()
            .map_err(|e| Fault::new(Class::Local, "claim", place(ctx, source), chain(&e)))?,
    );
    let headers = headers(&body, now_ms);
    // Before it is sent: an answer that is lost must not make a stranger of us.
    let mut ids = me.ids.clone();
    ids.push(id.clone());
    remember(ctx, source, ids).await?;
    let demand = match over {
        Word::Owner(_, Some(etag)) => Demand::Still(etag),
        Word::Owner(_, None) | Word::Overlap(..) | Word::Nobody => Demand::Absent,
        Word::Unreadable(_) => Demand::Nothing,
    };
    let mut wrote = ctx
        .store
        .write_record(at, body.clone(), &headers, demand)
        .await?;
    if wrote == Wrote::Refused && is_as_found(ctx, source, over).await? {
        // The server refuses whatever is demanded (Ceph RGW 16.2: quoted ETags).
        wrote = Wrote::Unknown;
    }
    if wrote == Wrote::Refused {
        return Ok(None);
    }
    if wrote == Wrote::Unknown {
        let nothing = Demand::Nothing;
        ctx.store
            .write_record(at, body.clone(), &headers, nothing)
            .await?;
    }
    // There is one now, so a server that keeps to demands refuses this.
    let again = ctx
        .store
        .write_record(at, body, &headers, Demand::Absent)
        .await?;
    if again != Wrote::Refused {
        tokio::time::sleep(REST).await;
    }
    match record(ctx, &settings.bucket, &settings.prefix).await? {
        Word::Owner(now, _) if now.id == id => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// The record is what it was when it was found.
async fn is_as_found(ctx: &Arc<Context>, source: usize, found: &Word) -> Result<bool, Fault> {
    let settings = &ctx.sources[source].config;
    let now = record(ctx, &settings.bucket, &settings.prefix).await?;
    Ok(match (found, &now) {
        (Word::Owner(then, Some(_)), Word::Owner(now, _)) => then.id == now.id,
        (_, Word::Nobody) => true,
        _ => false,
    })
}

fn headers(body: &Bytes, now_ms: i64) -> ObjectHeaders {
    let file = Fingerprint {
        kind: crate::types::Kind::File,
        size_bytes: body.len() as u64,
        mtime_ns: i128::from(now_ms) * 1_000_000,
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

fn place(ctx: &Context, source: usize) -> String {
    let settings = &ctx.sources[source].config;
    format!("{}/{}", settings.bucket, settings.prefix)
}

async fn owned(ctx: &Arc<Context>, source: usize, id: String) -> Result<(), Fault> {
    let was = publish(&ctx.sources[source].destination, Some(Ok(id.clone())));
    let now_ms = ctx.server_now_ms();
    if was != Some(Ok(id.clone())) {
        remember(ctx, source, vec![id]).await?;
        change(ctx, source, |troubles| {
            troubles.set(Kind::OtherOwner, None, now_ms);
        })
        .await;
        // What waited for this may go now.
        ctx.queue.wake();
    }
    if was == Some(Err(())) {
        ctx.scans.ask_whole(source, true);
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
async fn refused(ctx: &Arc<Context>, source: usize, word: &Word) -> Result<(), Fault> {
    publish(&ctx.sources[source].destination, Some(Err(())));
    let settings = &ctx.sources[source].config;
    let at = place(ctx, source);
    let text = match word {
        Word::Unreadable(key) => format!(
            "whose the destination {at} is cannot be read in {key}, so nothing is sent there"
        ),
        Word::Overlap(owner, prefix) => format!(
            "the destination {at} overlaps with {}/{prefix}, which belongs to {}, so nothing is sent there",
            settings.bucket,
            owner.who()
        ),
        Word::Owner(owner, _) => {
            let seen = last_seen(ctx, &settings.bucket, &settings.prefix).await;
            format!(
                "the destination {at} belongs to {}{seen}, so nothing is sent there: two computers in one place would mark each other's files as deleted",
                owner.who()
            )
        }
        Word::Nobody => format!("whose the destination {at} is, is not known"),
    };
    let program = commands::program(ctx);
    let remedy = match word {
        Word::Overlap(_, prefix) => format!(
            "give this source a bucket or prefix of its own. If nobody uses that other place any more, remove {} from the bucket",
            owner::key(prefix)
        ),
        _ => format!(
            "if that computer is still in use, give this source a bucket or prefix of its own. If it is gone and this one takes its place: restore first (docs/RECOVERY.md), then {program} --reconcile --take-over"
        ),
    };
    let now_ms = ctx.server_now_ms();
    change(ctx, source, |troubles| {
        troubles.set(Kind::OtherOwner, Some((text, remedy)), now_ms);
    })
    .await;
    Ok(())
}

/// When the owner last compared everything, as the manifests say.
async fn last_seen(ctx: &Arc<Context>, bucket: &str, prefix: &str) -> String {
    match newest_header(ctx, bucket, prefix).await {
        Ok(Some(header)) => {
            let zone = &ctx.config.schedule.time_zone;
            format!(", last seen {}", time(header.moment_ms, zone))
        }
        // It is no reason to be silent about the rest.
        Ok(None) | Err(_) => String::new(),
    }
}
