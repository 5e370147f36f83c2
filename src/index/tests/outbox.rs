//! Outbox, multiparts, small state.

use super::*;
use crate::types::WallMs;
use serde_json::json;

fn message(n: u64) -> OutboxMessage {
    OutboxMessage {
        subject: format!("digest {n}"),
        body: "all is well".into(),
        created_ms: WallMs(n as i64),
    }
}

#[test]
fn messages_leave_in_order_and_survive_a_restart() {
    let (_dir, root) = state();
    let index = open(&root);
    for n in 0..3 {
        index.outbox_push(&message(n)).unwrap();
    }
    let (id, first) = index.outbox_peek().unwrap().unwrap();
    assert_eq!(first, message(0));
    assert_eq!(index.outbox_remove(id), Ok(true));
    assert_eq!(index.outbox_remove(id), Ok(false));
    drop(index);
    let index = open(&root);
    assert_eq!(index.outbox_len(), 2);
    let (next, second) = index.outbox_peek().unwrap().unwrap();
    assert_eq!((second, next > id), (message(1), true));
}

#[test]
fn a_message_that_no_topic_would_take_is_refused() {
    let (_dir, root) = state();
    let index = open(&root);
    let huge = OutboxMessage {
        body: "x".repeat(OUTBOX_BODY_BYTES_MAX + 1),
        ..message(1)
    };
    assert_eq!(index.outbox_push(&huge).unwrap_err().class, Class::Refused);
}

fn begun(source: SourceId, key: &RelKey, upload_id: &str) -> Multipart {
    Multipart::of(source, key, upload_id, ("bucket", "p/a"))
}

#[test]
fn multiparts_are_known_until_they_end() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for (name, upload) in [("a", "u1"), ("a", "u2"), ("a\u{1F5C4}", "u1")] {
        let k = key(name);
        index
            .multipart_begin(Multipart::of(
                source,
                &k,
                upload,
                ("bucket", &format!("p/{name}")),
            ))
            .unwrap();
    }
    index.multipart_end(source, &key("a"), "u1").unwrap();
    drop(index);
    let index = open(&root);
    let left: Vec<_> = index
        .multiparts()
        .unwrap()
        .into_iter()
        .map(|m| (m.key.as_str().to_owned(), m.upload_id, m.bucket_key))
        .collect();
    let want = [("a", "u2", "p/a"), ("a\u{1F5C4}", "u1", "p/a\u{1F5C4}")];
    assert_eq!(left, want.map(|(k, u, b)| (k.into(), u.into(), b.into())));
    // Where they are does not change when the source does.
    index.source_id("docs", "elsewhere", "", "aws").unwrap();
    assert_eq!(index.multiparts().unwrap().len(), 2);
}

#[test]
fn a_fresh_index_knows_the_uploads_of_the_one_that_was_lost() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for upload in ["u1", "u2"] {
        index
            .multipart_begin(begun(source, &key("a"), upload))
            .unwrap();
    }
    index
        .multipart_intend(source, &key("b"), ("bucket", "p/b"), WallMs(7))
        .unwrap();
    index.multipart_end(source, &key("a"), "u1").unwrap();
    let known = index.multiparts().unwrap();
    drop(index);
    std::fs::remove_dir_all(&root).unwrap();
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Fresh);
    assert_eq!(index.multiparts().unwrap(), known);
    assert_eq!(known.len(), 2);
    // A copy that cannot be read is no reason not to start.
    drop(index);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(root.with_file_name("uploads.json"), b"[{").unwrap();
    assert_eq!(open(&root).multiparts().unwrap(), []);
}

#[test]
fn acknowledged_parts_live_and_end_with_their_upload() {
    let (_dir, root) = state();
    let index = open(&root);
    let (source, k) = (docs(&index), key("a"));
    let part = |number: i32| AcknowledgedPart {
        number,
        etag: format!("e{number}"),
        crc64: crate::types::Crc64(number as u64),
        bytes: 8,
    };
    let add = |upload: &str, number| {
        index
            .part_acknowledged(source, &k, upload, &part(number))
            .unwrap();
    };
    for upload in ["u", "u1"] {
        index.multipart_begin(begun(source, &k, upload)).unwrap();
    }
    // More than are read at a time.
    (1..=600).for_each(|number| add("u", number));
    add("u1", 7);
    add("unknown", 7);
    let of = |upload: &str| {
        index
            .parts_acknowledged(&begun(source, &k, upload))
            .unwrap()
    };
    assert_eq!(of("u"), (1..=600).map(part).collect::<Vec<_>>());
    assert_eq!((of("u1"), of("unknown")), (vec![part(7)], vec![]));
    index.multipart_end(source, &k, "u").unwrap();
    assert_eq!((of("u"), of("u1")), (vec![], vec![part(7)]));
    // What comes late belongs to nobody.
    add("u", 8);
    index.multipart_update(begun(source, &k, "u")).unwrap();
    assert_eq!((of("u"), index.multiparts().unwrap().len()), (vec![], 1));
    // It is part of what makes an index whole.
    drop(index);
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    let left = index.parts_acknowledged(&begun(source, &k, "u1"));
    assert_eq!(left, Ok(vec![part(7)]));
}

#[test]
fn a_note_says_on_which_server_its_upload_is() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    index
        .multipart_begin(begun(source, &key("a"), "u1"))
        .unwrap();
    assert_eq!(index.multiparts().unwrap()[0].destination, "aws");
    let here = index.multiparts_at(source, "bucket", "p/a").unwrap();
    assert_eq!(here.len(), 1);
    assert_eq!(index.multiparts_at(source, "bucket", "p/b"), Ok(vec![]));
    assert_eq!(index.multiparts_at(source, "b", "p/a"), Ok(vec![]));
    // The same bucket on another server is another one.
    let moved = index.source_id("docs", "bucket", "", "elsewhere").unwrap();
    assert_eq!(index.multiparts_at(moved, "bucket", "p/a"), Ok(vec![]));
    // A note of an earlier version does not say.
    let old = r#"[{"source":9,"key":"a","upload_id":"u0","bucket":"bucket","bucket_key":"p/a"}]"#;
    drop(index);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(root.with_file_name("uploads.json"), old).unwrap();
    let index = open(&root);
    let source = docs(&index);
    let found = index.multiparts_at(source, "bucket", "p/a").unwrap();
    assert_eq!(
        found,
        [Multipart {
            source: SourceId(9),
            ..begun(source, &key("a"), "u0")
        }]
    );
}

#[test]
fn a_copy_of_the_uploads_that_cannot_be_written_stops_no_upload() {
    let (_dir, root) = state();
    let index = open(&root);
    let (source, k) = (docs(&index), key("a"));
    std::fs::create_dir(root.with_file_name("uploads.json")).unwrap();
    assert_eq!(
        index.multipart_intend(source, &k, ("bucket", "p/a"), WallMs(7)),
        Ok(false)
    );
    assert_eq!(index.multipart_begin(begun(source, &k, "u1")), Ok(()));
    assert_eq!(index.multiparts().unwrap().len(), 2);
    assert_eq!(index.multipart_end(source, &k, "u1"), Ok(()));
    assert_eq!(index.multiparts().unwrap().len(), 1);
    // The note itself is another matter.
    index.engine().unwrap().damaged("gone");
    assert!(index.multipart_begin(begun(source, &k, "u2")).is_err());
    assert!(
        index
            .multipart_intend(source, &k, ("b", "p/a"), WallMs(7))
            .is_err()
    );
    assert!(index.multipart_end(source, &k, "u1").is_err());
}

#[test]
fn small_state_is_kept_apart_by_source() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    index.state_set("digest", &json!(1)).unwrap();
    index
        .source_state_set(source, "digest", &json!({"at": 2}))
        .unwrap();
    assert_eq!(index.state_get("digest"), Ok(Some(json!(1))));
    assert_eq!(
        index.source_state_get(source, "digest"),
        Ok(Some(json!({"at": 2})))
    );
    assert_eq!(index.state_get("never"), Ok(None));
}
