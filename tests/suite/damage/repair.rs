//! `verify --repair`: what is damaged and on disk is sent again, never adopted;
//! no version is ever deleted; what is not on disk is named with what is whole.

use super::acts::{Act, Wire, damage};
use super::world::{World, file, large};
use crate::harness::{Fate, Faults, Rig, at_rest, history, scan_whole, until};
use keepwatch::retry::Stop;
use keepwatch::verify::{Ask, Damage, Deep, Repair, Verified, repair};

async fn repair(world: &World) -> Verified {
    let ask = Ask {
        deep: Deep::All,
        repair: true,
        ..Ask::default()
    };
    world.ask(&Wire::default(), ask).await
}

fn repairs(verified: &Verified) -> Vec<(Damage, Option<Repair>)> {
    let of = |f: &keepwatch::verify::Finding| (f.damage, f.repair.clone());
    verified.findings.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_disk_is_sent_again_and_no_version_is_deleted() {
    let world = World::new("a.txt", &[file("before"), file("the content")]).await;
    for (act, damage_named) in [
        (Act::Flip { time_tells: false }, Damage::Altered),
        (Act::DeleteBody, Damage::Altered),
        (Act::ForeignOver, Damage::Overwritten),
        (Act::OursOver, Damage::Overwritten),
        (Act::Mark, Damage::MarkedDeleted),
        (Act::DeleteVersion, Damage::VersionGone),
        (Act::DeleteAll, Damage::Missing),
    ] {
        world.reset();
        let newest = world.versions().await.remove(0);
        damage(&world, act, &newest).await;
        let before = world.versions().await;
        let verified = repair(&world).await;
        let want = vec![(damage_named, Some(Repair::Done))];
        assert_eq!(repairs(&verified), want, "{act:?}: {verified:#?}");
        assert_eq!(verified.open_findings(), 0);
        let after = world.versions().await;
        assert_eq!(after.len(), before.len() + 1, "{act:?}: {after:?}");
        for version in &before {
            let is_it = |v: &keepwatch::s3::ListedVersion| v.version_id == version.version_id;
            assert!(after.iter().any(is_it), "{act:?}: {version:?} is gone");
        }
        let got = &world
            .client()
            .get_object()
            .bucket("office")
            .key("a.txt")
            .send()
            .await;
        let got = got.as_ref().unwrap();
        assert_eq!(got.content_length(), Some(11), "{act:?}");
        // And everything is as it should be afterwards, by its contents.
        let again = world.verify(&Wire::default(), true, false).await;
        assert_eq!(again.findings_total, 0, "{act:?}: {again:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_damaged_file_is_not_copied_from_itself() {
    let content = large();
    let world = World::new(
        "big.bin",
        &[Some(super::world::Thing::File(content.clone()))],
    )
    .await;
    let newest = world.versions().await.remove(0);
    damage(&world, Act::Flip { time_tells: false }, &newest).await;
    let verified = repair(&world).await;
    let want = vec![(Damage::Altered, Some(Repair::Done))];
    assert_eq!(repairs(&verified), want, "{verified:#?}");
    let client = world.client();
    let got = client
        .get_object()
        .bucket("office")
        .key("big.bin")
        .send()
        .await;
    let bytes = got.unwrap().body.collect().await.unwrap().into_bytes();
    assert!(bytes == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_came_back_in_the_bucket_is_marked_as_deleted_again() {
    let world = World::new("gone.txt", &[file("was there"), None]).await;
    let marker = world.versions().await.remove(0);
    damage(&world, Act::Unmark, &marker).await;
    let verified = repair(&world).await;
    let want = vec![(Damage::Returned, Some(Repair::Done))];
    assert_eq!(repairs(&verified), want, "{verified:#?}");
    let store = world.rig.store();
    assert_eq!(
        history(&store, "gone.txt").await,
        [None, Some(b"was there".to_vec())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_disk_is_named_with_the_newest_version_that_is_whole() {
    let world = World::new("a.txt", &[file("first"), file("second"), file("third")]).await;
    // Keepwatch did not run when it was deleted.
    std::fs::remove_file(world.rig.path("a.txt")).unwrap();
    let versions = world.versions().await;
    for number in [0, 1] {
        damage(&world, Act::Flip { time_tells: false }, &versions[number]).await;
    }
    let verified = repair(&world).await;
    let want = vec![(Damage::Altered, Some(Repair::Impossible))];
    assert_eq!(repairs(&verified), want, "{verified:#?}");
    let finding = &verified.findings[0];
    assert_eq!(finding.is_on_disk, Some(false));
    let whole = finding.whole.as_ref().unwrap();
    assert_eq!(
        whole.version_id, versions[2].version_id,
        "the second is damaged, too"
    );
    assert_eq!(world.versions().await, versions, "nothing was changed");
}

/// A copy that was found damaged is never adopted, however long its repair takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_cut_off_is_done_by_the_next_run_and_not_by_believing_the_copy() {
    let world = World::new("a.txt", &[file("the content")]).await;
    let newest = world.versions().await.remove(0);
    damage(&world, Act::Flip { time_tells: false }, &newest).await;
    let faults = Faults::new(|seen| match seen.method.as_str() {
        "PUT" => Fate::Answer(403, "AccessDenied"),
        _ => Fate::Pass,
    });
    let ask = Ask {
        deep: Deep::All,
        repair: true,
        ..Ask::default()
    };
    let verified = world
        .ask_through(world.rig.faulty_store(&faults), ask)
        .await;
    let failed = &verified.findings[0].repair;
    assert!(matches!(failed, Some(Repair::Failed(_))), "{verified:#?}");
    assert_eq!(world.versions().await.len(), 1);
    // A comparison with the bucket, whose word is what must not be taken.
    let daemon = world.rig.start().await;
    let scan = scan_whole(&daemon.components().sources[0], false).await;
    assert!(scan.listed_whole, "{scan:?}");
    until("it is sent", async || world.versions().await.len() == 2).await;
    until("the daemon rests", async || at_rest(&daemon)).await;
    daemon.stop().await.unwrap();
    let again = world.verify(&Wire::default(), true, false).await;
    assert_eq!(again.findings_total, 0, "{again:#?}");
}

/// Files are saved, renamed and deleted all the time: that is no damage.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_while_an_office_works() {
    let rig = Rig::new();
    for number in 0..20 {
        rig.write(&format!("{number}.txt"), format!("file {number}"));
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let ask = Ask {
        deep: Deep::All,
        all_versions: true,
        ..Ask::default()
    };
    let never = Stop::never();
    for round in 0..12 {
        for number in 0..20 {
            match (number + round) % 4 {
                0 => rig.write(&format!("{number}.txt"), format!("{round} {number}")),
                1 => drop(std::fs::remove_file(rig.path(&format!("{number}.txt")))),
                2 => drop(std::fs::rename(
                    rig.path(&format!("{number}.txt")),
                    rig.path(&format!("{number}-{round}.txt")),
                )),
                _ => {}
            }
        }
        let verified = repair::run(&daemon.components().repairer(), &ask, |_| (), &never)
            .await
            .unwrap();
        assert_eq!(verified[0].findings_total, 0, "{round}: {verified:#?}");
        assert_eq!(verified[0].not_looked_total, 0, "{round}: {verified:#?}");
    }
    daemon.stop().await.unwrap();
}
