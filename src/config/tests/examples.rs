//! The commented examples in `config/` must never rot.

use super::*;
use crate::config::raw;

/// The example from `config/`, with its folders made under a temporary one.
fn example(text: &str, folders: &[&str]) -> Config {
    let office = Office::new();
    let mut text = text.to_owned();
    for folder in folders {
        assert!(text.contains(folder), "{folder} is not in the example");
        let there = office.path(folder.trim_start_matches('/'));
        std::fs::create_dir_all(&there).unwrap();
        // In double quotes a backslash means something else.
        text = text.replace(folder, &there.to_string_lossy().replace('\\', "/"));
    }
    office.load(&text).unwrap()
}

#[test]
fn the_examples_load() {
    let folders = [
        "/srv/office/database",
        "/srv/office/documents",
        "/srv/office/pictures",
    ];
    let office = example(include_str!("../../../config/office.toml"), &folders);
    assert_eq!(office.sources.len(), 3);
    assert_eq!(office.sources[0].compress, ["*.csv"]);
    assert!(matches!(office.store, StoreConfig::S3(_)));
    assert!(office.notify.topic_arn.is_some());

    let with_disk = [&folders[..], &["/mnt/backup-disk/keepwatch"]].concat();
    let vault = example(include_str!("../../../config/vault.toml"), &with_disk);
    assert_eq!(vault.sources.len(), 3);
    assert!(matches!(vault.store, StoreConfig::Vault { .. }));
}

/// `#key = value` is switched off, `# words` is a comment; each key that an
/// example shows switched off must be a right one, too.
#[test]
fn the_examples_load_with_their_optional_keys_switched_on() {
    let text = include_str!("../../../config/office.toml");
    let on: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(on.contains("\nprofile ="), "{on}");
    let config = example(
        &on,
        &[
            "/srv/office/database",
            "/srv/office/documents",
            "/srv/office/pictures",
        ],
    );
    assert!(config.notify.endpoint_url.is_some());
}

#[test]
fn every_key_is_explained() {
    let reference = include_str!("../../../docs/OPERATIONS.md");
    for (table, keys) in raw::TABLES {
        assert!(reference.contains(&format!("[{table}]")), "{table}");
        for (key, ..) in *keys {
            let row = [format!("| `{key}` |"), format!("| `{table}.{key}` |")];
            assert!(
                row.iter().any(|row| reference.contains(row)),
                "{table}.{key}"
            );
        }
    }
}
