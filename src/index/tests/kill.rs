//! A kill in the middle of writing: what is left is a clean beginning.

use super::*;
use crate::types::WallMs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const CHILD_FOLDER: &str = "KEEPWATCH_TEST_INDEX";
const COMMITS_BEFORE_KILL: u64 = 2_000;

fn name(n: u64) -> String {
    format!("f{n:08}")
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by a_kill_leaves_a_clean_beginning"]
fn child_that_is_killed() {
    let index = open(Path::new(&std::env::var(CHILD_FOLDER).unwrap()));
    let source = docs(&index);
    let one = Activity {
        versions: 1,
        ..Activity::default()
    };
    let fault = Fault::new(Class::Changed, "read", "x", "x");
    for n in 0.. {
        let key = key(&name(n));
        index
            .mark_unprotected(source, &key, &fault, WallMs(1), WallMs(2))
            .unwrap();
        index
            .commit(source, &key, Change::Put(record(n)), &one)
            .unwrap();
        if n % 100 == 0 {
            println!("\ncommitted {n}");
        }
    }
}

#[test]
fn a_kill_leaves_a_clean_beginning() {
    let (_dir, root) = state();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["index::tests::kill::child_that_is_killed", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_FOLDER, &root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let until = format!("committed {COMMITS_BEFORE_KILL}");
    assert!(lines.map(Result::unwrap).any(|line| line == until));
    child.kill().unwrap();
    child.wait().unwrap();

    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    let source = docs(&index);
    let records = all(&index, source);
    for (n, (key, found)) in records.iter().enumerate() {
        assert_eq!((key.as_str(), found), (&*name(n as u64), &record(n as u64)));
    }
    // Batches of 200 are flushed, so most must have survived.
    assert!(records.len() as u64 > COMMITS_BEFORE_KILL / 2);
    // Record, digest and the end of being unprotected went together.
    assert_eq!(index.activity(source).versions, records.len() as u64);
    let (pending, total) = index.unprotected(source, 10).unwrap();
    assert!(total <= 1, "{total}");
    for (key, _) in pending {
        assert_eq!(key.as_str(), name(records.len() as u64));
    }
}
