//! Much damage at once: what seems wrong is looked at again after a pause, and
//! all of it shares the pauses. The clock is paused, so nothing else takes time.

use crate::restore::bench::{BUCKET, Bench};
use keepwatch::history::{Known, Selector};
use keepwatch::index::Index;
use keepwatch::retry::Stop;
use keepwatch::types::{ContentHash, Fingerprint, Origin, Record, RelKey};
use keepwatch::verify::{Damage, Deep, VerifyRequest, verify};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const MISSING: u64 = 1_000;

/// Named after the bug: each missing file took three seconds of its own, 32 of
/// them at a time.
#[tokio::test(start_paused = true)]
async fn a_thousand_missing_files_share_one_pause() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = Index::open(&folder.path().join("index")).unwrap();
    let source = index.source_id("office", BUCKET, "", "here").unwrap();
    let records: Vec<_> = (0..MISSING)
        .map(|number| {
            let key = RelKey::parse_full(&format!("{}/{number}", number % 7)).unwrap();
            let record = Record {
                content: Some(ContentHash::of(&number.to_be_bytes())),
                version_id: keepwatch::types::VersionId::new(format!("v{number}")),
                ..Record::unverified(Fingerprint::UNSEEN)
            };
            (key, record)
        })
        .collect();
    index.import(source, &records).unwrap();
    let request = VerifyRequest {
        name: "office".into(),
        origin: Origin {
            bucket: BUCKET.into(),
            prefix: String::new(),
        },
        selector: Selector::everything(),
        only: None,
        known: Some(Known {
            index,
            source,
            root: folder.path().to_owned(),
            stat: Arc::new(|_| Ok(Some(Fingerprint::UNSEEN))),
            is_compared: true,
            marks_deletions: true,
        }),
        deep: Deep::No,
        seed: 0,
        all_versions: false,
    };
    let began = Instant::now();
    let verified = verify(&bench.store, request, |_| (), &Stop::never())
        .await
        .unwrap();
    assert_eq!(verified.findings_total, MISSING, "{verified:?}");
    let found = verified.findings.iter();
    assert!(
        found
            .clone()
            .all(|f| f.damage == Damage::Missing && f.is_on_disk == Some(true))
    );
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(10),
        "{took:?}"
    );
}
