//! What a destination says of its owner: by its record, or by what else is there.

use super::known::Destination;
use crate::history::{Found as Nested, find};
use crate::manifest::{Claimant, Header, OWNER_BYTES_MAX, Owner, Whose, owner, read};
use crate::retry::Stop;
use crate::s3::{At, PAGE_KEYS, Store};
use crate::types::{Class, ETag, Fault, Origin};

/// Objects asked whether a Keepwatch wrote them, at a destination without any
/// word of its owner.
const ASKED_MAX: usize = 20;

/// Folders within folders that are searched for destinations of others, where
/// files of somebody are already: as deep as people put prefixes.
const NESTED_DEPTH: usize = 2;

/// What a destination says of its owner.
pub(super) enum FoundOwner {
    /// This one; with the ETag of its record, where there is one.
    Owner(Owner, Option<ETag>),
    /// There is a record that cannot be read.
    Unreadable(String),
    /// Another destination is in use at this prefix, around this one or inside it.
    Overlap(Owner, String),
    /// Nothing.
    Nobody,
}

impl FoundOwner {
    pub(super) fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Owner(owner, _) => Some(owner),
            _ => None,
        }
    }
}

/// What the destination says of its owner.
pub(super) async fn found_owner(
    destination: &Destination,
    me: &Claimant,
) -> Result<FoundOwner, Fault> {
    let (bucket, prefix) = destination.place();
    let store = &destination.store;
    let own = record(store, bucket, prefix).await?;
    if !matches!(own, FoundOwner::Nobody) {
        return Ok(own);
    }
    for above in owner::above(prefix) {
        if let FoundOwner::Owner(owner, _) = recorded_or_told(store, bucket, above).await?
            && me.judge(Some(&owner)) == Whose::Others
        {
            return Ok(FoundOwner::Overlap(owner, above.to_owned()));
        }
    }
    let told = told(store, bucket, prefix).await?;
    if !matches!(told, FoundOwner::Nobody) || me.knows {
        return Ok(told);
    }
    unrecorded(destination, me).await
}

/// What the record at this prefix says.
pub(super) async fn record(store: &Store, bucket: &str, prefix: &str) -> Result<FoundOwner, Fault> {
    let key = owner::key(prefix);
    let at = At { bucket, key: &key };
    let Some((bytes, etag)) = store.read_record(at, OWNER_BYTES_MAX).await? else {
        return Ok(FoundOwner::Nobody);
    };
    Ok(match Owner::from_json(&bytes) {
        Some(owner) => FoundOwner::Owner(owner, Some(etag)),
        None => FoundOwner::Unreadable(format!("{bucket}/{key}")),
    })
}

/// What the newest manifest at this prefix says, from times without records.
async fn told(store: &Store, bucket: &str, prefix: &str) -> Result<FoundOwner, Fault> {
    let header = newest_header(store, bucket, prefix).await?;
    Ok(header.map_or(FoundOwner::Nobody, |header| {
        FoundOwner::Owner(Owner::of_manifest(&header), None)
    }))
}

async fn recorded_or_told(store: &Store, bucket: &str, prefix: &str) -> Result<FoundOwner, Fault> {
    match record(store, bucket, prefix).await? {
        FoundOwner::Nobody => told(store, bucket, prefix).await,
        word => Ok(word),
    }
}

pub(super) async fn newest_header(
    store: &Store,
    bucket: &str,
    prefix: &str,
) -> Result<Option<Header>, Fault> {
    let origin = Origin {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    let mut stop = Stop::never();
    let all = match read::list(store, &origin, &mut stop).await {
        // Who may not look there sees the objects themselves.
        Err(fault) if fault.class == Class::Denied => return Ok(None),
        all => all?,
    };
    let believed = all.iter().rev().filter(|one| !one.is_ahead());
    for one in believed.take(read::PASSED_OVER_MAX) {
        match read::header(store, bucket, one, &stop).await {
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
async fn unrecorded(destination: &Destination, me: &Claimant) -> Result<FoundOwner, Fault> {
    let (bucket, prefix) = destination.place();
    let store = &destination.store;
    let page = store.list(bucket, prefix, None, PAGE_KEYS).await?;
    if page.items.is_empty() {
        return Ok(FoundOwner::Nobody);
    }
    let mut stop = Stop::never();
    let nested = find(store, bucket, prefix, NESTED_DEPTH, &mut stop).await;
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
            return Ok(FoundOwner::Overlap(owner, origin.prefix));
        }
    }
    let ours_or_not = page.items.iter().map(|object| object.key.as_str());
    let keys = ours_or_not.filter(|key| !crate::types::is_own(key));
    for key in keys.take(ASKED_MAX) {
        let head = store.head(At { bucket, key }, None).await?;
        if head.is_some_and(|head| head.meta.is_ok()) {
            return Ok(FoundOwner::Owner(Owner::unknown(), None));
        }
    }
    Ok(FoundOwner::Nobody)
}
