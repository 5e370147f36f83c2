//! The fields of `status --json`, held against what the program prints.

use super::page::code;
use super::read;
use crate::harness::{BUCKET, Rig, finish, program};
use std::collections::BTreeSet;

/// The paragraph that names the fields begins so.
const BEGINS: &str = "`keepwatch status` begins with one line";

/// Values of `overall`, of which one answer has one, and what stands in place of the
/// rest when nobody answers.
const OTHER_ANSWERS: [&str; 6] = [
    "well",
    "attention",
    "not_running",
    "unknown",
    "running",
    "last_known",
];

/// The fields that the page names.
pub fn named(page: &str) -> BTreeSet<String> {
    let Some(at) = page.find(BEGINS) else {
        return BTreeSet::new();
    };
    let paragraph = page[at..].split("\n\n").next().unwrap_or_default();
    let pieces = code(paragraph).into_iter().map(|piece| piece.text);
    pieces
        .filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

fn fields(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

/// Named after the class: a script is written after the page and finds no such field.
#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_status_are_those_that_the_page_names() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let file = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[vault]\npath = {vault:?}\n[[source]]\nname = {BUCKET:?}\npath = {root:?}\nbucket = \
         {BUCKET:?}\n[state]\ndir = {state:?}\n[log]\ndir = {log:?}\n",
        vault = rig.vault_dir(),
        root = rig.root(),
        state = rig.state_dir(),
        log = rig.dir.path().join("log"),
    );
    std::fs::write(&file, text).unwrap();
    let asked = finish(
        program()
            .arg("--config")
            .arg(&file)
            .args(["status", "--json"]),
    );
    daemon.stop().await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    let mut there = BTreeSet::new();
    fields(&answer, &mut there);
    let named = named(&read("docs/OPERATIONS.md"));
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !there.contains(*name) && !OTHER_ANSWERS.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} is not in {answer:#}");
}
