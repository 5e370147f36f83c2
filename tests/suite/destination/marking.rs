//! An access key that may store and not delete.

use super::digest;
use crate::harness::{Fate, Faults, Rig, history, scan_whole, until};
use keepwatch::config::OnDelete;
use keepwatch::control::{Reconciled, Words};
use keepwatch::daemon::{Options, reconcile_once};
use keepwatch::destination::Kind;
use std::fs;

fn may_not_delete() -> Faults {
    Faults::new(|seen| match seen.method.as_str() {
        "DELETE" => Fate::Answer(403, "AccessDenied"),
        _ => Fate::Pass,
    })
}

async fn reconcile(rig: &Rig, faults: &Faults, on_delete: OnDelete) -> Reconciled {
    // Nobody reads how far it is.
    let (progress, _) = tokio::sync::mpsc::channel(1);
    let options = Options {
        store: Some(rig.faulty_store(faults)),
        ..Options::default()
    };
    let mut config = rig.config();
    config.sources[0].on_delete = on_delete;
    let done = reconcile_once(config, options, progress, Words::default()).await;
    done.unwrap().remove(0)
}

/// Named after the bug: "All is well: everything is in the bucket", and a restore
/// brought the deleted files back.
#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_the_key_may_not_mark_are_not_told_as_all_is_well() {
    let rig = Rig::new();
    for name in ["a.txt", "b.txt", "c.txt"] {
        rig.write(name, name);
    }
    let faults = may_not_delete();
    assert!(reconcile(&rig, &faults, OnDelete::Mark).await.is_whole());
    fs::remove_file(rig.path("a.txt")).unwrap();
    // Each time, and not only when it was refused first.
    for _ in 0..2 {
        let done = reconcile(&rig, &faults, OnDelete::Mark).await;
        assert!(!done.is_whole() && done.is_safe(), "{done:?}");
        let trouble = &done.troubles[0];
        assert_eq!(trouble.kind, Kind::Unmarked);
        for words in ["s3:DeleteObject", "on_delete = \"keep\""] {
            assert!(trouble.remedy.contains(words), "{trouble:?}");
        }
    }
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    let (subject, body) = digest(&daemon).await;
    assert!(subject.contains("may not be marked"), "{subject}");
    assert!(body.contains("NOT MARKED since"), "{body}");
    let board = daemon.components().sources[0].status.snapshot();
    assert!(board.warnings.contains_key("marking"), "{board:?}");

    // The right is given.
    faults.set(|_| Fate::Pass);
    scan_whole(&daemon.components().sources[0], false).await;
    until("it is marked, and nothing is wrong any more", async || {
        let is_marked = history(&rig.store(), "a.txt").await[0].is_none();
        is_marked
            && !daemon.components().sources[0]
                .destination
                .has(Kind::Unmarked)
    })
    .await;
    daemon.stop().await.unwrap();
}

/// What was refused is no trouble any more when nobody wants it, or the file is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stands_no_longer_than_something_is_to_be_marked() {
    for is_back in [true, false] {
        let rig = Rig::new();
        rig.write("a.txt", "a");
        rig.write("b.txt", "b");
        let faults = may_not_delete();
        reconcile(&rig, &faults, OnDelete::Mark).await;
        fs::remove_file(rig.path("a.txt")).unwrap();
        assert!(!reconcile(&rig, &faults, OnDelete::Mark).await.is_whole());
        let on_delete = match is_back {
            true => {
                rig.write("a.txt", "a");
                OnDelete::Mark
            }
            false => OnDelete::Keep,
        };
        let done = reconcile(&rig, &faults, on_delete).await;
        assert!(done.is_whole(), "{done:?}");
    }
}
