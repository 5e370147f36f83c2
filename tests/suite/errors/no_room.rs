//! The destination is full, or this computer's own disk is: a run that somebody
//! waits for ends, says why and what to do, and counts nothing as protected.

use super::is_put;
use crate::harness::{Fate, Faults, Rig, in_bucket};
use futures::future::join_all;
use keepwatch::control::{Reconciled, Words};
use keepwatch::daemon::{Options, reconcile_once};
use keepwatch::types::Class;
use std::time::Duration;
use tokio::sync::mpsc;

/// Far more than such a run takes, and less than it waits for an outage that may pass.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(50);

/// Large files that do not fit, small ones that may.
const LARGE: usize = 40;

fn fill(rig: &Rig) {
    for number in 0..LARGE {
        rig.write(&format!("{number:02} large.bin"), vec![b'x'; 50_000]);
        rig.write(&format!("{number:02} small.txt"), "small");
    }
}

/// What a run against such a server came to.
async fn run(rig: &Rig, faults: &Faults) -> Reconciled {
    let options = Options {
        store: Some(rig.faulty_store(faults)),
        ..Options::default()
    };
    let (to, mut lines) = mpsc::channel(16);
    let drain = tokio::spawn(async move { while lines.recv().await.is_some() {} });
    let work = reconcile_once(rig.config(), options, to, Words::default());
    let done = tokio::time::timeout(ENDS_WITHIN, work).await;
    let mut done = done.expect("the run does not end").unwrap();
    drain.await.unwrap();
    done.remove(0)
}

async fn ends_and_says_why(status: u16, code: &'static str, small_fits: bool) {
    let rig = Rig::new();
    fill(&rig);
    let faults = Faults::new(move |seen| {
        let is_small = seen.uri.contains("small") || seen.uri.contains(".keepwatch");
        match is_put(seen) && !(small_fits && is_small) {
            true => Fate::Answer(status, code),
            false => Fate::Pass,
        }
    });
    let done = run(&rig, &faults).await;
    let told = format!("{status} {code} {small_fits}: {done:?}");
    assert!(!done.is_sent(), "{told}");
    let mut reasons = done.outage.iter().chain(&done.failed);
    let named = reasons.find(|fault| fault.class == Class::Full);
    let named = named.unwrap_or_else(|| panic!("{told}"));
    assert!(named.hint.contains("make room"), "{told}");
    let there = in_bucket(&rig.store()).await;
    assert!(there.keys().all(|key| !key.contains("large")), "{told}");
}

/// Named after the bug: it waited for an outage that passes by itself, and for ever
/// where small files still found room between the large ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_onto_a_full_destination_ends_and_says_why() {
    let refusals = [
        (507, "InsufficientStorage"),
        (403, "QuotaExceeded"),
        (400, "XMinioAdminBucketQuotaExceeded"),
    ];
    let all = refusals.iter().flat_map(|(status, code)| {
        [true, false].map(|small_fits| ends_and_says_why(*status, code, small_fits))
    });
    join_all(all).await;
}
