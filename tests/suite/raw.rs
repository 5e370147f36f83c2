//! What tests do to a bucket behind Keepwatch's back, and how they see what
//! Keepwatch did to it: the bare SDK, every version there is, every request.

use crate::harness::{Fate, Faults, Rig};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use keepwatch::s3::{ListedVersion, Store};
use keepwatch_vault::{IN_PROCESS_ENDPOINT, Vault};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The bare SDK on a vault. While the real program runs on the vault this may
/// only read: one process writes.
pub fn client(vault: &Vault) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(vault.http_client())
        .region(Region::new("us-east-1"))
        .endpoint_url(IN_PROCESS_ENDPOINT)
        .force_path_style(true)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Every version and marker in a bucket, save those of Keepwatch's own objects.
pub async fn versions(store: &Store, bucket: &str) -> Vec<ListedVersion> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = store
            .list_versions(bucket, "", next.as_deref())
            .await
            .unwrap();
        let is_own = |key: &str| keepwatch::types::is_own(key);
        all.extend(page.items.into_iter().filter(|v| !is_own(&v.key)));
        match page.next {
            Some(token) => next = Some(token),
            None => return all,
        }
    }
}

/// How many versions each key has, markers left out.
pub async fn counts(store: &Store, bucket: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for version in versions(store, bucket).await {
        *counts.entry(version.key).or_default() += usize::from(!version.is_marker);
    }
    counts
}

/// The keys that have a delete marker anywhere in their history.
pub async fn marked(store: &Store, bucket: &str) -> Vec<String> {
    let all = versions(store, bucket).await;
    let markers = all.into_iter().filter(|v| v.is_marker);
    markers.map(|v| v.key).collect()
}

/// Requests as they went by: the SDK's name of the operation, and the URI.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<(String, String)>>>);

impl Requests {
    /// A store on the rig's vault whose requests are written down.
    pub fn listen(rig: &Rig) -> (Self, Store) {
        let (requests, faults) = (Self::default(), Faults::none());
        let list = Arc::clone(&requests.0);
        faults.set(move |seen| {
            let id = seen
                .uri
                .split(['?', '&'])
                .find_map(|part| part.strip_prefix("x-id="));
            let name = id.unwrap_or(&seen.method).to_owned();
            list.lock().unwrap().push((name, seen.uri.clone()));
            Fate::Pass
        });
        (requests, rig.faulty_store(&faults))
    }

    /// How many of one operation went by.
    pub fn count(&self, operation: &str) -> usize {
        let list = self.0.lock().unwrap();
        list.iter().filter(|(name, _)| name == operation).count()
    }

    /// Objects that were asked about, Keepwatch's own left out.
    pub fn heads_of_files(&self) -> usize {
        let list = self.0.lock().unwrap();
        let is_head = |name: &str| ["HEAD", "HeadObject"].contains(&name);
        let of_files = list.iter().filter(|(_, uri)| !uri.contains("/.keepwatch/"));
        of_files.filter(|(name, _)| is_head(name)).count()
    }

    /// Requests that carried content, all in all.
    pub fn bodies(&self) -> usize {
        self.count("PutObject") + self.count("UploadPart")
    }

    /// Everything that changes a bucket, as text for a failing assertion.
    pub fn changes(&self) -> Vec<String> {
        let list = self.0.lock().unwrap();
        let reads = ["GET", "HEAD", "GetObject", "HeadObject", "ListObjectsV2"];
        list.iter()
            .filter(|(name, _)| !reads.contains(&name.as_str()))
            .map(|(name, uri)| format!("{name} {uri}"))
            .collect()
    }

    /// Forget what went by.
    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}
