//! What was changed in the last moment before a stop: it is stored, in time.

use crate::harness::{BUCKET, Rig, Running, in_bucket, on_disk, write_config};
use crate::raw::marked;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// As the program has it when nobody sets it: longer than the test waits.
fn config(rig: &Rig) -> PathBuf {
    let file = write_config(rig, "");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("debounce_ms = 300", "debounce_ms = 3000");
    let text = text.replace("debounce_max_ms = 2000", "debounce_max_ms = 60000");
    fs::write(&file, text).unwrap();
    file
}

/// Before: a save was found by the next start alone, and a deletion waited for
/// seconds more, of a computer that is switched off every evening.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_just_before_a_stop_is_stored() {
    let rig = Rig::new();
    for name in ["old.txt", "gone.txt", "b/name.txt", "same.txt"] {
        rig.write(
            name,
            format!("{name} as it was, and long enough to be copied").repeat(200),
        );
    }
    let config = config(&rig);
    let running = Running::start(&config, &[]).await;
    let store = rig.store();
    crate::harness::until("all is stored", async || {
        in_bucket(&store).await == on_disk(&rig.root())
    })
    .await;
    // Opened anew later: one that is open does not hear of names that others add.
    drop(store);
    rig.write("old.txt", "saved again");
    rig.write("new.txt", "saved");
    rig.write("made/just/now.txt", "with its folders");
    fs::create_dir(rig.path("empty")).unwrap();
    fs::remove_file(rig.path("gone.txt")).unwrap();
    fs::rename(rig.path("b/name.txt"), rig.path("renamed.txt")).unwrap();
    let began = Instant::now();
    assert_eq!(running.stop(), Some(0));
    // A busy machine; `shutdown_timeout` is 30 s.
    assert!(began.elapsed() < Duration::from_secs(35));
    let store = rig.store();
    assert_eq!(in_bucket(&store).await, on_disk(&rig.root()));
    let mut marked = marked(&store, BUCKET).await;
    marked.sort();
    assert_eq!(marked, ["b/name.txt", "gone.txt"]);
}
