//! What a run makes of an upload that the one before it left open.

use super::{
    ARRIVED, KEY, LARGE_BYTES, REFUSED, Step, Tape, arrived, at, broken_off, broken_off_with,
    noise, open,
};
use crate::harness::{BUCKET, Fate, Faults, Rig, history, lose_folder, until, until_within};
use crate::raw::{client, counts};
use aws_sdk_s3::primitives::ByteStream;
use keepwatch::config::{Config, StoreConfig};
use keepwatch::control::Words;
use keepwatch::daemon::{Daemon, Options, reconcile_once};
use keepwatch::index::{Index, Multipart};
use keepwatch::s3::Store;
use keepwatch_vault::Vault;
use std::fs;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// A day in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

fn passes(_: &Step, _: bool) -> Fate {
    Fate::Pass
}

fn noted(daemon: &Daemon) -> Vec<Multipart> {
    daemon.components().index.multiparts().unwrap()
}

/// What was left behind is looked for once a minute, and later after a look
/// that failed, as during an outage.
const SWEPT_WITHIN: Duration = Duration::from_secs(240);

/// Everything is in the bucket and nothing else is left, in bucket and index.
async fn ends_well(rig: &Rig, daemon: Daemon) {
    rig.until_equal(&daemon).await;
    until_within(SWEPT_WITHIN, "nothing is left of it", async || {
        open(rig).await.is_empty() && noted(&daemon).is_empty()
    })
    .await;
    daemon.stop().await.unwrap();
}

/// The next run, and what it asked for.
async fn next_run(rig: &Rig) -> Tape {
    next_run_with(rig, rig.config(), passes).await
}

async fn next_run_with(
    rig: &Rig,
    config: Config,
    fate: impl Fn(&Step, bool) -> Fate + Send + 'static,
) -> Tape {
    let tape = Tape::default();
    let daemon = rig.start_with(config, Some(tape.store(rig, fate))).await;
    ends_well(rig, daemon).await;
    tape
}

async fn only_version(rig: &Rig) -> Vec<u8> {
    let mut history = history(&rig.store(), KEY).await;
    assert_eq!(history.len(), 1);
    history.remove(0).unwrap()
}

/// Change the index between two runs.
fn with_index(rig: &Rig, change: impl FnOnce(&Index)) {
    let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
    change(&index);
    index.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_stop() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    next_run(&rig).await.went_on();
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_goes_on_after_a_stop() {
    let rig = Rig::new();
    let name = "large.csv";
    // Hex digits of noise: they pack to a little more than half.
    let content = hex::encode(&noise(2)[..LARGE_BYTES / 2]).into_bytes();
    rig.write(name, &content);
    let mut config = rig.config();
    config.sources[0].compress = vec!["*.csv".into()];
    config.sources[0].compress_level = 1;
    broken_off_with(&rig, config.clone()).await;
    let tape = next_run_with(&rig, config, passes).await;
    tape.went_on();
    let history = history(&rig.store(), name).await;
    assert!(history.len() == 1 && history[0] == Some(content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_meanwhile_is_begun_anew() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let old = broken_off(&rig).await;
    rig.write(KEY, noise(2));
    let tape = next_run(&rig).await;
    tape.began_anew();
    assert_eq!(tape.count(&Step::Abort(old)), 1);
    assert!(only_version(&rig).await == noise(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_touched_meanwhile_gets_its_new_time() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let old = broken_off(&rig).await;
    let touched = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let file = File::options().write(true).open(rig.path(KEY)).unwrap();
    file.set_modified(touched).unwrap();
    let tape = next_run(&rig).await;
    tape.began_anew();
    assert_eq!(tape.count(&Step::Abort(old)), 1);
    let head = rig.store().head(at(), None).await.unwrap().unwrap();
    assert_eq!(head.meta.unwrap().mtime_ns, 1_500_000_000_000_000_000);
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_file_that_is_gone_or_small_by_now_are_thrown_away() {
    for is_small in [false, true] {
        let rig = Rig::new();
        rig.write(KEY, noise(1));
        broken_off(&rig).await;
        match is_small {
            true => rig.write(KEY, "small"),
            false => fs::remove_file(rig.path(KEY)).unwrap(),
        }
        let tape = next_run(&rig).await;
        assert!(tape.parts().is_empty());
        let history = history(&rig.store(), KEY).await;
        assert_eq!(history.len(), usize::from(is_small));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_file_that_a_rule_leaves_out_by_now_are_thrown_away() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    rig.write(".keepwatchignore", "*.bin\n");
    let tape = Tape::default();
    let store = tape.store(&rig, passes);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    until("nothing is left of it", async || {
        open(&rig).await.is_empty() && noted(&daemon).is_empty()
    })
    .await;
    assert!(tape.parts().is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_disk_is_away_keeps_its_parts() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let ours = broken_off(&rig).await;
    // The mount point without its disk.
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    fs::create_dir(rig.root()).unwrap();
    let daemon = rig.start().await;
    assert!(daemon.components().orphaned_uploads().sweep().await);
    assert_eq!(open(&rig).await, [ours]);
    daemon.stop().await.unwrap();
    fs::remove_dir(rig.root()).unwrap();
    fs::rename(&away, rig.root()).unwrap();
    next_run(&rig).await.went_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_uploads_of_the_same_key_are_left_alone() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let begin = async || {
        let sdk = client(&rig.vault());
        let begun = sdk.create_multipart_upload().bucket(BUCKET).key(KEY);
        let begun = begun.send().await.unwrap();
        begun.upload_id().unwrap().to_owned()
    };
    let ours = broken_off(&rig).await;
    let theirs = begin().await;
    let tape = Tape::default();
    let daemon = rig
        .start_with(rig.config(), Some(tape.store(&rig, passes)))
        .await;
    rig.until_equal(&daemon).await;
    until("ours is over", async || {
        open(&rig).await == [theirs.clone()]
    })
    .await;
    tape.went_on();
    assert_eq!(tape.count(&Step::Abort(ours)), 0);
    // Nor when ours is thrown away.
    rig.write(KEY, noise(2));
    rig.until_equal(&daemon).await;
    assert_eq!(open(&rig).await, [theirs]);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_went_on_with_for_eight_days_is_thrown_away() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let old = broken_off(&rig).await;
    with_index(&rig, |index| {
        let mut note = index.multiparts().unwrap().remove(0);
        note.noted_ms -= 8 * DAY_MS;
        index.multipart_update(note).unwrap();
    });
    let tape = next_run(&rig).await;
    tape.began_anew();
    assert_eq!(tape.count(&Step::Abort(old)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_server_has_forgotten_is_begun_anew() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let gone = broken_off(&rig).await;
    // A lifecycle rule, or somebody with a console.
    rig.store().abort_multipart(at(), &gone).await.unwrap();
    next_run(&rig).await.began_anew();
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_parts_may_not_be_listed_our_own_notes_tell() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    let denied = |step: &Step, _| match step {
        Step::ListParts => Fate::Answer(403, "AccessDenied"),
        _ => Fate::Pass,
    };
    next_run_with(&rig, rig.config(), denied).await.went_on();
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_our_own_notes_are_wrong_it_is_begun_anew() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let ours = broken_off(&rig).await;
    let part = client(&rig.vault()).upload_part().bucket(BUCKET).key(KEY);
    let part = part.upload_id(&ours).part_number(1);
    let body = ByteStream::from(vec![7; 6_000_000]);
    part.body(body).send().await.unwrap();
    let faults = Faults::new(|seen| match super::step(&seen.method, &seen.uri) {
        Step::ListParts => Fate::Answer(403, "AccessDenied"),
        _ => Fate::Pass,
    });
    let config = crate::errors::config(&rig);
    let daemon = crate::errors::start_on(config, rig.faulty_store(&faults)).await;
    ends_well(&rig, daemon).await;
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_says_is_the_newest_is_begun_anew() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let old = broken_off(&rig).await;
    let denied = |step: &Step, _| match step {
        Step::ListUploads => Fate::Answer(403, "AccessDenied"),
        _ => Fate::Pass,
    };
    let tape = next_run_with(&rig, rig.config(), denied).await;
    tape.began_anew();
    assert_eq!(tape.count(&Step::Abort(old)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_knows_no_such_list_it_is_begun_anew() {
    for list in [Step::ListVersions, Step::ListUploads] {
        let rig = Rig::new();
        rig.write(KEY, noise(1));
        broken_off(&rig).await;
        let unknown = list.clone();
        let tape = next_run_with(&rig, rig.config(), move |step, _| match *step == unknown {
            true => Fate::Answer(501, "NotImplemented"),
            false => Fate::Pass,
        })
        .await;
        assert!(tape.count(&list) > 0);
        tape.began_anew();
        assert!(only_version(&rig).await == noise(1));
    }
}

/// The next run under the fast clock, on a server that always fails at `list`.
async fn next_run_at_one_that_fails_at(rig: &Rig, list: Step) -> Tape {
    let tape = Tape::default();
    let store = tape.store(rig, move |step, _| match *step == list {
        true => Fate::Answer(500, "InternalError"),
        false => Fate::Pass,
    });
    let daemon = crate::errors::start_on(crate::errors::config(rig), store).await;
    ends_well(rig, daemon).await;
    tape
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_fails_at_a_list_keeps_no_file_out_of_the_bucket() {
    for list in [Step::ListVersions, Step::ListUploads] {
        let rig = Rig::new();
        rig.write(KEY, noise(1));
        let old = broken_off(&rig).await;
        let tape = next_run_at_one_that_fails_at(&rig, list).await;
        tape.began_anew();
        assert_eq!(tape.count(&Step::Abort(old)), 1);
        assert!(only_version(&rig).await == noise(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_listing_the_parts_always_fails_our_own_notes_tell() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    let tape = next_run_at_one_that_fails_at(&rig, Step::ListParts).await;
    tape.went_on();
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_no_parts_however_long_it_is() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let old = broken_off(&rig).await;
    let tape = Tape::default();
    // Beginning anew is what is done about a server that fails at lists alone.
    let begins = AtomicUsize::new(0);
    let store = tape.store(&rig, move |step, _| {
        if *step == Step::Begin {
            begins.fetch_add(1, Ordering::SeqCst);
        }
        let is_out = begins.load(Ordering::SeqCst) < 2 || *step == Step::Begin;
        match step {
            Step::Begin | Step::ListUploads if is_out => Fate::Answer(503, "ServiceUnavailable"),
            _ => Fate::Pass,
        }
    });
    let daemon = crate::errors::start_on(crate::errors::config(&rig), store).await;
    ends_well(&rig, daemon).await;
    assert!(tape.count(&Step::Begin) >= 2);
    assert_eq!(tape.count(&Step::Abort(old)), 0);
    assert_eq!(tape.parts().first(), Some(&(ARRIVED + 1)));
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_begun_anew_when_something_was_stored_or_deleted_since() {
    for is_deleted in [false, true] {
        let rig = Rig::new();
        rig.write(KEY, noise(1));
        let old = broken_off(&rig).await;
        // On S3 the version of an upload stands where it began: behind this.
        match is_deleted {
            true => drop(rig.store().mark_deleted(at()).await.unwrap()),
            false => {
                let put = client(&rig.vault()).put_object().bucket(BUCKET).key(KEY);
                let put = put.body(ByteStream::from_static(b"between"));
                put.send().await.unwrap();
            }
        }
        let tape = next_run(&rig).await;
        tape.began_anew();
        assert_eq!(tape.count(&Step::Abort(old)), 1);
        let history = history(&rig.store(), KEY).await;
        assert!(history.len() == 2 && history[0] == Some(noise(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_not_the_planned_ones_are_sent_again() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let ours = broken_off(&rig).await;
    let first_bytes = arrived(&rig).await[0].bytes as usize;
    // Others of the same size, and fewer of the same bytes.
    for (number, body) in [
        (1, vec![7; first_bytes]),
        (2, noise(1)[first_bytes..first_bytes + 6_000_000].to_vec()),
    ] {
        let part = client(&rig.vault()).upload_part().bucket(BUCKET).key(KEY);
        let part = part.upload_id(&ours).part_number(number);
        part.body(ByteStream::from(body)).send().await.unwrap();
    }
    let tape = next_run(&rig).await;
    assert_eq!(tape.count(&Step::Begin), 0);
    let parts = tape.parts();
    assert!(parts.starts_with(&[1, 2, 4]), "{parts:?}");
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_does_not_lose_the_parts() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    // The copy beside it does not know which parts were acknowledged: the
    // server's own checksums tell.
    lose_folder(&rig.state_dir().join("index"));
    next_run(&rig).await.went_on();
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_and_a_changed_file_leave_nothing_behind() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    lose_folder(&rig.state_dir().join("index"));
    rig.write(KEY, "small");
    assert!(next_run(&rig).await.parts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_at_another_destination_wait_until_somebody_goes_back_there() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let ours = broken_off(&rig).await;
    let elsewhere = rig.dir.path().join("another vault");
    let mut config = rig.config();
    config.store = StoreConfig::Vault {
        path: elsewhere.clone(),
    };
    {
        let vault = Vault::open(&elsewhere).unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        let store = Store::vault(vault.http_client(), "another vault");
        let daemon = rig.start_with(config, Some(store.clone())).await;
        until("it is there, too", async || {
            counts(&store, BUCKET).await.get(KEY) == Some(&1)
        })
        .await;
        until("its own upload there is over", async || {
            noted(&daemon).len() == 1
        })
        .await;
        assert!(daemon.components().orphaned_uploads().sweep().await);
        assert_eq!(noted(&daemon).len(), 1);
        daemon.stop().await.unwrap();
    }
    assert_eq!(open(&rig).await, [ours]);
    next_run(&rig).await.went_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_can_never_be_completed_is_begun_anew() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    let bad = broken_off(&rig).await;
    let faults = Faults::new(move |seen| {
        let is_complete = super::step(&seen.method, &seen.uri) == Step::Complete;
        match is_complete && super::query(&seen.uri, "uploadId") == Some(&bad) {
            true => Fate::Answer(500, "InternalError"),
            false => Fate::Pass,
        }
    });
    // Its waits are short: the next try must not take an hour.
    let config = crate::errors::config(&rig);
    let daemon = crate::errors::start_on(config, rig.faulty_store(&faults)).await;
    ends_well(&rig, daemon).await;
    assert!(only_version(&rig).await == noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconciliation_goes_on_and_leaves_nothing_that_nobody_can_go_on_with() {
    let rig = Rig::new();
    rig.write(KEY, noise(1));
    broken_off(&rig).await;
    rig.write(REFUSED, noise(2));
    let tape = Tape::default();
    // The other one is refused, and then its abort fails as well.
    let aborts = AtomicUsize::new(0);
    let store = tape.store(&rig, move |step, is_refused| match step {
        Step::Abort(_) if is_refused && aborts.fetch_add(1, Ordering::SeqCst) == 0 => {
            Fate::Answer(400, "InvalidRequest")
        }
        Step::Part(_) if is_refused => Fate::Answer(400, "InvalidRequest"),
        _ => Fate::Pass,
    });
    let options = Options {
        store: Some(store),
        ..Options::default()
    };
    let (progress, _lines) = tokio::sync::mpsc::channel(1000);
    let done = reconcile_once(rig.config(), options, progress, Words::default()).await;
    assert_eq!(done.unwrap()[0].failed.len(), 1);
    tape.went_on();
    assert!(only_version(&rig).await == noise(1));
    let left = rig.store().open_uploads(BUCKET, "").await.unwrap();
    assert_eq!(left, []);
    with_index(&rig, |index| assert_eq!(index.multiparts(), Ok(vec![])));
}

#[test]
fn the_large_file_has_more_parts_than_arrive() {
    // The largest part that any plan makes of it.
    const { assert!(LARGE_BYTES / (16 << 20) > ARRIVED) };
}
