//! Every input that the fuzz targets keep is asked again on every run of the
//! tests, without a fuzzer; and so is what fuzzing once found.

#[path = "../../fuzz/src/lib.rs"]
mod properties;

use std::path::{Path, PathBuf};

/// Inputs are small on purpose: they are read by people and stay in the repository.
const INPUT_BYTES_MAX: u64 = 4 * 1024;
const CORPUS_BYTES_MAX: u64 = 1024 * 1024;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The inputs of one target, in the order of their names.
fn inputs(target: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(corpus().join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "the corpus of {target} is not there");
    inputs
}

/// Asks `check` of every input; a failing one is named.
fn replay(target: &str, check: fn(&[u8])) {
    let mut failed = Vec::new();
    for input in inputs(target) {
        let data = std::fs::read(&input).unwrap();
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            failed.push(input);
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:?}");
}

#[test]
fn keys_and_paths() {
    replay("keys", properties::keys::check);
}

#[test]
fn object_metadata() {
    replay("meta", properties::meta::check);
}

#[test]
fn configurations() {
    replay("config", properties::config::check);
}

#[test]
fn index_records() {
    replay("records", properties::records::check);
}

#[test]
fn requests_to_the_vault() {
    replay("vault", properties::vault::check);
}

/// What an index on somebody's disk holds is read for ever.
#[test]
fn records_of_every_layout_are_still_read() {
    let mut layouts = 0;
    for input in inputs("records") {
        let name = input.file_name().unwrap().to_str().unwrap();
        if name.starts_with("layout-") {
            let data = std::fs::read(&input).unwrap();
            assert!(keepwatch::index::decode_record(&data).is_some(), "{name}");
            layouts += 1;
        }
    }
    assert!(layouts >= 3, "{layouts}");
}

#[test]
fn the_corpus_is_small_and_holds_no_secret() {
    let mut total = 0;
    for target in ["keys", "meta", "config", "records", "vault"] {
        for input in inputs(target) {
            let data = std::fs::read(&input).unwrap();
            let bytes = data.len() as u64;
            assert!(
                bytes <= INPUT_BYTES_MAX,
                "{}: {bytes} bytes",
                input.display()
            );
            total += bytes;
            // Access keys of AWS begin so; secrets are 40 characters of base64.
            let text = String::from_utf8_lossy(&data);
            for mark in ["AKIA", "ASIA", "PRIVATE KEY", "secret_access_key"] {
                assert!(!text.contains(mark), "{}", input.display());
            }
        }
    }
    assert!(total <= CORPUS_BYTES_MAX, "{total} bytes");
}
