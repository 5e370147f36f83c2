//! `verify` on a bare machine, which has no index, says of each object what restore
//! says.

use super::bench::{BUCKET, Bench, Object, long_path};
use crate::harness::alter;
use keepwatch::history::Selector;
use keepwatch::retry::Stop;
use keepwatch::verify::{Damage, Deep, Verified, VerifyRequest, verify};

const OLD: &str = ".keepwatch/mine.txt";
const NEW: &str = "%2Ekeepwatch/mine.txt";

async fn verified(bench: &Bench, deep: Deep, all_versions: bool) -> Verified {
    let request = VerifyRequest {
        name: BUCKET.into(),
        origin: bench.origin(),
        selector: Selector::everything(),
        only: None,
        known: None,
        deep,
        seed: 0,
        all_versions,
    };
    let done = verify(&bench.store, request, |_| (), &Stop::never()).await;
    done.unwrap()
}

/// What is wrong, by path.
fn wrong(verified: &Verified) -> Vec<(&str, Damage)> {
    let findings = verified.findings.iter();
    let mut wrong: Vec<_> = findings
        .map(|one| (one.path.as_str(), one.damage))
        .collect();
    wrong.sort();
    wrong
}

/// Flip a bit of what the vault has of a key's newest version.
fn flip(bench: &Bench, key: &str) {
    alter(&bench.vault().join(BUCKET).join(key));
}

/// Named after the bug: it was counted as not written by Keepwatch, and all was well.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_beneath_somebody_elses_object_is_a_finding() {
    let bench = Bench::new();
    for (path, object) in [
        ("deleted.txt", Object::file(b"deleted")),
        ("over.txt", Object::file(b"over")),
        ("table.csv", Object::file(b"a;b\n").gzip()),
        ("whole.txt", Object::file(b"whole")),
    ] {
        bench.put(path, &object).await;
    }
    bench.delete("deleted.txt").await;
    for key in ["deleted.txt", "over.txt", "over.txt", "table.csv"] {
        bench.put_foreign(key).await;
    }
    bench.put_foreign("theirs.txt").await;
    let covered = [
        ("over.txt", Damage::Overwritten),
        ("table.csv", Damage::Overwritten),
    ];
    for (deep, all_versions) in [(Deep::No, false), (Deep::All, false), (Deep::All, true)] {
        let done = verified(&bench, deep, all_versions).await;
        assert_eq!(wrong(&done), covered, "{deep:?} {done:?}");
        let times = bench.times("over.txt").await;
        let over = done.findings.iter().find(|one| one.path == "over.txt");
        let whole = over.unwrap().whole.as_ref().unwrap();
        assert_eq!(Some(&whole.stored_at_ms), times.last());
        // Their older one over ours as well, where all versions are looked at.
        assert_eq!(done.foreign, 2 + u64::from(all_versions), "{done:?}");
        let is_damaged = done.findings.iter().any(|one| one.why.contains("damaged"));
        assert!(!is_damaged, "{done:?}");
    }
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.covered.total, restored.files), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beneath_is_hashed_too() {
    let bench = Bench::new();
    bench.put("f", &Object::file(b"content")).await;
    flip(&bench, "f");
    bench.put_foreign("f").await;
    let seen = verified(&bench, Deep::No, false).await;
    assert!(!seen.findings[0].why.contains("damaged"), "{seen:?}");
    let done = verified(&bench, Deep::All, false).await;
    assert_eq!(wrong(&done), [("f", Damage::Overwritten)]);
    let finding = &done.findings[0];
    assert!(finding.why.contains("and is damaged"), "{finding:?}");
    assert_eq!(finding.whole, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_key_beneath_somebody_elses_object_is_a_finding() {
    let bench = Bench::new();
    bench.put(&long_path(), &Object::file(b"long")).await;
    let page = bench.store.list_versions(BUCKET, "ddd", None).await;
    let key = page.unwrap().items.remove(0).key;
    bench.put_foreign(&key).await;
    let done = verified(&bench, Deep::All, false).await;
    let damages: Vec<Damage> = done.findings.iter().map(|one| one.damage).collect();
    assert_eq!(damages, [Damage::Overwritten], "{done:?}");
}

/// Named after the bug: what restore brings back by an older key was counted as not
/// written by Keepwatch, and neither asked about nor hashed.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_by_its_older_key_is_looked_at_while_it_counts() {
    let bench = Bench::new();
    bench.put_raw(OLD, &Object::file(b"mine"), &[]).await;
    bench
        .put_raw("a/.keepwatch/x", &Object::file(b"x"), &[])
        .await;
    bench.put_foreign("a/.keepwatch/theirs").await;
    let done = verified(&bench, Deep::All, false).await;
    assert_eq!(wrong(&done), []);
    assert_eq!((done.progress.hashed, done.foreign), (2, 1), "{done:?}");
    flip(&bench, OLD);
    assert_eq!(wrong(&verified(&bench, Deep::No, false).await), []);
    let done = verified(&bench, Deep::All, false).await;
    assert_eq!(wrong(&done), [(OLD, Damage::Altered)], "{done:?}");
    // From its first version on, its own key counts.
    bench.put_raw(NEW, &Object::file(b"new"), &[]).await;
    let done = verified(&bench, Deep::All, false).await;
    assert_eq!(wrong(&done), [], "{done:?}");
    let done = verified(&bench, Deep::All, true).await;
    assert_eq!(wrong(&done), [(OLD, Damage::Altered)], "{done:?}");
    assert!(done.findings[0].is_older);
}
