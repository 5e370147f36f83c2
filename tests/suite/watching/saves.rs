//! How programs save: every way ends with exactly the final content, and no
//! version is a state the file never had.

use crate::harness::os::{OTHER_MODE, set_mode};
use crate::harness::{BUCKET, DEBOUNCE_MS, Rig, history, scan_whole, until};
use crate::raw::{Requests, versions};
use keepwatch::s3::At;
use keepwatch::status::Event;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Every state a file was in; `None` when it was not there.
type States = BTreeSet<Option<Vec<u8>>>;

/// Shorter than the debounce, so that what is written in steps is one save.
const STEP: Duration = Duration::from_millis(DEBOUNCE_MS / 6);

fn rename_over(path: &Path, content: &[u8], states: &mut States) {
    let temporary = path.with_extension("tmp~");
    fs::write(&temporary, content).unwrap();
    fs::rename(&temporary, path).unwrap();
    states.insert(Some(content.to_vec()));
}

fn delete_and_create(path: &Path, content: &[u8], states: &mut States) {
    // The first time there is nothing to delete.
    let _ = fs::remove_file(path);
    states.insert(None);
    std::thread::sleep(STEP);
    truncate_and_write(path, content, states);
}

fn truncate_and_write(path: &Path, content: &[u8], states: &mut States) {
    let mut file = fs::File::create(path).unwrap();
    states.insert(Some(Vec::new()));
    std::thread::sleep(STEP);
    file.write_all(content).unwrap();
    states.insert(Some(content.to_vec()));
}

fn in_chunks(path: &Path, content: &[u8], states: &mut States) {
    let mut file = fs::File::create(path).unwrap();
    states.insert(Some(Vec::new()));
    let chunk = content.len() / 5 + 1;
    for (number, part) in content.chunks(chunk).enumerate() {
        file.write_all(part).unwrap();
        let end = content.len().min((number + 1) * chunk);
        states.insert(Some(content[..end].to_vec()));
        std::thread::sleep(STEP);
    }
}

fn append(path: &Path, content: &[u8], states: &mut States) {
    let mut have = fs::read(path).unwrap_or_default();
    for part in content.chunks(content.len() / 12 + 1) {
        let mut options = fs::File::options();
        let mut file = options.create(true).append(true).open(path).unwrap();
        states.insert(Some(have.clone()));
        file.write_all(part).unwrap();
        have.extend_from_slice(part);
        states.insert(Some(have.clone()));
        std::thread::sleep(STEP);
    }
}

async fn saved(save: fn(&Path, &[u8], &mut States)) {
    let rig = Rig::new();
    let daemon = rig.start().await;
    let (path, store) = (rig.path("letter.txt"), rig.store());
    let mut states = States::new();
    for round in 0..3 {
        let content = format!("round {round}, ").repeat(20 + round).into_bytes();
        let work = {
            let (path, mut states) = (path.clone(), std::mem::take(&mut states));
            move || {
                save(&path, &content, &mut states);
                states
            }
        };
        states = tokio::task::spawn_blocking(work).await.unwrap();
        let last = fs::read(&path).unwrap();
        until("the last save is the newest version", async || {
            history(&store, "letter.txt").await.first() == Some(&Some(last.clone()))
        })
        .await;
    }
    rig.until_equal(&daemon).await;
    let found = history(&store, "letter.txt").await;
    assert!(found.len() >= 3, "each save is a version");
    for version in found {
        assert!(
            states.contains(&version),
            "never was: {:?}",
            version.map(|bytes| String::from_utf8(bytes).unwrap())
        );
    }
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_saved_by_writing_beside_and_renaming_over_it_is_stored_as_saved() {
    saved(rename_over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_saved_by_deleting_and_creating_it_is_stored_as_saved() {
    saved(delete_and_create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_saved_by_truncating_and_writing_it_is_stored_as_saved() {
    saved(truncate_and_write).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_saved_in_chunks_is_stored_as_saved() {
    saved(in_chunks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_appended_to_for_a_while_is_stored_as_saved() {
    saved(append).await;
}

/// Appends a line every 20 ms until told to stop; gives back all that is in it.
fn write_without_pause(
    path: PathBuf,
    keep_open: bool,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Vec<u8>> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let open = || {
            let mut options = fs::File::options();
            options.append(true).open(&path).unwrap()
        };
        let mut written = fs::read(&path).unwrap();
        let mut file = open();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let line = format!("line {number}\n");
            file.write_all(line.as_bytes()).unwrap();
            written.extend_from_slice(line.as_bytes());
            if !keep_open {
                file = open();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        written
    })
}

async fn never_rests(keep_open: bool) {
    const WRITTEN_FOR: Duration = Duration::from_secs(7);
    let rig = Rig::new();
    let config = rig.config();
    let gap_max = Duration::from_millis(2 * config.limits.debounce_max_ms);
    // Known already, so that no event tells of a new file.
    rig.write("log.txt", "begun earlier\n");
    let daemon = rig.start_with(config, None).await;
    rig.until_equal(&daemon).await;
    let mut news = daemon.components().events.listen();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write_without_pause(rig.path("log.txt"), keep_open, &stop);
    let began = Instant::now();
    let mut last = began;
    let mut stored = 0;
    while began.elapsed() < WRITTEN_FOR {
        let heard = tokio::time::timeout(gap_max.saturating_sub(last.elapsed()), news.recv()).await;
        match heard
            .expect("stored at least once per debounce_max")
            .unwrap()
        {
            Event::Stored { path, .. } if path == "log.txt" => {
                println!("stored after {:?}", last.elapsed());
                last = Instant::now();
                stored += 1;
            }
            _ => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    let store = rig.store();
    rig.until_equal(&daemon).await;
    let found = history(&store, "log.txt").await;
    assert_eq!(found.first(), Some(&Some(written.clone())));
    assert!(
        found.len() >= stored && stored >= 1,
        "{stored} while written"
    );
    for version in found {
        let version = version.unwrap();
        assert!(written.starts_with(&version), "each is a beginning of it");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_without_pause_is_stored_every_so_often() {
    never_rests(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_held_open_and_written_without_pause_is_stored_every_so_often() {
    never_rests(true).await;
}

/// Overwrite a file with as many other bytes and give it its old time back.
fn edit_unseen(path: &Path, content: &str) {
    let meta = fs::metadata(path).unwrap();
    assert_eq!(meta.len(), content.len() as u64);
    let mtime = filetime::FileTime::from_last_modification_time(&meta);
    fs::write(path, content).unwrap();
    filetime::set_file_mtime(path, mtime).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_the_same_size_and_time_is_found_by_a_scan() {
    let rig = Rig::new();
    rig.write("book.txt", "one");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    edit_unseen(&rig.path("book.txt"), "two");
    daemon.components().sources[0].work.scans.ask_whole(false);
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    // While nobody watches.
    edit_unseen(&rig.path("book.txt"), "six");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let want = ["six", "two", "one"].map(|text| Some(text.as_bytes().to_vec()));
    assert_eq!(history(&rig.store(), "book.txt").await, want);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_stored_under_its_new_name_and_marked_under_the_old() {
    let rig = Rig::new();
    rig.write("draft.txt", "text");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    fs::rename(rig.path("draft.txt"), rig.path("final.txt")).unwrap();
    rig.until_equal(&daemon).await;
    let (store, text) = (rig.store(), Some(b"text".to_vec()));
    assert_eq!(history(&store, "draft.txt").await, [None, text.clone()]);
    assert_eq!(history(&store, "final.txt").await, [text]);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_mode_or_time_is_stored_without_sending_content() {
    let rig = Rig::new();
    rig.write("plan.txt", "unchanged");
    rig.write("table.csv", "a;b\n".repeat(500));
    let (requests, store) = Requests::listen(&rig);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    let store = rig.store();
    // Open before it may only be read.
    let plan = fs::File::options().write(true).open(rig.path("plan.txt"));
    let plan = plan.unwrap();
    for (name, number) in [("plan.txt", 2), ("table.csv", 2)] {
        requests.clear();
        set_mode(rig.path(name), OTHER_MODE);
        until("the mode is stored", async || {
            history(&store, name).await.len() == number
        })
        .await;
        rig.until_equal(&daemon).await;
        assert_eq!(requests.bodies(), 0, "{:?}", requests.changes());
        assert_eq!(requests.count("CopyObject"), 1, "{:?}", requests.changes());
    }
    requests.clear();
    // Windows counts in steps of 100 ns.
    let grain_ns = if cfg!(windows) { 500 } else { 5 };
    let time = filetime::FileTime::from_unix_time(1_000_000_000, grain_ns);
    filetime::set_file_handle_times(&plan, None, Some(time)).unwrap();
    let at = At {
        bucket: BUCKET,
        key: "plan.txt",
    };
    until("the time is stored", async || {
        let head = store.head(at, None).await.unwrap().unwrap();
        head.meta.unwrap().mtime_ns == 1_000_000_000_000_000_000 + i128::from(grain_ns)
    })
    .await;
    rig.until_equal(&daemon).await;
    assert_eq!(requests.bodies(), 0, "{:?}", requests.changes());
    let text = Some(b"unchanged".to_vec());
    assert_eq!(history(&store, "plan.txt").await, vec![text; 3]);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_rewrite_sends_no_content_and_with_its_old_time_nothing_at_all() {
    let rig = Rig::new();
    rig.write("plan.txt", "unchanged");
    let (requests, store) = Requests::listen(&rig);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    let (store, ctx) = (rig.store(), daemon.components());
    requests.clear();
    edit_unseen(&rig.path("plan.txt"), "unchanged");
    // A scan looks again, should the watcher have been slow.
    scan_whole(&ctx.sources[0], false).await;
    rig.until_equal(&daemon).await;
    assert!(requests.changes().is_empty(), "{:?}", requests.changes());
    assert_eq!(versions(&store, BUCKET).await.len(), 1);
    rig.write("plan.txt", "unchanged");
    until("the new time is stored", async || {
        versions(&store, BUCKET).await.len() == 2
    })
    .await;
    rig.until_equal(&daemon).await;
    assert_eq!(requests.bodies(), 0, "{:?}", requests.changes());
    daemon.stop().await.unwrap();
}
