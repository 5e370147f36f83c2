//! Servers whose part copies are not what they say, or are not there.

use super::line::{Lie, Line};
use super::{Desk, MIB, noise, table};
use crate::harness::BUCKET;

const BYTES: usize = 20 * MIB;

/// A file, edited at its end: the copy is of its beginning, or the other way
/// round, so that a server which always copies the beginning is found out.
fn edited(content: &[u8], at: usize) -> Vec<u8> {
    let mut content = content.to_vec();
    content[at] ^= 1;
    content
}

/// It is found out within the attempt that it spoils, sent whole, and not asked
/// again, also not after a restart.
async fn is_found_out(lie: Lie, is_old: bool) {
    println!("{lie:?}, old: {is_old}");
    let first = noise(BYTES, 1);
    let (mut desk, _) = Desk::with("large.bin", &first, Line::to(lie.clone(), is_old)).await;
    let second = edited(&first, 1);
    let cost = desk.save(&second).await;
    assert!(cost.copies > 0 && cost.sent >= BYTES, "{lie:?}: {cost:?}");
    assert_eq!(cost.begun, 2, "the second one at once: {cost:?}");
    desk.stop().await;
    desk.start().await;
    let third = edited(&second, 2);
    let cost = desk.save(&third).await;
    assert!(cost.copies == 0 && cost.sent >= BYTES, "{lie:?}: {cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_copies_nothing_or_something_else_is_found_out() {
    for lie in [Lie::Empty, Lie::OtherRange, Lie::OtherRangeUnsaid] {
        is_found_out(lie, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_that_has_no_checksum_of_the_whole() {
    for lie in [Lie::Empty, Lie::OtherRange] {
        is_found_out(lie, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_such_copies_is_sent_everything() {
    is_found_out(Lie::Answer(501, "NotImplemented"), false).await;
    is_found_out(Lie::Answer(403, "AccessDenied"), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_fails_to_copy_parts_is_sent_the_whole() {
    let first = noise(BYTES, 9);
    let (mut desk, _) = Desk::new("large.bin", &first).await;
    desk.line.lie(Lie::Answer(500, "InternalError"));
    let second = edited(&first, 1);
    let cost = desk.save(&second).await;
    assert!(cost.copies > 0 && cost.sent >= BYTES, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_is_found_out_and_the_whole_sent_where_uploads_may_not_be_aborted() {
    let first = noise(BYTES, 10);
    let (mut desk, _) = Desk::with("large.bin", &first, Line::to(Lie::Empty, false)).await;
    desk.line.deny_aborts(true);
    let cost = desk.save(&edited(&first, 1)).await;
    assert!(cost.begun == 2 && cost.sent >= BYTES, "{cost:?}");
    // It waits for somebody who may.
    desk.line.deny_aborts(false);
    assert!(desk.daemon().components().orphaned_uploads().sweep().await);
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_believed_by_the_md5_of_what_it_copied() {
    let first = noise(BYTES, 2);
    let (mut desk, _) = Desk::with("large.bin", &first, Line::to(Lie::None, true)).await;
    let second = edited(&first, BYTES - 1);
    let cost = desk.save(&second).await;
    assert!(cost.copies > 0 && cost.sent < BYTES / 2, "{cost:?}");
    // What kind of server it is must be found out again, without a whole file.
    desk.stop().await;
    desk.start().await;
    let cost = desk.save(&edited(&second, BYTES - 2)).await;
    assert!(cost.copies > 0 && cost.sent < BYTES / 2, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_checksum_of_the_whole_is_an_older_one() {
    let line = Line::default();
    line.refuse_sums();
    let first = noise(BYTES, 2);
    let (mut desk, _) = Desk::with("large.bin", &first, line).await;
    let cost = desk.save(&edited(&first, BYTES - 1)).await;
    assert!(cost.copies > 0 && cost.sent < BYTES / 2, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_believed_of_compressed_files_as_well() {
    let first = table(600_000, 7);
    let (mut desk, whole) = Desk::with("table.csv", &first, Line::to(Lie::None, true)).await;
    let second = [&first[..], &table(1_000, 8)].concat();
    let cost = desk.save(&second).await;
    assert!(cost.copies > 0 && cost.sent < whole.sent / 2, "{cost:?}");
    desk.every_version_is_whole(crate::harness::os::gunzip)
        .await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_another_version_are_not_taken_for_the_right_one() {
    let first = noise(BYTES, 3);
    let (mut desk, _) = Desk::new("large.bin", &first).await;
    let store = desk.rig.store();
    let page = store
        .list_versions(BUCKET, "large.bin", None)
        .await
        .unwrap();
    let oldest = keepwatch::types::id_text(&page.items.last().unwrap().version_id).to_owned();
    let second: Vec<u8> = first.iter().map(|byte| byte ^ 1).collect();
    desk.save(&second).await;
    desk.line.lie(Lie::OtherVersion(oldest));
    let cost = desk.save(&edited(&second, 1)).await;
    assert!(cost.copies > 0 && cost.sent >= BYTES, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_gone_is_sent_and_nobody_blamed() {
    for (status, code) in [
        (404, "NoSuchVersion"),
        (412, "PreconditionFailed"),
        (403, "InvalidObjectState"),
    ] {
        let first = noise(BYTES, 4);
        let (mut desk, _) = Desk::new("large.bin", &first).await;
        desk.line.lie(Lie::Answer(status, code));
        let second = edited(&first, 1);
        let cost = desk.save(&second).await;
        assert!(cost.copies > 0 && cost.sent >= BYTES, "{code}: {cost:?}");
        desk.line.lie(Lie::None);
        let cost = desk.save(&edited(&second, 2)).await;
        assert!(cost.copies > 0 && cost.sent < BYTES, "{code}: {cost:?}");
        desk.every_version_is_whole(|bytes| bytes).await;
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_a_compressed_file_is_found_out_as_well() {
    let first = table(600_000, 5);
    for is_old in [false, true] {
        let line = Line::to(Lie::Empty, is_old);
        let (mut desk, whole) = Desk::with("table.csv", &first, line).await;
        let second = [&first[..], &table(1_000, 6)].concat();
        let cost = desk.save(&second).await;
        assert!(cost.sent >= whole.sent, "{is_old}: {cost:?}");
        desk.every_version_is_whole(crate::harness::os::gunzip)
            .await;
        desk.stop().await;
    }
}
