//! State folder and bucket of an earlier version of the program, opened by this one.
//!
//! Earlier versions made keys of up to 1,024 bytes, called one `soap`, and knew no
//! record of a destination's owner. What they wrote is made from what this version
//! writes: the objects under the keys that they had then, and the records of those.

use crate::harness::os::copy_tree;
use crate::harness::tree::assert_same_tree;
use crate::harness::{BUCKET, Rig, finish, program, write_config};
use crate::raw::{client, counts, versions};
use keepwatch::index::{Index, SourceId};
use keepwatch::s3::At;
use keepwatch::types::{ContentHash, FullKey, Record, RelKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// S3's limit on a key, which was the program's.
const OLD_KEY_BYTES_MAX: usize = 1024;

/// A file whose object somebody took away: the earlier version never missed one that was
/// shortened.
const GONE: &str = "gone~kw-";

/// Older than what a comparison leaves out for being too young.
const HOUR_MS: i64 = 60 * 60 * 1_000;

fn is_marked_as_shortened(key: &str) -> bool {
    let (_, tail) = key.rsplit_once("~kw-").unwrap_or_default();
    tail.len() == 32 && tail.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The key that the earlier version gave a file's path, by its rule in words: full when
/// it fits and does not look shortened, else its beginning and the path's hash.
fn old_key(key: &RelKey) -> (String, bool) {
    let full = key.as_str();
    if full.len() <= OLD_KEY_BYTES_MAX && !is_marked_as_shortened(full) {
        return (full.to_owned(), false);
    }
    let tail = format!("~kw-{}", &ContentHash::of(full.as_bytes()).to_hex()[..32]);
    let end = full.floor_char_boundary(full.len().min(OLD_KEY_BYTES_MAX - tail.len()));
    let begin = full[..end].trim_end_matches('/');
    (format!("{begin}{tail}"), true)
}

/// A path of folders with so many bytes.
fn path_of(bytes: usize, letter: &str) -> String {
    let folders = format!("{}/", letter.repeat(99 / letter.len())).repeat(bytes / 100);
    format!("{folders}{}", "x".repeat(bytes - folders.len()))
}

fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = finish(program().arg("--config").arg(config).args(arguments));
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

/// The index of the only source.
fn index(rig: &Rig) -> (Index, SourceId) {
    let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
    let mut ids = (0..100).map(SourceId);
    let id = ids.find(|id| index.counts(*id).files > 0).unwrap();
    (index, id)
}

fn change_records(rig: &Rig, change: impl Fn(&RelKey, Record) -> Record) {
    let (index, id) = index(rig);
    let all: Vec<(RelKey, Record)> = index.range(id, "", None).map(Result::unwrap).collect();
    for (key, record) in all {
        let record = change(&key, record);
        index.update(id, &key, record).unwrap();
    }
    index.flush().unwrap();
}

/// As if everything had been stored an hour ago.
fn age(rig: &Rig) {
    change_records(rig, |_, record| Record {
        stored_at_ms: record.stored_at_ms - HOUR_MS,
        ..record
    });
}

/// Bucket and index as the earlier version had them.
async fn make_old(rig: &Rig) {
    let store = rig.store();
    let sdk = client(&rig.vault());
    let keys: Vec<RelKey> = {
        let (index, id) = index(rig);
        index.source_state_set(id, "owner", &Value::Null).unwrap();
        index.flush().unwrap();
        let all = index.range(id, "", None);
        all.map(|entry| entry.unwrap().0).collect()
    };
    let mut stored = BTreeMap::new();
    for key in keys {
        let now = key.in_bucket("");
        let (old, is_shortened) = old_key(&key);
        if old == now.key {
            continue;
        }
        let at = At {
            bucket: BUCKET,
            key: &now.key,
        };
        let mut meta = store.head(at, None).await.unwrap().unwrap().meta.unwrap();
        meta.full_key = is_shortened.then(|| FullKey::Whole(key.as_str().to_owned()));
        let body = sdk.get_object().bucket(BUCKET).key(&now.key);
        let body = body.send().await.unwrap().body.collect().await.unwrap();
        let put = sdk.put_object().bucket(BUCKET).key(&old);
        let put = put.body(body.into_bytes().into());
        let put = put.set_metadata(Some(meta.to_headers().into_iter().collect()));
        let put = put.send().await.unwrap();
        stored.insert(
            key,
            (
                put.version_id().and_then(keepwatch::types::VersionId::new),
                keepwatch::types::ETag::of_header(put.e_tag()),
            ),
        );
        remove(rig, &now.key).await;
    }
    assert_eq!(stored.len(), 4, "those whose keys differ: {stored:?}");
    remove(rig, GONE).await;
    // It wrote no such record; the manifest is of what is not there any more.
    remove(rig, ".keepwatch/").await;
    change_records(rig, |key, record| match stored.get(key) {
        Some((version_id, etag)) => Record {
            version_id: version_id.clone(),
            etag: etag.clone(),
            ..record
        },
        None => record,
    });
    age(rig);
}

/// All versions of what begins so, gone for good.
async fn remove(rig: &Rig, prefix: &str) {
    let sdk = client(&rig.vault());
    let page = rig.store().list_versions(BUCKET, prefix, None).await;
    for version in page.unwrap().items {
        let delete = sdk.delete_object().bucket(BUCKET).key(version.key);
        delete
            .version_id(keepwatch::types::id_text(&version.version_id))
            .send()
            .await
            .unwrap();
    }
}

#[track_caller]
fn restores(rig: &Rig, config: &Path, name: &str, more: &[&str], without: &[&str]) {
    let to = rig.dir.path().join(name);
    let arguments = [&["restore", "--to", to.to_str().unwrap()], more].concat();
    let (code, said) = run(config, &arguments);
    assert!(code == Some(0) && said.contains("All is well"), "{said}");
    let want = rig.dir.path().join(format!("{name} is wanted"));
    copy_tree(&rig.root(), &want);
    for entry in fs::read_dir(&want).unwrap() {
        let entry = entry.unwrap();
        let is_without = |begin: &&str| entry.file_name().to_string_lossy().starts_with(*begin);
        if without.iter().any(is_without) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    assert_same_tree(&to, &want);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_stored_by_longer_keys_is_stored_once_more_and_comes_back() {
    let rig = Rig::new();
    let files = [
        "plain.txt".to_owned(),
        "soap".to_owned(),
        format!("marked~kw-{}", "0".repeat(32)),
        format!("{GONE}{}", "1".repeat(32)),
        path_of(1_003, "a"),
        path_of(1_015, "b"),
        path_of(1_024, "c"),
        path_of(1_310, "d"),
    ];
    for file in &files {
        rig.write(file, file.as_bytes());
    }
    let config = write_config(&rig, "");
    let (code, said) = run(&config, &["--reconcile"]);
    assert_eq!(code, Some(0), "{said}");
    make_old(&rig).await;
    let old = versions(&rig.store(), BUCKET).await;
    assert_eq!(old.len(), files.len() - 1);
    let then_ms = old.iter().map(|version| version.modified_ms).max().unwrap();
    restores(&rig, &config, "before", &[], &[GONE]);

    let reconcile = |want: &str| {
        let (code, said) = run(&config, &["--reconcile"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("All is well") && said.contains(want),
            "{said}"
        );
    };
    reconcile("5 versions stored");
    let now = counts(&rig.store(), BUCKET).await;
    // What was stored stays, and each is once under the key that it has today.
    assert_eq!(now.len(), old.len() + 5, "{now:?}");
    assert!(now.values().all(|count| *count == 1), "{now:?}");
    let all = versions(&rig.store(), BUCKET).await;
    assert!(all.iter().all(|version| !version.is_marker));
    for _ in 0..2 {
        age(&rig);
        reconcile("nothing to send");
    }
    let (code, said) = run(&config, &["verify", "--deep"]);
    assert!(code == Some(0) && said.contains("All is well"), "{said}");
    // The list alone says the same.
    rig.lose_state();
    reconcile("nothing to send");
    assert_eq!(
        versions(&rig.store(), BUCKET).await,
        all,
        "nothing is sent twice"
    );

    restores(&rig, &config, "after", &[], &[]);
    let at = jiff::Timestamp::from_millisecond(then_ms.0).unwrap();
    restores(&rig, &config, "then", &["--at", &at.to_string()], &[GONE]);
}
