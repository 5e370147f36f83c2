//! The vault on a disk that forgets: every version it acknowledged is there
//! afterwards, byte for byte, and the plain files are whole.

#[path = "../../support/disk/mod.rs"]
mod disk;
mod work;

use crate::needs::Need;
use disk::mount::{Disk, Drive, Power};
use disk::platter::{Fate, Platter};
use disk::{SHORT, Tally, long, seed};
use keepwatch_vault::Vault;
use std::time::Instant;
use work::{BUCKET, Job, Known, at_once, check, in_order, work};

/// Cuts while recovering come this early: opening takes few steps.
const RECOVERY_STEPS: u64 = 12;

/// A disk with a vault and its bucket, everything on the platter.
fn made(drive: &Drive) -> Platter {
    let disk = drive.insert(Platter::new());
    let vault = open(&disk).unwrap();
    vault.ensure_bucket(BUCKET).unwrap();
    drop(vault);
    let mut platter = disk.take_out();
    platter.sync_all();
    platter
}

fn open(disk: &Disk) -> Result<Vault, String> {
    Vault::open(&disk.folder().join("vault")).map_err(|e| e.to_string())
}

/// What is left of the disk is opened, checked and used again.
async fn found_again(drive: &Drive, left: Platter, known: &Known, when: &str, tally: &mut Tally) {
    let disk = drive.insert(left);
    let vault = open(&disk).unwrap_or_else(|e| panic!("{when}: {e}"));
    vault.ensure_bucket(BUCKET).unwrap();
    let found = check(&vault, known, when).await;
    tally.versions += found.values().map(|h| h.len() as u64).sum::<u64>();
    tally.states += 1;
    // Life goes on, on top of what was found.
    let mut known = known.now(found);
    let again = vec![vec![
        Job::Put("brief.txt", "nachher".to_owned()),
        Job::Put("gemeinsam/tief/a", "auch nachher".to_owned()),
    ]];
    work(&vault, &disk.power, again, &mut known).await;
    check(&vault, &known, &format!("{when}, and used again")).await;
}

/// One run to the cut, and every disk that may be left of it.
async fn cut_at(
    drive: &Drive,
    base: &Platter,
    hands: Vec<Vec<Job>>,
    cut: u64,
    fates: &[Fate],
    random: &mut fastrand::Rng,
    tally: &mut Tally,
) -> bool {
    let disk = drive.insert(base.clone());
    let power = disk.power.clone();
    let mut known = Known::default();
    power.cut_after(cut);
    if let Ok(vault) = open(&disk) {
        work(&vault, &power, hands, &mut known).await;
    }
    let was_cut = power.is_cut();
    power.cut_now();
    let platter = disk.take_out();
    tally.cuts += u64::from(was_cut);
    for &fate in fates {
        let when = format!("cut at operation {cut}, {fate:?}");
        let mut left = platter.clone().after_cut(fate, random);
        // Power is bad today: it goes again while mending.
        if random.u8(0..3) == 0 {
            let disk = drive.insert(left);
            disk.power.cut_after(random.u64(..RECOVERY_STEPS));
            let _ = open(&disk);
            let fate = random.choice(Fate::ALL).unwrap_or(Fate::Mixed);
            left = disk.after_cut(fate, random);
            tally.recovery_cuts += 1;
        }
        found_again(drive, left, &known, &when, tally).await;
    }
    was_cut
}

/// The process dies, is started again and goes by what it sees; then the
/// power goes: what it has seen must not vanish.
async fn killed_then_cut(
    drive: &Drive,
    base: &Platter,
    kill: u64,
    random: &mut fastrand::Rng,
    tally: &mut Tally,
) -> bool {
    let disk = drive.insert(base.clone());
    let mut known = Known::default();
    disk.power.cut_after(kill);
    if let Ok(vault) = open(&disk) {
        work(&vault, &disk.power, in_order(), &mut known).await;
    }
    let was_killed = disk.power.is_cut();
    disk.power.cut_now();
    let disk = drive.insert(disk.take_out());
    let when = format!("killed at operation {kill}, started again, then cut");
    {
        let vault = open(&disk).unwrap_or_else(|e| panic!("{when}: {e}"));
        vault.ensure_bucket(BUCKET).unwrap();
        // The program compares the bucket and believes what it lists.
        let seen = check(&vault, &known, &when).await;
        known = known.now(seen);
    }
    tally.cuts += u64::from(was_killed);
    disk.power.cut_now();
    let platter = disk.take_out();
    for fate in [Fate::Lost, Fate::NamesOnly, Fate::Mixed] {
        let left = platter.clone().after_cut(fate, random);
        found_again(drive, left, &known, &format!("{when}, {fate:?}"), tally).await;
    }
    was_killed
}

/// How many operations the work takes when nothing is cut.
async fn operations(drive: &Drive, base: &Platter) -> u64 {
    let disk = drive.insert(base.clone());
    let vault = open(&disk).unwrap();
    let mut known = Known::default();
    work(&vault, &disk.power, in_order(), &mut known).await;
    check(&vault, &known, "nothing was cut").await;
    disk.power.operations()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vault_acknowledged_survives_a_cut_at_any_write() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let base = made(&drive);
    let mut random = fastrand::Rng::with_seed(seed("vault, in order"));
    let (mut tally, deadline) = (Tally::default(), Instant::now() + SHORT);
    let total = operations(&drive, &base).await;
    // Every operation's turn comes over the runs; each run spreads over all.
    let stride = 7;
    let mut cut = random.u64(..stride);
    while tally.goes_on(deadline) && cut < total {
        let fates = [Fate::Lost, Fate::NamesOnly, Fate::Mixed];
        cut_at(
            &drive,
            &base,
            in_order(),
            cut,
            &fates,
            &mut random,
            &mut tally,
        )
        .await;
        cut += stride;
    }
    println!("vault, in order: {total} operations, {tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_hands_were_told_survives_a_cut() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let base = made(&drive);
    let mut random = fastrand::Rng::with_seed(seed("vault, at once"));
    let (mut tally, deadline) = (Tally::default(), Instant::now() + SHORT);
    while tally.goes_on(deadline) {
        let hands = at_once(&mut random);
        let cut = random.u64(..500);
        let fates = [Fate::Lost, Fate::Mixed];
        cut_at(&drive, &base, hands, cut, &fates, &mut random, &mut tally).await;
    }
    println!("vault, at once: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restarted_vault_shows_survives_a_cut() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let base = made(&drive);
    let mut random = fastrand::Rng::with_seed(seed("vault, killed first"));
    let (mut tally, deadline) = (Tally::default(), Instant::now() + SHORT);
    let total = operations(&drive, &base).await;
    while tally.goes_on(deadline) {
        let kill = random.u64(..total);
        killed_then_cut(&drive, &base, kill, &mut random, &mut tally).await;
    }
    println!("vault, killed first: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "every operation and every fate: KEEPWATCH_POWER_MINUTES=10 cargo test -p keepwatch-vault power -- --ignored --nocapture"]
async fn the_vault_survives_cuts_at_every_write_in_every_way() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let base = made(&drive);
    let mut random = fastrand::Rng::with_seed(seed("vault, long"));
    let (mut tally, deadline) = (Tally::default(), long());
    let mut cut = 0;
    // Once through everything, however long it takes.
    while cut_at(
        &drive,
        &base,
        in_order(),
        cut,
        &Fate::ALL,
        &mut random,
        &mut tally,
    )
    .await
    {
        killed_then_cut(&drive, &base, cut, &mut random, &mut tally).await;
        cut += 1;
    }
    println!("vault, every operation ({cut}): {tally}");
    while Instant::now() < deadline {
        let hands = at_once(&mut random);
        let cut = random.u64(..600);
        cut_at(
            &drive,
            &base,
            hands,
            cut,
            &Fate::ALL,
            &mut random,
            &mut tally,
        )
        .await;
    }
    println!("vault, long: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_while_a_vault_is_made_leaves_one_that_can_be_made() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let mut random = fastrand::Rng::with_seed(seed("vault, being made"));
    let mut tally = Tally::default();
    for cut in 0.. {
        let disk = drive.insert(Platter::new());
        disk.power.cut_after(cut);
        let made = open(&disk).and_then(|vault| {
            let made = vault.ensure_bucket(BUCKET);
            made.map_err(|e| e.to_string())
        });
        disk.power.cut_now();
        let platter = disk.take_out();
        for fate in Fate::ALL {
            let left = platter.clone().after_cut(fate, &mut random);
            let when = format!("made, cut at {cut}, {fate:?}");
            found_again(&drive, left, &Known::default(), &when, &mut tally).await;
        }
        tally.cuts += 1;
        if made.is_ok() {
            break;
        }
    }
    println!("vault, being made: {tally}");
}
