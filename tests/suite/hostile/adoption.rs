//! A daemon whose bucket somebody else has filled first: it adopts what is
//! really there, leaves the rest alone, and the user's files are untouched.

use crate::harness::{
    BUCKET, Rig, at_rest, claim, finish, history, on_disk, program, scan_whole, until, write_config,
};
use crate::raw::{client, marked};
use crate::restore::bench::Object;
use aws_sdk_s3::primitives::ByteStream;
use keepwatch::index::{Change, Index};
use keepwatch::types::{RelKey, RelPath};

async fn put(rig: &Rig, key: &str, object: &Object, fields: &[(&str, &str)]) {
    let mut headers = object.meta.to_headers();
    for (name, value) in fields {
        headers.insert((*name).to_owned(), (*value).to_owned());
    }
    let put = client(&rig.vault()).put_object().bucket(BUCKET).key(key);
    put.set_metadata(Some(headers.into_iter().collect()))
        .set_content_encoding(object.gzip.then(|| "gzip".to_owned()))
        .body(ByteStream::from(object.body.clone()))
        .send()
        .await
        .unwrap();
}

/// What a stranger has put where this source is about to be backed up.
async fn fill(rig: &Rig) {
    // Else it would be somebody else's destination.
    claim(rig).await;
    let evil = Object::file(b"evil");
    let shortened = format!("x~kw-{}", "0".repeat(32));
    for (key, object, fields) in [
        ("../up", &evil, &[][..]),
        ("/etc/passwd", &evil, &[]),
        ("a//b", &evil, &[]),
        ("%2E%2E/up", &evil, &[]),
        ("a%00b", &evil, &[]),
        // Of another kind than what is there, of the future, and broken.
        ("file.txt", &Object::link(b"/etc/passwd"), &[]),
        ("folder", &evil, &[]),
        ("folder/new.txt", &evil, &[("kw-format", "2")]),
        ("broken.txt", &evil, &[("kw-sha256", "12")]),
        ("size.txt", &evil, &[("kw-size", "9223372036854775807")]),
        (
            "mtime.txt",
            &evil,
            &[("kw-mtime-ns", "-9223372036854775808")],
        ),
        // It claims to be the long path of a file that is really there.
        (&shortened, &evil, &[("kw-key", "file.txt")]),
    ] {
        put(rig, key, object, fields).await;
    }
}

fn files(rig: &Rig) {
    for name in [
        "file.txt",
        "folder/new.txt",
        "broken.txt",
        "size.txt",
        "mtime.txt",
    ] {
        rig.write(name, format!("mine: {name}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_in_a_bucket_of_lies() {
    let rig = Rig::new();
    files(&rig);
    fill(&rig).await;
    let before = on_disk(&rig.root());
    let daemon = rig.start().await;
    until("everything is at rest", async || at_rest(&daemon)).await;
    let ctx = daemon.components().clone();
    let scan = ctx.sources[0].status.snapshot().last_scan.unwrap();
    assert!(scan.complete() && scan.listed_whole, "{scan:?}");
    assert_eq!(scan.foreign, 6, "{scan:?}");
    assert_eq!(ctx.index.unprotected(ctx.sources[0].id, 10).unwrap().1, 0);
    daemon.stop().await.unwrap();
    assert_eq!(
        on_disk(&rig.root()),
        before,
        "the user's files are read only"
    );
    let store = rig.store();
    for path in [
        "file.txt",
        "folder/new.txt",
        "broken.txt",
        "size.txt",
        "mtime.txt",
    ] {
        let newest = history(&store, path).await.swap_remove(0);
        let mine = format!("mine: {path}").into_bytes();
        assert_eq!(newest, Some(mine), "{path}");
    }
    // The stranger's keys are as they were; only what claims to be a file of
    // this source that is not there (`folder` is a folder) may be marked.
    for key in ["../up", "/etc/passwd", "a//b", "%2E%2E/up"] {
        assert_eq!(
            history(&store, key).await,
            [Some(b"evil".to_vec())],
            "{key}"
        );
    }
    assert!(
        marked(&store, BUCKET)
            .await
            .iter()
            .all(|key| key == "folder")
    );
}

/// A shortened key that claims somebody else's path was believed by the scan
/// (not by restore): the record of the real file was thrown into doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_key_that_claims_another_path_casts_no_doubt_on_it() {
    let rig = Rig::new();
    rig.write("file.txt", "mine");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let ctx = daemon.components().clone();
    let key = RelKey::of_file(&RelPath::from_bytes("file.txt").unwrap());
    // What a look at the path, or a new version of it, would change.
    let record = || {
        let record = ctx.index.get(ctx.sources[0].id, &key).unwrap().unwrap();
        (
            record.content,
            record.version_id,
            record.etag,
            record.stored_at_ms,
        )
    };
    let before = record();
    let liar = format!("x~kw-{}", "0".repeat(32));
    put(
        &rig,
        &liar,
        &Object::file(b"evil"),
        &[("kw-key", "file.txt")],
    )
    .await;
    // Old enough to be compared with the listing.
    until("the record is old enough", async || {
        ctx.clock.now_ms() - before.3 > 2_100
    })
    .await;
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert_eq!(scan.foreign, 1, "{scan:?}");
    assert_eq!(record(), before);
    assert_eq!(history(&rig.store(), "file.txt").await.len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_in_a_bucket_of_lies() {
    let rig = Rig::new();
    files(&rig);
    fill(&rig).await;
    let config = write_config(&rig, "");
    let run = || {
        let config = config.clone();
        tokio::task::spawn_blocking(move || {
            finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]))
        })
    };
    for expected in ["5 versions stored", "nothing to send"] {
        let output = run().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let newest = history(&rig.store(), "file.txt").await.swap_remove(0);
    assert_eq!(newest, Some(b"mine: file.txt".to_vec()));
}

/// A folder of the user's called `.keepwatch` was stored under that name before
/// Keepwatch kept objects of its own there.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_called_like_our_own_gets_its_new_keys_at_an_upgrade() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    rig.write(".keepwatch/mine.txt", "mine");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let id = daemon.components().sources[0].id;
    daemon.stop().await.unwrap();
    // As an earlier version had left bucket and index.
    let (new, old) = ("%2Ekeepwatch/mine.txt", ".keepwatch/mine.txt");
    let client = client(&rig.vault());
    for version in rig
        .store()
        .list_versions(BUCKET, new, None)
        .await
        .unwrap()
        .items
    {
        let gone = client.delete_object().bucket(BUCKET).key(new);
        gone.version_id(keepwatch::types::id_text(&version.version_id))
            .send()
            .await
            .unwrap();
    }
    put(&rig, old, &Object::file(b"mine"), &[]).await;
    put(
        &rig,
        ".keepwatch/gone.txt",
        &Object::file(b"was there"),
        &[],
    )
    .await;
    {
        let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
        let new = RelKey::parse(new).unwrap();
        let old: RelKey = serde_json::from_value(old.into()).unwrap();
        let record = index.get(id, &new).unwrap().unwrap();
        index.update(id, &old, record).unwrap();
        index
            .commit(id, &new, Change::Remove, &Default::default())
            .unwrap();
    }
    let daemon = rig.start().await;
    until("it has its new key", async || {
        at_rest(&daemon) && history(&rig.store(), new).await == [Some(b"mine".to_vec())]
    })
    .await;
    let scan = scan_whole(&daemon.components().sources[0], false).await;
    assert_eq!(scan.foreign, 2, "the older ones are counted: {scan:?}");
    let ctx = daemon.components();
    let record = ctx.index.get(id, &RelKey::parse(new).unwrap()).unwrap();
    assert!(record.is_some_and(|record| record.content.is_some()));
    daemon.stop().await.unwrap();
    // Nothing was lost, sent twice, or marked as deleted.
    let store = rig.store();
    assert_eq!(history(&store, "a.txt").await.len(), 1);
    for (key, content) in [(old, "mine"), (".keepwatch/gone.txt", "was there")] {
        assert_eq!(history(&store, key).await, [Some(content.into())], "{key}");
    }
}
