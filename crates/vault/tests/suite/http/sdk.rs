//! What Keepwatch needs of an S3, asked for through the SDK it uses. Run
//! against the vault in-process and over HTTP: both must answer alike.

use super::{BUCKET, code, put, text, versioned_bucket};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload,
    CompletedPart, Delete, EncodingType, MetadataDirective, ObjectIdentifier,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use std::path::Path;

const MIB: usize = 1 << 20;

/// The MD5 of `0123456789`.
const ETAG: &str = "\"781e5e245d69b566979b86e28d23f2c7\"";

/// What Keepwatch needs of an S3, through the SDK it uses.
pub(super) async fn everything(client: &Client, folder: &Path) {
    versioned_bucket(client).await;
    buckets(client).await;
    let key = "Büro/a b+c.csv";
    let plain = folder.join(BUCKET).join(key);
    let ids = deleting(client, key, &plain).await;
    undoing(client, key, &plain, &ids).await;
    digests_and_headers(client).await;
    ranges_and_conditions(client).await;
    streams_with_trailers(client, folder).await;
    copies(client).await;
    multipart(client, folder).await;
    aborting(client).await;
    listings(client).await;
    deleting_many(client).await;
}

/// As a checksum header has it.
fn sha256(bytes: &[u8]) -> String {
    BASE64.encode(Sha256::digest(bytes))
}

async fn buckets(client: &Client) {
    let again = client.create_bucket().bucket(BUCKET).send().await;
    assert_eq!(code(again), "BucketAlreadyOwnedByYou");
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let state = client.get_bucket_versioning().bucket(BUCKET).send().await;
    assert_eq!(state.unwrap().status, Some(BucketVersioningStatus::Enabled));
    let all = client.list_buckets().send().await.unwrap();
    assert_eq!(all.buckets()[0].name(), Some(BUCKET));
    let absent = client.get_object().bucket("absent").key("k").send().await;
    assert_eq!(code(absent), "NoSuchBucket");
    let absent = client.put_object().bucket("absent").key("k").send().await;
    assert_eq!(code(absent), "NoSuchBucket");
    let full = client.delete_bucket().bucket("absent").send().await;
    assert_eq!(code(full), "NoSuchBucket");
}

/// Two versions and a marker; their ids.
async fn deleting(client: &Client, key: &str, plain: &Path) -> [String; 3] {
    let first = put(client, key, "one").await;
    let second = put(client, key, "two").await;
    assert_eq!(std::fs::read_to_string(plain).unwrap(), "two");
    assert_eq!(text(client, key, Some(&first)).await, "one");
    let marker = client
        .delete_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(marker.delete_marker, Some(true));
    let marker = marker.version_id.unwrap();
    assert!(!plain.exists());
    let gone = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap_err();
    let raw = gone.raw_response().unwrap();
    assert_eq!(raw.headers().get("x-amz-delete-marker"), Some("true"));
    assert_eq!(raw.headers().get("x-amz-version-id"), Some(marker.as_str()));
    assert!(gone.into_service_error().is_no_such_key());
    let head = client.head_object().bucket(BUCKET).key(key).send().await;
    assert!(head.unwrap_err().into_service_error().is_not_found());
    let get_marker = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .version_id(&marker);
    assert_eq!(code(get_marker.send().await), "MethodNotAllowed");
    let never = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .version_id("f".repeat(32));
    assert_eq!(code(never.send().await), "NoSuchVersion");
    [first, second, marker]
}

/// Taking them away again, newest first.
async fn undoing(client: &Client, key: &str, plain: &Path, ids: &[String; 3]) {
    let [first, second, marker] = ids;
    let listed = client
        .list_object_versions()
        .bucket(BUCKET)
        .prefix(key)
        .send()
        .await
        .unwrap();
    let ids: Vec<_> = listed
        .versions()
        .iter()
        .filter_map(|v| v.version_id())
        .collect();
    assert_eq!(ids, [second, first]);
    assert_eq!(listed.versions()[0].is_latest(), Some(false));
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));
    // Without its marker it is there again.
    let undone = client
        .delete_object()
        .bucket(BUCKET)
        .key(key)
        .version_id(marker);
    assert_eq!(undone.send().await.unwrap().delete_marker, Some(true));
    assert_eq!(text(client, key, None).await, "two");
    assert_eq!(std::fs::read_to_string(plain).unwrap(), "two");
    let newest = client
        .delete_object()
        .bucket(BUCKET)
        .key(key)
        .version_id(second);
    newest.send().await.unwrap();
    assert_eq!(text(client, key, None).await, "one");
    assert_eq!(std::fs::read_to_string(plain).unwrap(), "one");
}

async fn digests_and_headers(client: &Client) {
    let key = "meta";
    let put = |digest: String| {
        client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .content_type("text/csv")
            .content_encoding("gzip")
            .cache_control("no-store")
            .content_disposition("attachment")
            .content_language("de")
            .metadata("kw-mtime", "17")
            .metadata("kw-name", "Büro")
            .checksum_sha256(digest)
            .body(ByteStream::from_static(b"0123456789"))
            .send()
    };
    let sent = put(sha256(b"other")).await;
    // The digest is of other bytes: nothing is stored.
    assert_eq!(code(sent), "BadDigest");
    let head = client.head_object().bucket(BUCKET).key(key).send().await;
    assert!(head.unwrap_err().into_service_error().is_not_found());
    let digest = sha256(b"0123456789");
    put(digest.clone()).await.unwrap();
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key(key)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(10));
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.cache_control(), Some("no-store"));
    assert_eq!(head.content_disposition(), Some("attachment"));
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.checksum_sha256(), Some(digest.as_str()));
    assert_eq!(head.metadata().unwrap()["kw-mtime"], "17");
    assert_eq!(head.e_tag(), Some(ETAG));
}

async fn ranges_and_conditions(client: &Client) {
    let key = "meta";
    for (range, expected) in [
        ("bytes=2-4", "234"),
        ("bytes=8-", "89"),
        ("bytes=-3", "789"),
    ] {
        let part = client
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .range(range)
            .send()
            .await
            .unwrap();
        assert_eq!(
            part.body.collect().await.unwrap().into_bytes(),
            expected.as_bytes()
        );
    }
    let beyond = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .range("bytes=10-");
    assert_eq!(code(beyond.send().await), "InvalidRange");
    let other = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .if_match("\"other\"");
    assert_eq!(code(other.send().await), "PreconditionFailed");
    let same = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .if_none_match(ETAG);
    let unchanged = same.send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let exists = client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .if_none_match("*");
    assert_eq!(code(exists.send().await), "PreconditionFailed");
    let long = client.put_object().bucket(BUCKET).key("x".repeat(1025));
    assert_eq!(code(long.send().await), "KeyTooLongError");
}

/// A file as body goes out in aws-chunked frames with a trailing checksum.
async fn streams_with_trailers(client: &Client, folder: &Path) {
    let source = folder.join("source.bin");
    let content: Vec<u8> = (0..3 * MIB).map(|n| (n % 251) as u8).collect();
    std::fs::write(&source, &content).unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let body = ByteStream::from_path(&source).await.unwrap();
        client
            .put_object()
            .bucket(BUCKET)
            .key("stream")
            .checksum_algorithm(algorithm)
            .body(body)
            .send()
            .await
            .unwrap();
        // The SDK checks what comes back against the checksum that comes with it.
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("stream")
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_encoding(), None);
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), content);
    }
    let empty = put(client, "empty", "").await;
    assert_eq!(text(client, "empty", Some(&empty)).await, "");
}

async fn copies(client: &Client) {
    let old = put(client, "copy/source", "old").await;
    put(client, "copy/source", "new").await;
    let copied = client
        .copy_object()
        .bucket(BUCKET)
        .key("copy/target")
        .copy_source(format!("{BUCKET}/copy/source?versionId={old}"))
        .send()
        .await
        .unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(old.as_str()));
    assert_eq!(text(client, "copy/target", None).await, "old");
    let onto_itself = || {
        client
            .copy_object()
            .bucket(BUCKET)
            .key("copy/source")
            .copy_source(format!("{BUCKET}/copy/source"))
    };
    assert_eq!(code(onto_itself().send().await), "InvalidRequest");
    onto_itself()
        .metadata_directive(MetadataDirective::Replace)
        .metadata("kw-new", "yes")
        .send()
        .await
        .unwrap();
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("copy/source")
        .send()
        .await
        .unwrap();
    assert_eq!(head.metadata().unwrap()["kw-new"], "yes");
    assert_eq!(text(client, "copy/source", None).await, "new");
    let absent = client
        .copy_object()
        .bucket(BUCKET)
        .key("copy/target")
        .copy_source(format!("{BUCKET}/copy/nothing"));
    assert_eq!(code(absent.send().await), "NoSuchKey");
}

async fn begin(client: &Client, key: &str) -> String {
    let begun = client.create_multipart_upload().bucket(BUCKET).key(key);
    begun
        .metadata("kw-size", "1")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap()
}

async fn part(
    client: &Client,
    key: &str,
    id: &str,
    number: i32,
    content: Vec<u8>,
) -> CompletedPart {
    let sent = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .body(ByteStream::from(content))
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(sent.e_tag)
        .set_checksum_crc32(sent.checksum_crc32)
        .build()
}

async fn copied_part(client: &Client, key: &str, id: &str) -> CompletedPart {
    let copied = client
        .upload_part_copy()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(3)
        .copy_source(format!("{BUCKET}/meta"))
        .copy_source_range("bytes=2-4")
        .send()
        .await
        .unwrap();
    let three = copied.copy_part_result.unwrap();
    CompletedPart::builder()
        .part_number(3)
        .set_e_tag(three.e_tag)
        .set_checksum_crc32(three.checksum_crc32)
        .build()
}

async fn multipart(client: &Client, folder: &Path) {
    let key = "big/file.bin";
    let id = begin(client, key).await;
    let (first, last) = (vec![1u8; 5 * MIB], vec![2u8; 1000]);
    let one = part(client, key, &id, 1, first.clone()).await;
    part(client, key, &id, 2, vec![9; 10]).await;
    let two = part(client, key, &id, 2, last.clone()).await;
    let three = copied_part(client, key, &id).await;
    let parts = client
        .list_parts()
        .bucket(BUCKET)
        .key(key)
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let sizes: Vec<_> = parts.parts().iter().filter_map(|p| p.size()).collect();
    assert_eq!(sizes, [5 * MIB as i64, 1000, 3]);
    let complete = |list: Vec<&CompletedPart>| {
        let list = list.into_iter().cloned().collect();
        client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .upload_id(&id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(list))
                    .build(),
            )
    };
    assert_eq!(
        code(complete(vec![&two, &one]).send().await),
        "InvalidPartOrder"
    );
    assert_eq!(
        code(complete(vec![&one, &two, &three]).send().await),
        "EntityTooSmall"
    );
    let foreign = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"x\"")
        .build();
    assert_eq!(code(complete(vec![&foreign]).send().await), "InvalidPart");
    let done = complete(vec![&one, &two]).send().await.unwrap();
    assert!(
        done.e_tag().unwrap().ends_with("-2\""),
        "{:?}",
        done.e_tag()
    );
    let whole = [first, last].concat();
    assert_eq!(std::fs::read(folder.join(BUCKET).join(key)).unwrap(), whole);
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .part_number(2)
        .send()
        .await
        .unwrap();
    assert_eq!(got.parts_count(), Some(2));
    assert_eq!(
        got.body.collect().await.unwrap().into_bytes(),
        vec![2u8; 1000]
    );
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(head.metadata().unwrap()["kw-size"], "1");
    // The answer may have been lost: completing again is the same version.
    let again = complete(vec![&one, &two]).send().await.unwrap();
    assert_eq!(again.version_id(), done.version_id());
}

async fn aborting(client: &Client) {
    let id = begin(client, "big/aborted").await;
    let under_way = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(under_way.uploads()[0].upload_id(), Some(id.as_str()));
    let abort = || {
        client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("big/aborted")
            .upload_id(&id)
    };
    abort().send().await.unwrap();
    assert_eq!(code(abort().send().await), "NoSuchUpload");
}

async fn listings(client: &Client) {
    for key in ["l/a", "l/a/b", "l/a-b", "l/z z", "l/é\u{1}"] {
        put(client, key, key).await;
    }
    let mut keys = Vec::new();
    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("l/")
        .max_keys(2)
        .encoding_type(EncodingType::Url)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        keys.extend(
            page.unwrap()
                .contents()
                .iter()
                .map(|o| o.key().unwrap().to_owned()),
        );
    }
    assert_eq!(keys, ["l/a", "l/a-b", "l/a/b", "l/z%20z", "l/%C3%A9%01"]);
    let folders = client
        .list_objects_v2()
        .bucket(BUCKET)
        .delimiter("/")
        .send()
        .await
        .unwrap();
    let prefixes: Vec<_> = folders
        .common_prefixes()
        .iter()
        .filter_map(|p| p.prefix())
        .collect();
    assert_eq!(prefixes, ["Büro/", "big/", "copy/", "l/"]);
}

async fn deleting_many(client: &Client) {
    let objects =
        ["l/a", "l/a/b", "l/none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(objects.into()))
        .build()
        .unwrap();
    let deleted = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert!(deleted.errors().is_empty());
    let left = client
        .list_objects()
        .bucket(BUCKET)
        .prefix("l/")
        .encoding_type("url".into())
        .send()
        .await;
    assert_eq!(left.unwrap().contents().len(), 3);
    assert_eq!(
        code(client.delete_bucket().bucket(BUCKET).send().await),
        "BucketNotEmpty"
    );
}
