//! An attack with ransomware, seen and undone by the very command of the alert.

use super::{Tree, messages, restore_as_told, run_line, until_told};
use crate::harness::{
    BUCKET, Rig, Running, at_rest, finish, in_bucket, on_disk, program, until, write_config,
};
use crate::raw::{marked, versions};
use std::fs;
use std::path::PathBuf;

fn seed() -> u64 {
    crate::seed::seed(20_261_129, u64::MAX)
}

const FILES: usize = 40;

/// Letters, tables and photos of an office.
fn fill(rig: &Rig) {
    for i in 0..FILES {
        let text = format!("Sehr geehrte Damen und Herren, Nr. {i}. ").repeat(60);
        let (ending, head): (_, &[u8]) = match i % 4 {
            0 => ("txt", b""),
            1 => ("docx", b"PK\x03\x04"),
            2 => ("pdf", b"%PDF-1.7"),
            _ => ("jpg", b"\xff\xd8\xff\xe0"),
        };
        let body = [head, text.as_bytes()].concat();
        rig.write(&format!("{}/Akte {i}.{ending}", i % 5), body);
    }
}

fn noise(random: &mut fastrand::Rng) -> Vec<u8> {
    // What no known format begins with.
    let rest = std::iter::repeat_with(|| random.u8(..)).take(5_000);
    std::iter::once(b'#').chain(rest).collect()
}

fn files(rig: &Rig) -> Vec<PathBuf> {
    let folders = fs::read_dir(rig.root()).unwrap().map(|e| e.unwrap().path());
    folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()))
        .collect()
}

/// An office that is backed up, its clock well past its last version.
async fn office(config: &std::path::Path, rig: &Rig) -> (Running, Tree) {
    fill(rig);
    let daemon = Running::start(config, &[]).await;
    let store = rig.store();
    let good = on_disk(&rig.root());
    until("all is stored", async || in_bucket(&store).await == good).await;
    let newest_ms = versions(&store, BUCKET)
        .await
        .iter()
        .map(|v| v.modified_ms)
        .max();
    until("the clock has moved on", async || {
        keepwatch::clock::system_clock()() > newest_ms.unwrap() + 3_000
    })
    .await;
    (daemon, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_encrypted_in_place_are_told_and_brought_back() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let (daemon, good) = office(&config, &rig).await;
    for path in files(&rig) {
        fs::write(path, noise(&mut random)).unwrap();
    }
    until_told(&rig, "looks encrypted (ransomware?)").await;
    // What they were replaced by is stored as well.
    let store = rig.store();
    let bad = on_disk(&rig.root());
    until("uploads go on", async || in_bucket(&store).await == bad).await;
    // Deleting the rest is held back.
    let victim = files(&rig).remove(0);
    fs::remove_file(&victim).unwrap();
    rig.write("sign of life.txt", "x");
    until("the event has been worked on", async || {
        in_bucket(&store).await.contains_key("sign of life.txt")
    })
    .await;
    assert_eq!(marked(&store, BUCKET).await, Vec::<String>::new());
    let status = daemon.status().unwrap();
    let warning = &status["sources"][0]["board"]["warnings"]["encrypted"];
    assert!(
        warning.as_str().is_some_and(|w| w.contains("--at")),
        "{status}"
    );
    let told = messages(&rig);
    assert_eq!(
        told.matches("ALERT, office looks encrypted").count(),
        1,
        "{told}"
    );
    assert_eq!(restore_as_told(&told), good);

    // It stands after a restart, until somebody says that all is in order.
    assert_eq!(daemon.stop(), Some(0));
    let daemon = Running::start(&config, &[]).await;
    let status = daemon.status().unwrap();
    assert!(status["sources"][0]["board"]["warnings"]["encrypted"].is_string());
    let line = told
        .lines()
        .find(|l| l.contains("--confirm-deletions"))
        .unwrap();
    run_line(line);
    until("it is over", async || {
        let status = daemon.status().unwrap();
        status["sources"][0]["board"]["warnings"]
            .as_object()
            .unwrap()
            .is_empty()
    })
    .await;
    until("the deletion is marked", async || {
        marked(&store, BUCKET).await.len() == 1
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

/// Found by a trial on Ceph RGW: the scan had ended before its uploads raised the alarm.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_after_the_scan_is_in_the_result_of_the_run() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    let config = write_config(&rig, "");
    fill(&rig);
    let reconcile =
        || finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    let first = reconcile();
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    assert_eq!(first.status.code(), Some(0), "{text}");
    for path in files(&rig) {
        fs::write(path, noise(&mut random)).unwrap();
    }
    let second = reconcile();
    let text = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(second.status.code(), Some(3), "{text}");
    assert!(text.contains("looks encrypted"), "{text}");
    assert!(!text.contains("All is well"), "{text}");
    assert_eq!(in_bucket(&rig.store()).await, on_disk(&rig.root()));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_encrypted_under_a_new_ending_are_told_and_brought_back() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let (daemon, good) = office(&config, &rig).await;
    for path in files(&rig) {
        let mut name = path.clone().into_os_string();
        name.push(".lockd");
        fs::write(&path, noise(&mut random)).unwrap();
        fs::rename(path, name).unwrap();
    }
    let told = until_told(&rig, "looks encrypted (ransomware?)").await;
    assert!(told.contains("many names end in \".lockd\""), "{told}");
    let store = rig.store();
    until("uploads go on", async || {
        let keys = in_bucket(&store).await;
        keys.keys().filter(|key| key.ends_with(".lockd")).count() == FILES
    })
    .await;
    assert_eq!(restore_as_told(&messages(&rig)), good);
    assert_eq!(daemon.stop(), Some(0));
}

/// Noise as base64 has it, in lines or not.
fn noise_as_text(random: &mut fastrand::Rng) -> Vec<u8> {
    let letter = |random: &mut fastrand::Rng| match random.u8(..64) {
        n @ 0..26 => b'A' + n,
        n @ 26..52 => b'a' + n - 26,
        n @ 52..62 => b'0' + n - 52,
        62 => b'+',
        _ => b'/',
    };
    let text: Vec<u8> = (0..6_000).map(|_| letter(random)).collect();
    match random.bool() {
        true => text,
        false => text.chunks(76).collect::<Vec<_>>().join(&b"\n"[..]),
    }
}

/// An attack on every file of an office; what is told has `says`, and its command
/// brings everything back.
async fn is_told_and_undone(
    says: &[&str],
    mut ruin: impl FnMut(&std::path::Path, &mut fastrand::Rng),
) {
    let mut random = fastrand::Rng::with_seed(seed());
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let (daemon, good) = office(&config, &rig).await;
    for path in files(&rig) {
        ruin(&path, &mut random);
    }
    let told = until_told(&rig, "(ransomware?)").await;
    for words in says {
        assert!(told.contains(words), "{words}: {told}");
    }
    let store = rig.store();
    let bad = on_disk(&rig.root());
    until("uploads go on", async || {
        let there = in_bucket(&store).await;
        bad.keys().all(|key| there.get(key) == bad.get(key))
    })
    .await;
    assert_eq!(restore_as_told(&messages(&rig)), good);
    assert_eq!(daemon.stop(), Some(0));
}

fn with_ending(path: &std::path::Path, ending: &str) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(ending);
    name.into()
}

/// Named after the bug: ransomware that writes text raised nothing.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_encrypted_into_text_are_told_and_brought_back() {
    is_told_and_undone(&["looks encrypted"], |path, random| {
        fs::write(path, noise_as_text(random)).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_encrypted_into_text_under_a_new_ending_are_told() {
    let says = ["looks encrypted", "many names end in \".b64\""];
    is_told_and_undone(&says, |path, random| {
        fs::write(path, noise_as_text(random)).unwrap();
        fs::rename(path, with_ending(path, ".b64")).unwrap();
    })
    .await;
}

/// Named after the bug: files that were emptied and renamed raised nothing.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_emptied_and_renamed_are_told_and_brought_back() {
    let says = ["was emptied", "many names end in \".gone\""];
    is_told_and_undone(&says, |path, _| {
        fs::write(path, "").unwrap();
        fs::rename(path, with_ending(path, ".gone")).unwrap();
    })
    .await;
}

/// The same without a new name, and overwritten with one byte all over.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_emptied_in_place_are_told_and_brought_back() {
    is_told_and_undone(&["was emptied"], |path, random| {
        let bytes = match random.bool() {
            true => 0,
            false => 5_000,
        };
        fs::write(path, vec![0; bytes]).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_work_with_texts_and_empty_files_raises_no_alarm() {
    let mut random = fastrand::Rng::with_seed(seed());
    let rig = Rig::new();
    fill(&rig);
    for i in 0..FILES {
        rig.write(&format!("logs/{i}.log"), format!("line {i}\n").repeat(200));
        rig.write(&format!("import/{i}.csv"), format!("{i};1;2\n").repeat(200));
        rig.write(&format!("lists/{i}.csv"), format!("{i};1;2\n").repeat(300));
        rig.write(&format!("marks/{i}.txt"), "");
        rig.write(&format!("codes/{i}.txt"), noise_as_text(&mut random));
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    for i in 0..FILES {
        // A log is copied away and begun anew.
        let log = rig.path(&format!("logs/{i}.log"));
        fs::copy(&log, with_ending(&log, ".1")).unwrap();
        fs::write(&log, "").unwrap();
        // A table is taken in, and a sign says so.
        let table = rig.path(&format!("import/{i}.csv"));
        fs::remove_file(&table).unwrap();
        fs::write(with_ending(&table, ".done"), "").unwrap();
        // One is emptied for the next export.
        rig.write(&format!("lists/{i}.csv"), "");
        // Empty files get other names.
        let mark = rig.path(&format!("marks/{i}.txt"));
        fs::rename(&mark, with_ending(&mark, ".old")).unwrap();
        // What was base64 before is base64 again, or comes anew.
        rig.write(&format!("codes/{i}.txt"), noise_as_text(&mut random));
        rig.write(&format!("mails/{i}.b64"), noise_as_text(&mut random));
    }
    rig.until_equal(&daemon).await;
    assert!(at_rest(&daemon));
    assert!(daemon.components().sources[0].guard.holds().is_empty());
    assert!(!messages(&rig).contains("ALERT"), "{}", messages(&rig));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_mass_work_of_an_office_raises_no_alarm() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    fill(&rig);
    for i in 0..FILES {
        rig.write(&format!("safe/{i}.hc"), noise(&mut random));
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    for path in files(&rig) {
        match path.extension().unwrap().to_str().unwrap() {
            // Compressed, as an export is.
            "txt" => {
                let packed = [b"\x1f\x8b\x08".to_vec(), noise(&mut random)].concat();
                fs::write(path.with_extension("txt.gz"), packed).unwrap();
                fs::remove_file(path).unwrap();
            }
            "docx" => {
                let new = [b"PK\x03\x04".to_vec(), noise(&mut random)].concat();
                fs::write(path, new).unwrap();
            }
            "jpg" => fs::rename(&path, path.with_extension("jpeg")).unwrap(),
            "hc" => fs::write(path, noise(&mut random)).unwrap(),
            _ => {}
        }
    }
    // Unpacked from somewhere.
    for i in 0..FILES {
        rig.write(&format!("unzipped/{i}.bin"), noise(&mut random));
    }
    rig.until_equal(&daemon).await;
    assert!(at_rest(&daemon) && daemon.components().sources[0].guard.holds().is_empty());
    assert!(!messages(&rig).contains("ALERT"), "{}", messages(&rig));
    daemon.stop().await.unwrap();
}
