//! A server that leaves out of its answers what AWS puts in, and refuses what AWS
//! takes: large files cost what changed there as well.

use super::gateway::Gateway;
use super::line::Line;
use super::{Desk, MIB, noise, table};
use crate::harness::Rig;

const BYTES: usize = 20 * MIB;

/// What one changed byte may cost.
const CHANGE_MAX: usize = 13 * MIB;

async fn desk(name: &'static str, content: &[u8]) -> (Desk, Gateway) {
    let rig = Rig::new();
    let gateway = Gateway::before(rig.vault().connector());
    let before = Some(gateway.clone());
    let (desk, _) = Desk::behind(rig, before, (name, content), Line::default()).await;
    (desk, gateway)
}

fn edited(content: &[u8], at: usize) -> Vec<u8> {
    let mut content = content.to_vec();
    content[at] ^= 1;
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_out_etags_and_wants_lengths_is_sent_what_changed() {
    let mut content = noise(BYTES, 1);
    let (mut desk, _) = desk("large.bin", &content).await;
    for at in [7, BYTES - 1] {
        content = edited(&content, at);
        let cost = desk.save(&content).await;
        assert!(cost.copies > 0 && cost.sent < CHANGE_MAX, "{cost:?}");
        // An ETag is known though none was answered: else no list belongs to it.
        let parts = desk.parts().unwrap();
        assert!(!parts.etag.is_empty() && parts.version_id.is_some());
    }
    // Compared after a restart it is still the same object, and its list is kept.
    let before = desk.parts();
    desk.stop().await;
    desk.start().await;
    assert_eq!(desk.parts(), before);
    content = edited(&content, BYTES / 2);
    let cost = desk.save(&content).await;
    assert!(cost.copies > 0 && cost.sent < CHANGE_MAX, "{cost:?}");
    desk.every_version_is_whole(|bytes| bytes).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_it_of_compressed_files_whose_list_cannot_be_made_again() {
    let first = table(600_000, 7);
    let (mut desk, _) = desk("table.csv", &first).await;
    let second = [&first[..], &table(1_000, 8)].concat();
    let cost = desk.save(&second).await;
    assert!(cost.copies > 0 && cost.sent < CHANGE_MAX, "{cost:?}");
    desk.stop().await;
    desk.start().await;
    let third = [&second[..], &table(1_000, 9)].concat();
    let cost = desk.save(&third).await;
    assert!(cost.copies > 0 && cost.sent < CHANGE_MAX, "{cost:?}");
    desk.every_version_is_whole(crate::harness::os::gunzip)
        .await;
    desk.stop().await;
}

/// RGW undoes the escapes of a part's source twice, and crashes at a `%` that is
/// left without its digits; others undo them once.
#[tokio::test(flavor = "multi_thread")]
async fn a_percent_in_a_name_neither_stops_the_server_nor_the_saving() {
    for undoes_once in [false, true] {
        for name in ["100% sure +.bin", "a%41.bin", "50%-60%zz.bin"] {
            let first = noise(BYTES, 3);
            let (mut desk, gateway) = desk(name, &first).await;
            if undoes_once {
                gateway.undo_once();
            }
            gateway.take();
            let second = edited(&first, 1);
            let cost = desk.save(&second).await;
            let asked = gateway.take();
            assert!(!gateway.is_down(), "{name}: {asked:?}");
            assert!(
                !asked.part_copies.is_empty() && cost.sent < CHANGE_MAX,
                "{name}, once: {undoes_once}: {cost:?} {asked:?}"
            );
            desk.every_version_is_whole(|bytes| bytes).await;
            desk.stop().await;
        }
    }
}
