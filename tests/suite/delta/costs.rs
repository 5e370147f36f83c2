//! What each kind of change costs, and that every version comes back.

use super::line::{Lie, Line, Traffic};
use super::{Desk, MIB, noise, table};
use crate::errors::unprotected;
use crate::harness::os::gunzip;
use crate::harness::until;
use keepwatch::types::ContentHash;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes that 1 MiB of change may cost: the target.
const CHANGE_MAX: usize = 24 * MIB;

/// The same, for changes that are already at the edge of a part.
const SMALL_CHANGE_MAX: usize = 13 * MIB;

/// What may go over the line when no content does.
const NOTHING_MAX: usize = 4 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_file_sends_what_changed_and_every_version_comes_back() {
    let first = noise(64 * MIB, 1);
    let (mut desk, cost) = Desk::new("large.bin", &first).await;
    assert!((64 * MIB..66 * MIB).contains(&cost.sent), "{cost:?}");
    let middle = first.len() / 2 + 12_345;
    let new = noise(MIB, 2);

    let mut edited = first.clone();
    edited[middle..middle + MIB].copy_from_slice(&new);
    let inserted = [&edited[..middle / 2], &new[..], &edited[middle / 2..]].concat();
    let appended = [&inserted[..], &noise(MIB, 3)].concat();
    let cut = [&appended[..10 * MIB], &appended[13 * MIB..]].concat();
    let (one, other) = cut.split_at(cut.len() / 2);
    let swapped = [other, one].concat();
    let truncated = swapped[..40 * MIB].to_vec();
    for (name, content, sent_max) in [
        ("an edit in place", edited, SMALL_CHANGE_MAX),
        ("an insertion", inserted, SMALL_CHANGE_MAX),
        ("an append", appended, SMALL_CHANGE_MAX),
        ("a range cut out", cut, SMALL_CHANGE_MAX),
        ("halves swapped", swapped, CHANGE_MAX),
        ("truncated", truncated, SMALL_CHANGE_MAX),
    ] {
        let cost = desk.save(&content).await;
        println!("{name}: {cost:?}");
        assert!(cost.sent <= sent_max, "{name}: {cost:?}");
        assert!(cost.requests <= 20, "{name}: {cost:?}");
        assert!(cost.copies > 0, "{name}");
    }
    let before = desk.line.traffic();
    let now = filetime::FileTime::now();
    filetime::set_file_mtime(desk.rig.path("large.bin"), now).unwrap();
    desk.stored(&desk.states.last().unwrap().clone()).await;
    let touched = desk.line.traffic() - before;
    assert!(
        touched.sent < NOTHING_MAX && touched.begun == 0,
        "{touched:?}"
    );

    // The list goes on with the version that the touch made.
    let mut content = fs::read(desk.rig.path("large.bin")).unwrap();
    let same = desk.save(&content).await;
    assert!(same.sent < NOTHING_MAX && same.begun == 0, "{same:?}");
    content[20 * MIB] ^= 1;
    let cost = desk.save(&content).await;
    assert!(cost.sent <= SMALL_CHANGE_MAX && cost.copies > 0, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_grows_sends_its_new_lines_and_gunzip_reads_every_version() {
    // Some 70 MiB, a third of that compressed.
    let mut content = table(1_000_000, 4);
    assert!(content.len() > 60 * MIB, "{}", content.len());
    let (mut desk, first) = Desk::new("table.csv", &content).await;
    assert!(first.sent < content.len() * 6 / 10, "{first:?}");
    let parts = desk.parts().unwrap();
    assert!(parts.gzip && parts.segments.len() > 20);
    for day in 0..3 {
        content.extend(table(15_000, 100 + day));
        let cost = desk.save(&content).await;
        println!("day {day}: {cost:?}");
        assert!(cost.sent < 3 * MIB, "{cost:?}");
        assert!(cost.copies > 0 && cost.requests <= 12, "{cost:?}");
    }
    let line = content.len() / 2;
    let inserted = [&content[..line], &table(15_000, 200), &content[line..]].concat();
    let mut edited = inserted.clone();
    edited[20 * MIB..21 * MIB].copy_from_slice(&table(20_000, 201)[..MIB]);
    for (name, content) in [("lines inserted", inserted), ("lines edited", edited)] {
        let cost = desk.save(&content).await;
        println!("{name}: {cost:?}");
        assert!(
            cost.sent < SMALL_CHANGE_MAX && cost.copies > 0,
            "{name}: {cost:?}"
        );
    }
    desk.every_version_is_whole(gunzip).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_is_broken_off_goes_on_and_copies_and_sends_nothing_twice() {
    goes_on_and_copies_nothing_twice(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_at_a_server_that_has_no_checksum_of_the_whole() {
    goes_on_and_copies_nothing_twice(true).await;
}

async fn goes_on_and_copies_nothing_twice(is_old: bool) {
    let mut content = noise(64 * MIB, 6);
    let line = Line::to(Lie::None, is_old);
    let (mut desk, _) = Desk::with("large.bin", &content, line).await;
    // Three stretches that stay, and what is between them changes.
    for at in [20 * MIB, 40 * MIB] {
        content[at] ^= 1;
    }
    let before = desk.line.traffic();
    let failed = broken_off_at(&mut desk, 4, &content).await;
    assert_eq!((failed.begun, failed.copies), (1, 3), "{failed:?}");
    let rest = desk.line.traffic() - before - failed;
    assert_eq!((rest.begun, rest.copies), (0, 0), "{rest:?}");
    assert!(rest.sent <= 9 * MIB, "one part: {rest:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

/// Saved, the first try fails at that part, and the next run begins.
async fn broken_off_at(desk: &mut Desk, part: u32, content: &[u8]) -> Traffic {
    // An upload begun within the second of a version counts as older than that.
    let second = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let stored_at = second();
    until("that second is over", async || second() > stored_at).await;
    desk.line.break_part(Some(part));
    let before = desk.line.traffic();
    fs::write(desk.rig.path(desk.name), content).unwrap();
    until("the first try has failed", async || {
        !unprotected(desk.daemon()).is_empty()
    })
    .await;
    desk.stop().await;
    desk.line.break_part(None);
    let failed = desk.line.traffic() - before;
    let hash = ContentHash::of(content).to_hex();
    desk.states.push(hash.clone());
    desk.start().await;
    desk.stored(&hash).await;
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_upload_under_way_is_not_thrown_away_for_another_try_at_copies() {
    let mut content = noise(64 * MIB, 7);
    let (mut desk, _) = Desk::new("large.bin", &content).await;
    desk.line.lie(Lie::Answer(404, "NoSuchVersion"));
    content[20 * MIB] ^= 1;
    let before = desk.line.traffic();
    let failed = broken_off_at(&mut desk, 6, &content).await;
    assert!(failed.begun == 2 && failed.copies > 0, "{failed:?}");
    let rest = desk.line.traffic() - before - failed;
    assert_eq!((rest.begun, rest.copies), (0, 0), "{rest:?}");
    assert!(rest.sent < 32 * MIB, "{rest:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_of_what_is_known_after_a_restart_and_a_lost_index() {
    let mut content = noise(24 * MIB, 5);
    let (mut desk, _) = Desk::new("large.bin", &content).await;
    desk.stop().await;
    desk.start().await;
    content[20 * MIB] ^= 1;
    let cost = desk.save(&content).await;
    assert!(cost.sent <= SMALL_CHANGE_MAX && cost.copies > 0, "{cost:?}");
    desk.stop().await;

    desk.rig.lose_state();
    desk.start().await;
    desk.stored(&desk.states.last().unwrap().clone()).await;
    let adopted = desk.line.traffic();
    assert!(desk.parts().is_some(), "made when the file was read again");
    content[1] ^= 1;
    let cost = desk.save(&content).await;
    assert!(cost.sent <= SMALL_CHANGE_MAX && cost.copies > 0, "{cost:?}");
    assert!(adopted.sent < 60 * MIB);
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}
