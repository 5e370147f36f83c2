//! Checks that each manifest is what was written.
//!
//! Nothing depends on a single manifest, so a damaged one is only reported: restore passes
//! it over, and the next full comparison writes another. In memory: the list of manifests,
//! and one of them where contents are read.

use super::findings::{Damage, Deep, Finding};
use super::judge;
use super::judge::Wrong;
use super::run::Run;
use crate::history::list_page;
use crate::manifest::{Listing, Written, read};
use crate::retry::{Stop, advise_rerun, with_retries};
use crate::s3::Head;
use crate::types::{Class, ETag, Fatal, Fault, Kind, WallMs, shown};
use futures::{StreamExt as _, stream};
use std::time::Duration;

/// Manifests that are checked, the newest ones: what thinning leaves of ten years.
const MANIFESTS_MAX: usize = 250;

/// HEADs that run at once.
const ASKED_AT_ONCE: usize = 16;

/// The pause before the second look at what seems to be somebody else's: this computer
/// may have written one just now.
const SETTLING: Duration = Duration::from_secs(3);

impl Run<'_> {
    /// Look at all of them.
    pub(crate) async fn manifests(&mut self) -> Result<(), Fatal> {
        let ctx = self.ctx.clone();
        let mut stop = ctx.stop.clone();
        let all = match read::list(&ctx.store, &ctx.origin, &mut stop).await {
            Ok(all) => all,
            // A backup works without the right to see them.
            Err(fault) if fault.class == Class::Denied => return Ok(()),
            Err(fault) => return self.failed(advise_rerun(fault)).await,
        };
        let ours = self.written().await?;
        let wrong = self.by_what_was_written(&all, &mut stop).await?;
        let named: Vec<String> = wrong.iter().map(|(one, _)| one.key.clone()).collect();
        for (one, wrong) in wrong {
            self.report_wrong(&one, wrong);
        }
        let mut looked_at: Vec<Listing> = all.into_iter().rev().take(MANIFESTS_MAX).collect();
        looked_at.retain(|one| !named.contains(&one.key));
        let heads: Vec<_> = stream::iter(looked_at)
            .map(|one| {
                let (ctx, mut stop) = (ctx.clone(), stop.clone());
                async move {
                    let head = with_retries(&mut stop, || ctx.head_at(&one.key, None)).await;
                    (one, head)
                }
            })
            .buffered(ASKED_AT_ONCE)
            .collect()
            .await;
        for (number, (one, head)) in heads.into_iter().enumerate() {
            self.result.progress.manifests += 1;
            let was_ahead = ours.as_ref().is_some_and(|ours| ours.was_ahead(&one));
            let wrong = match head {
                Ok(head) => by_head(&one, head.as_ref(), was_ahead),
                Err(fault) => {
                    self.failed(advise_rerun(fault)).await?;
                    continue;
                }
            };
            let is_read = match self.request.deep {
                Deep::No => false,
                Deep::All => true,
                _ => number == 0,
            };
            match wrong {
                Some(wrong) => self.report_wrong(&one, wrong),
                None if is_read => self.read(&one, &mut stop).await?,
                None => {}
            }
        }
        Ok(())
    }

    /// Read one to its end.
    async fn read(&mut self, one: &Listing, stop: &mut Stop) -> Result<(), Fatal> {
        let ctx = self.ctx.clone();
        match read::prove(&ctx.store, &ctx.origin, one, stop).await {
            Ok(_) => {}
            Err(fault) if fault.class == Class::Damaged => {
                self.report_wrong(one, (Damage::Altered, fault.cause));
            }
            // Superseded meanwhile.
            Err(fault) if fault.class == Class::NotFound => {}
            Err(fault) => self.failed(advise_rerun(fault)).await?,
        }
        Ok(())
    }

    /// What contradicts the index, which has the newest one.
    async fn by_what_was_written(
        &self,
        all: &[Listing],
        stop: &mut Stop,
    ) -> Result<Vec<(Listing, Wrong)>, Fatal> {
        let Some(written) = self.written().await? else {
            return Ok(Vec::new());
        };
        let wrong = self.contradictions(&written, all, stop).await?;
        if wrong.is_empty() {
            return Ok(wrong);
        }
        tokio::time::sleep(SETTLING).await;
        let is_still_so = self.written().await?.as_ref() == Some(&written);
        Ok(if is_still_so { wrong } else { Vec::new() })
    }

    async fn written(&self) -> Result<Option<Written>, Fault> {
        match &self.request.known {
            Some(known) => known.newest_manifest().await,
            None => Ok(None),
        }
    }

    /// Manifests that contradict the newest one that this computer wrote.
    async fn contradictions(
        &self,
        written: &Written,
        all: &[Listing],
        stop: &mut Stop,
    ) -> Result<Vec<(Listing, Wrong)>, Fault> {
        let mut wrong = Vec::new();
        let stored = all.iter().find(|one| one.key == written.key);
        let newer = all
            .iter()
            .filter(|one| is_newer(one, &written.key, stored) && !written.was_ahead(one));
        wrong.extend(newer.filter(|one| !one.is_ahead()).map(|one| {
            let why = "it is newer than the last one that this computer wrote";
            (one.clone(), (Damage::Overwritten, why.to_owned()))
        }));
        // One on its way, or one whose sending was cut off.
        if written.etag.is_empty() {
            return Ok(wrong);
        }
        match stored {
            Some(one) if one.etag == written.etag => {}
            Some(one) => {
                let why = "its ETag is not the one that the bucket answered when it was stored";
                wrong.push((one.clone(), (Damage::Overwritten, why.to_owned())));
            }
            None => {
                let (store, bucket) = (&self.ctx.store, &self.ctx.origin.bucket);
                let page = list_page(store, bucket, &written.key, None, stop).await?;
                let newest = page.items.first().filter(|v| v.key == written.key);
                let (damage, why) = match newest {
                    Some(newest) if newest.is_marker => (
                        Damage::MarkedDeleted,
                        "it is the newest one, which is never given up",
                    ),
                    // Listed a moment later.
                    Some(_) => return Ok(wrong),
                    None => (
                        Damage::Missing,
                        "it was stored, and not even a version is left",
                    ),
                };
                let gone = Listing {
                    key: written.key.clone(),
                    moment_ms: WallMs::default(),
                    stored_bytes: 0,
                    modified_ms: WallMs::default(),
                    etag: ETag::default(),
                    listed_ms: WallMs::MAX,
                };
                wrong.push((gone, (damage, why.to_owned())));
            }
        }
        Ok(wrong)
    }

    fn report_wrong(&mut self, one: &Listing, (damage, why): Wrong) {
        self.found(Finding {
            source: self.request.name.clone(),
            path: shown(&one.key),
            key: None,
            damage,
            why,
            version_id: None,
            stored_at_ms: (one.modified_ms > WallMs::default()).then_some(one.modified_ms),
            is_older: false,
            is_on_disk: None,
            whole: None,
            repair: None,
        });
    }
}

/// It tells of a later moment than the one that this computer wrote, and the server
/// has it since later, as far as that one's time is known: a clock that was put
/// back makes all that are true seem later.
fn is_newer(one: &Listing, written_key: &str, stored: Option<&Listing>) -> bool {
    let is_since_later = stored.is_none_or(|stored| one.modified_ms >= stored.modified_ms);
    one.key.as_str() > written_key && is_since_later
}

/// What the object says of itself; nothing at all when it was superseded meanwhile.
/// One that this computer wrote while its clock was ahead is as it should be.
fn by_head(one: &Listing, head: Option<&Head>, was_ahead: bool) -> Option<Wrong> {
    let head = head?;
    match judge::of_itself(None, head) {
        Err(wrong) => Some(wrong),
        Ok(None) => {
            let why = "it does not say that Keepwatch wrote it";
            Some((Damage::Metadata, why.to_owned()))
        }
        Ok(Some(meta)) if meta.kind != Kind::File || head.gzip => {
            let why = "it does not say of itself what a manifest says";
            Some((Damage::Metadata, why.to_owned()))
        }
        Ok(Some(_)) => (one.is_ahead() && !was_ahead).then(|| (Damage::Ahead, one.ahead_because())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(moment_ms: i64, modified_ms: i64) -> Listing {
        Listing {
            key: crate::manifest::format::key("", WallMs(moment_ms)),
            moment_ms: WallMs(moment_ms),
            stored_bytes: 1,
            modified_ms: WallMs(modified_ms),
            etag: "e".into(),
            listed_ms: WallMs::MAX,
        }
    }

    /// Named after the bug: a computer that began with the clock of 2000 wrote one
    /// manifest, and all others were told as somebody else's.
    #[test]
    fn true_manifests_are_not_somebody_elses_after_the_clock_was_put_back() {
        let day_ms = 24 * 60 * 60 * 1000;
        let (year_2000, now) = (946_684_800_000, 1_795_000_000_000);
        let by_wrong_clock = listing(year_2000, now);
        let by_true_clock = listing(now, now);
        for (name, written, is_listed, one, want) in [
            (
                "true ones",
                &by_wrong_clock,
                true,
                listing(now - day_ms, now - day_ms),
                false,
            ),
            (
                "put since",
                &by_wrong_clock,
                true,
                listing(now, now + 1),
                true,
            ),
            (
                "within the second",
                &by_wrong_clock,
                true,
                listing(now, now),
                true,
            ),
            (
                "older",
                &by_true_clock,
                true,
                listing(now - day_ms, now - day_ms),
                false,
            ),
            (
                "newer",
                &by_true_clock,
                true,
                listing(now + 5, now + 6),
                true,
            ),
            ("itself", &by_true_clock, true, by_true_clock.clone(), false),
            (
                "newer, nothing to compare",
                &by_true_clock,
                false,
                listing(now + 5, now + 6),
                true,
            ),
        ] {
            let stored = is_listed.then_some(written);
            assert_eq!(is_newer(&one, &written.key, stored), want, "{name}");
        }
    }

    /// Named after the bug: what this computer wrote while its clock was ahead was
    /// told as somebody else's, as soon as its time had come.
    #[test]
    fn what_was_written_with_a_clock_that_was_ahead_is_ours() {
        let hour_ms = 60 * 60 * 1000;
        let now = 1_795_000_000_000;
        let key = |moment_ms| crate::manifest::format::key("", moment_ms);
        let etag = || ETag::from("e");
        let mut written = Written::after(None, key(WallMs(now + hour_ms)), etag());
        // Noted before and after it is sent.
        written = Written::after(Some(written), key(WallMs(now)), ETag::default());
        written = Written::after(Some(written), key(WallMs(now)), etag());
        let ahead = listing(now + hour_ms, now + hour_ms);
        assert!(written.was_ahead(&ahead));
        let theirs = Listing {
            etag: "other".into(),
            ..ahead.clone()
        };
        assert!(!written.was_ahead(&theirs));
        assert!(!written.was_ahead(&listing(now + 2 * hour_ms, now)));
        // The next ones keep it, until their time has come as well.
        written = Written::after(Some(written), key(WallMs(now + 1000)), etag());
        assert!(written.was_ahead(&ahead) && written.ahead.len() == 1);
        written = Written::after(Some(written), key(WallMs(now + 2 * hour_ms)), etag());
        assert_eq!(written.ahead, []);
        // What an earlier version has written into the index is read.
        let old = serde_json::json!({ "key": "k", "etag": "e" });
        assert_eq!(Written::from_value(&old).unwrap().ahead, []);
        assert_eq!(
            Written::from_value(&written.to_value()),
            Some(written.clone())
        );
        let mut many = written;
        for back in 0..100 {
            many = Written::after(Some(many), key(WallMs(now - back)), etag());
        }
        assert!(many.ahead.len() <= 32);
    }
}
