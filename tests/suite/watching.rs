//! The running daemon and a folder in which people work: whatever they do, the
//! bucket ends up with what is there, and every version is something that was.

// inotify's limits, in a namespace.
#[cfg(target_os = "linux")]
mod limits;
mod links;
mod places;
mod pressure;
mod proof;
mod saves;
mod trees;

use crate::harness::{BUCKET, Rig, at_rest, on_disk, until};
use keepwatch::daemon::Daemon;
use keepwatch::s3::Store;
use std::collections::BTreeSet;

/// The bucket's current keys.
async fn keys(store: &Store) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut next = None;
    loop {
        let page = store.list(BUCKET, "", next.as_deref(), 1000).await.unwrap();
        let own = |key: &String| keepwatch::types::is_own(key);
        let listed = page.items.into_iter().map(|item| item.key);
        keys.extend(listed.filter(|key| !own(key)));
        match page.next {
            Some(token) => next = Some(token),
            None => return keys,
        }
    }
}

/// Wait until every path of a large tree has arrived, looking at keys alone;
/// then compare everything.
async fn until_arrived(rig: &Rig, daemon: &Daemon) {
    let store = rig.store();
    let want: BTreeSet<String> = on_disk(&rig.root()).into_keys().collect();
    until("every path is in the bucket", async || {
        at_rest(daemon) && want.is_subset(&keys(&store).await)
    })
    .await;
    rig.until_equal(daemon).await;
}
