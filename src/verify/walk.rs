//! Index and listing walked side by side, in key order.
//!
//! Invariant: each key has one turn, with its record and with all its versions.

use super::judge;
use super::judge::{Expect, Next};
use super::listing::{KeyVersions, VersionListing};
use super::outcome::VersionCheck;
use super::request::VerifyEvent;
use super::run::Run;
use crate::history::{Chosen, Name, Records, Selector, unless_newer};
use crate::retry::advise_rerun;
use crate::s3::ListedVersion;
use crate::types::{ETag, Fatal, ForeignKey, Record, RelKey, is_own};

/// Whose key the listing shows next.
#[derive(Debug, PartialEq, Eq)]
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

impl Run<'_> {
    /// Index and listing side by side, below one prefix of the bucket.
    pub(super) async fn below(&mut self, prefix: String) -> Result<(), Fatal> {
        let request = self.request;
        let prefix_of_source = request.origin.prefix.as_str();
        let rel_prefix = prefix.strip_prefix(prefix_of_source).unwrap_or_default();
        let mut records = Records::new(request.known.clone(), rel_prefix);
        let ctx = self.ctx.clone();
        let mut listing = VersionListing::new(&ctx.store, &ctx.origin, prefix);
        let mut stop = ctx.stop.clone();
        loop {
            let listed = listing.peek(&mut stop).await?.map(|next| next.key.clone());
            let within = listed.as_deref().map(|key| within(key, prefix_of_source));
            let index_key = records.peek().await?.cloned();
            let Some(is_listed_first) = first_of(within, index_key.as_ref()) else {
                return Ok(());
            };
            self.result.progress.seen += 1;
            if is_listed_first != std::cmp::Ordering::Greater
                && let Some(bucket_key) = &listed
            {
                let whose = whose(bucket_key, prefix_of_source, &request.selector);
                let record = match is_listed_first {
                    std::cmp::Ordering::Equal => records.take().map(|(_, record)| record),
                    _ => None,
                };
                self.key_versions(&mut listing, bucket_key, whose, record)
                    .await?;
            } else if let Some((key, record)) = records.take() {
                self.record_alone(key, record).await?;
            }
            (self.report)(VerifyEvent::Progress(self.result.progress));
        }
    }

    /// Everything that the bucket has of one key.
    async fn key_versions(
        &mut self,
        listing: &mut VersionListing<'_>,
        bucket_key: &str,
        whose: Whose,
        record: Option<Record>,
    ) -> Result<(), Fatal> {
        let mut stop = self.ctx.stop.clone();
        let rel = match &whose {
            Whose::Ours(key) | Whose::Older(key) => Some(key.clone()),
            Whose::Shortened | Whose::Other { .. } => None,
        };
        let is_looked_at = !matches!(whose, Whose::Other { .. });
        let pinned_id = record.as_ref().and_then(|record| record.version_id.clone());
        let mut versions: Option<KeyVersions> = None;
        while let Some(version) = listing.take_of(bucket_key, &mut stop).await? {
            match &mut versions {
                None => versions = Some(KeyVersions::of(version, pinned_id.as_ref())),
                Some(versions) => {
                    versions.older(&version, pinned_id.as_ref());
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
                self.by_older_key(key, versions).await
            }
            Whose::Ours(_) | Whose::Shortened => {
                self.decide(rel, bucket_key, record, versions).await
            }
        }
    }

    /// A record whose key is not at its place in the listing. A shortened key is at
    /// another place.
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

    /// Ask about one key by itself.
    pub(super) async fn one_key(
        &mut self,
        key: RelKey,
        record: Option<Record>,
    ) -> Result<(), Fatal> {
        let ctx = self.ctx.clone();
        let mut stop = ctx.stop.clone();
        let prefix = &self.request.origin.prefix;
        let bucket_key = key.in_bucket(prefix).key;
        let pinned_id = record.as_ref().and_then(|record| record.version_id.clone());
        let mut versions: Option<KeyVersions> = None;
        // What earlier versions stored stays at its older key until it is sent again.
        for bucket_key in [Some(bucket_key.clone()), key.older(prefix)]
            .into_iter()
            .flatten()
        {
            let mut alone = VersionListing::new(&ctx.store, &ctx.origin, bucket_key.clone());
            while let Some(version) = alone.take_of(&bucket_key, &mut stop).await? {
                match &mut versions {
                    None => versions = Some(KeyVersions::of(version, pinned_id.as_ref())),
                    Some(versions) => versions.older(&version, pinned_id.as_ref()),
                }
            }
            if versions.is_some() {
                break;
            }
        }
        self.decide(Some(key), &bucket_key, record, versions).await
    }

    async fn decide(
        &mut self,
        rel: Option<RelKey>,
        bucket_key: &str,
        record: Option<Record>,
        versions: Option<KeyVersions>,
    ) -> Result<(), Fatal> {
        match judge::by_listing(record.as_ref(), versions.as_ref()) {
            Next::Nothing => Ok(()),
            Next::Look(listed, expect) => self.offer(VersionCheck::of(rel, listed, expect)).await,
            Next::Wrong(wrong, listed) => {
                let expect = match record {
                    Some(record) => Expect::Recorded(Box::new(record)),
                    None => Expect::Itself,
                };
                let listed = listed.unwrap_or_else(|| not_listed(bucket_key));
                self.start(VersionCheck {
                    wrong: Some(wrong),
                    ..VersionCheck::of(rel, listed, expect)
                })
                .await
            }
        }
    }

    /// A version that is not the newest of its key.
    pub(crate) async fn older(
        &mut self,
        rel: Option<RelKey>,
        listed: ListedVersion,
    ) -> Result<(), Fatal> {
        self.offer(VersionCheck {
            is_older: true,
            ..VersionCheck::of(rel, listed, Expect::Itself)
        })
        .await
    }

    /// A file by its older key: it counts until its path has anything under its
    /// own.
    pub(crate) async fn by_older_key(
        &mut self,
        key: RelKey,
        versions: Option<KeyVersions>,
    ) -> Result<(), Fatal> {
        let newest = versions.map(|versions| versions.newest);
        let Some(newest) = newest.filter(|newest| !newest.is_marker) else {
            return Ok(());
        };
        let ctx = self.ctx.clone();
        let mut stop = ctx.stop.clone();
        let chosen = Chosen::of(newest.clone(), Name::Older(key.clone()));
        let counts = unless_newer(&ctx.store, &ctx.origin, chosen, None, &mut stop).await;
        match counts {
            Ok(Some(_)) => {
                let check = VersionCheck::of(Some(key), newest, Expect::Itself);
                self.offer(check).await
            }
            Ok(None) if self.request.all_versions => self.older(Some(key), newest).await,
            Ok(None) => Ok(()),
            Err(fault) => {
                self.failed(advise_rerun(fault).about(key.path().to_string()))
                    .await
            }
        }
    }
}

/// What stands for a version that is not in the list.
fn not_listed(bucket_key: &str) -> ListedVersion {
    ListedVersion {
        key: bucket_key.to_owned(),
        version_id: None,
        is_latest: false,
        is_marker: false,
        etag: ETag::default(),
        stored_bytes: 0,
        modified_ms: 0,
        storage_class: String::new(),
    }
}

fn within<'k>(bucket_key: &'k str, prefix: &str) -> &'k str {
    bucket_key.strip_prefix(prefix).unwrap_or(bucket_key)
}

fn whose(bucket_key: &str, prefix: &str, selector: &Selector) -> Whose {
    let within = within(bucket_key, prefix);
    if within.is_empty() || is_own(within) {
        return Whose::Other { is_foreign: false };
    }
    match RelKey::parse_at(within, prefix) {
        Ok(key) if selector.matches(&key.path()) => Whose::Ours(key),
        Ok(_) => Whose::Other { is_foreign: false },
        Err(ForeignKey::Shortened) => Whose::Shortened,
        Err(ForeignKey::Older(key)) => match selector.matches(&key.path()) {
            true => Whose::Older(key),
            false => Whose::Other { is_foreign: false },
        },
        Err(_) => Whose::Other {
            is_foreign: selector.is_everything(),
        },
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn each_key_is_somebodys() {
        let typed = crate::history::Typed::new("a").unwrap();
        let only_a = Selector::of(&[(typed, crate::types::Reading::Name)]);
        let everything = Selector::everything();
        let key = |text: &str| RelKey::parse(text).unwrap();
        let other = |is_foreign| Whose::Other { is_foreign };
        let manifest = crate::manifest::format::key("p/", 1_795_000_000_000);
        for (bucket_key, selector, want) in [
            ("p/a", &only_a, Whose::Ours(key("a"))),
            ("p/b", &only_a, other(false)),
            ("p/b", &everything, Whose::Ours(key("b"))),
            ("p/", &everything, other(false)),
            (&manifest, &everything, other(false)),
            (
                "p/.keepwatch/manifests/x",
                &everything,
                Whose::Older(key("%2Ekeepwatch/manifests/x")),
            ),
            ("p/b//c", &everything, other(true)),
            ("p/b//c", &only_a, other(false)),
        ] {
            assert_eq!(whose(bucket_key, "p/", selector), want, "{bucket_key}");
        }
    }

    #[test]
    fn the_side_that_comes_first_has_its_turn() {
        let index = RelKey::parse("b").unwrap();
        for (listed, index, want) in [
            (None, None, None),
            (Some("a"), None, Some(Ordering::Less)),
            (None, Some(&index), Some(Ordering::Greater)),
            (Some("a"), Some(&index), Some(Ordering::Less)),
            (Some("b"), Some(&index), Some(Ordering::Equal)),
            (Some("c"), Some(&index), Some(Ordering::Greater)),
        ] {
            assert_eq!(first_of(listed, index), want, "{listed:?} {index:?}");
        }
    }
}
