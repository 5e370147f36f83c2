//! Objects under shortened keys (paths too long for S3, and files that are merely
//! named like one) are compared and verified like all others.

use crate::harness::{BUCKET, Rig, finish, program, write_config};
use crate::raw::{client, versions};
use aws_sdk_s3::primitives::ByteStream;
use keepwatch::types::{RelKey, RelPath};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A record as young as this is not compared with the bucket's listing
/// (`LISTING_MARGIN_MS`): let what was stored grow older.
async fn let_records_age() {
    tokio::time::sleep(Duration::from_millis(2_100)).await;
}

fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = finish(program().arg("--config").arg(config).args(arguments));
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

/// Named after the bug: gone from the bucket, and `--reconcile` said "All is well"
/// for ever; and on a healthy bucket `verify` left one for ever without judgement.
#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_key_is_missed_altered_marked_and_verified() {
    let rig = Rig::new();
    let long = (0..6)
        .map(|n| format!("{n}{}", "d".repeat(199)))
        .collect::<Vec<_>>()
        .join("/");
    let files = [
        format!("{long}/gone"),
        format!("{long}/altered"),
        format!("marked~kw-{}", "0".repeat(32)),
        format!("deleted~kw-{}", "1".repeat(32)),
        "plain".to_owned(),
    ];
    for file in &files {
        rig.write(file, file.as_bytes());
    }
    let key = |file: &str| {
        let path = RelPath::from_bytes(file).unwrap();
        RelKey::of_file(&path).in_bucket("").key
    };
    let config = write_config(&rig, "");
    let (code, said) = run(&config, &["--reconcile"]);
    assert_eq!(code, Some(0), "{said}");
    // All files, and no manifest.
    let looked = || {
        let output = finish(
            program()
                .arg("--config")
                .arg(&config)
                .args(["verify", "*", "--json"]),
        );
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let source = &json["sources"][0];
        let number = |at: &str| source.pointer(at).unwrap().as_u64().unwrap();
        (
            output.status.code(),
            number("/progress/looked"),
            number("/moving"),
        )
    };
    assert_eq!(looked(), (Some(0), 5, 0), "each is judged, and once");

    {
        let vault = rig.vault();
        let sdk = client(&vault);
        for version in versions(&rig.store(), BUCKET).await {
            if version.key == key(&files[0]) {
                let delete = sdk.delete_object().bucket(BUCKET).key(version.key);
                let delete = delete.version_id(keepwatch::types::id_text(&version.version_id));
                delete.send().await.unwrap();
            }
        }
        let body = ByteStream::from_static(b"by hand");
        let put = sdk.put_object().bucket(BUCKET).key(key(&files[1]));
        put.body(body).send().await.unwrap();
        let delete = sdk.delete_object().bucket(BUCKET).key(key(&files[2]));
        delete.send().await.unwrap();
    }
    std::fs::remove_file(rig.path(&files[3])).unwrap();
    let_records_age().await;
    let (code, said) = run(&config, &["--reconcile"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 versions stored"), "{said}");
    assert!(said.contains("1 marked as deleted"), "{said}");
    let_records_age().await;
    let (code, said) = run(&config, &["--reconcile"]);
    assert!(
        code == Some(0) && said.contains("nothing to send"),
        "{said}"
    );
    assert_eq!(looked(), (Some(0), 4, 0));
}
