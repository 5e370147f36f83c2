//! Outbox, multiparts, small state.

use super::*;
use serde_json::json;

fn message(n: u64) -> OutboxMessage {
    OutboxMessage {
        subject: format!("digest {n}"),
        body: "all is well".into(),
        created_ms: n as i64,
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
fn a_full_outbox_drops_the_oldest_and_says_so() {
    let (_dir, root) = state();
    let index = open(&root);
    for n in 0..OUTBOX_MAX + 3 {
        index.outbox_push(&message(n)).unwrap();
    }
    drop(index);
    let index = open(&root);
    assert_eq!(
        (index.outbox_len(), index.outbox_dropped()),
        (OUTBOX_MAX, 3)
    );
    assert_eq!(index.outbox_peek().unwrap().unwrap().1, message(3));
    index.outbox_dropped_reported(2).unwrap();
    assert_eq!(index.outbox_dropped(), 1);
    let huge = OutboxMessage {
        body: "x".repeat(OUTBOX_BODY_BYTES_MAX + 1),
        ..message(1)
    };
    assert_eq!(index.outbox_push(&huge).unwrap_err().class, Class::Refused);
}

#[test]
fn multiparts_are_known_until_they_end() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for (name, upload) in [("a", "u1"), ("a", "u2"), ("a\u{1F5C4}", "u1")] {
        let k = key(name);
        index
            .multipart_begin(source, &k, upload, "bucket", &format!("p/{name}"))
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
            .multipart_begin(source, &key("a"), upload, "bucket", "p/a")
            .unwrap();
    }
    index
        .multipart_intend(source, &key("b"), "bucket", "p/b", 7)
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
fn a_copy_of_the_uploads_that_cannot_be_written_stops_no_upload() {
    let (_dir, root) = state();
    let index = open(&root);
    let (source, k) = (docs(&index), key("a"));
    std::fs::create_dir(root.with_file_name("uploads.json")).unwrap();
    assert_eq!(
        index.multipart_intend(source, &k, "bucket", "p/a", 7),
        Ok(false)
    );
    assert_eq!(
        index.multipart_begin(source, &k, "u1", "bucket", "p/a"),
        Ok(())
    );
    assert_eq!(index.multiparts().unwrap().len(), 2);
    assert_eq!(index.multipart_end(source, &k, "u1"), Ok(()));
    assert_eq!(index.multiparts().unwrap().len(), 1);
    // The note itself is another matter.
    index.engine().unwrap().damaged("gone");
    assert!(index.multipart_begin(source, &k, "u2", "b", "p/a").is_err());
    assert!(index.multipart_intend(source, &k, "b", "p/a", 7).is_err());
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
