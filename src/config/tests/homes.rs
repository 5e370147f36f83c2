//! `~` in the paths of a configuration, wherever one can be written.

use super::*;
use crate::config::raw::TABLES;
use crate::types::{Fatal, Home};

/// Every key whose value is a path, with its table: its example is one.
fn path_keys() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for (table, keys) in TABLES {
        for (leaf, _, example) in *keys {
            if example.starts_with("\"/") {
                found.push((*table, *leaf));
            }
        }
    }
    found
}

/// A whole configuration in which this key has this value.
fn with(table: &str, leaf: &str, value: &str) -> String {
    let tables = [
        ("vault", "path", "vault"),
        ("state", "dir", "own/state"),
        ("log", "dir", "own/log"),
        ("source", "path", "database"),
    ];
    let mut text = String::new();
    for (name, key, usual) in tables {
        let value = if (name, key) == (table, leaf) {
            value
        } else {
            usual
        };
        let head = match name {
            "source" => "[[source]]\nname = \"a\"\nbucket = \"database-backup-254\"".to_owned(),
            name => format!("[{name}]"),
        };
        text.push_str(&format!("{head}\n{key} = '{value}'\n"));
    }
    text
}

fn found(config: &Config, table: &str) -> PathBuf {
    match (table, &config.store) {
        ("vault", StoreConfig::Vault { path }) => path.clone(),
        ("source", _) => config.sources[0].path.clone(),
        ("state", _) => config.state_dir.clone(),
        ("log", _) => config.log.dir.clone(),
        _ => panic!("a path of [{table}] that this test does not know"),
    }
}

fn load_for(office: &Office, text: &str, home: Home) -> Result<Config, Fatal> {
    let file = office.path("keepwatch.toml");
    std::fs::write(&file, text).unwrap();
    let defaults = Defaults {
        home,
        ..office.defaults()
    };
    load(&file, &Overrides::default(), [], &defaults)
}

#[test]
fn every_path_may_begin_at_home_in_the_file() {
    let office = Office::new();
    let home = || Home::At(office.path(""));
    let keys = path_keys();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for (table, leaf) in keys {
        let inner = if table == "source" {
            "documents"
        } else {
            "vault"
        };
        let text = with(table, leaf, &format!("~/{inner}"));
        let config = load_for(&office, &text, home()).unwrap();
        assert_eq!(found(&config, table), office.path(inner), "{table}.{leaf}");
        for (value, home, why) in [
            ("~anna/x", home(), "another account"),
            ("~/x", Home::Nowhere, "no home folder"),
            ("~/x", Home::OfAnother, "a home of its own"),
        ] {
            let fatal = load_for(&office, &with(table, leaf, value), home).unwrap_err();
            let words = fatal.to_string();
            assert!(words.contains(why), "{table}.{leaf}: {words}");
            assert!(words.contains("full path"), "{table}.{leaf}: {words}");
        }
    }
}

/// Named after the bug: `service install` took a pattern with which the service's account then
/// refused to start.
#[test]
fn a_pattern_below_another_accounts_home_is_refused_whatever_is_needed() {
    let office = Office::new();
    let file = office.path("keepwatch.toml");
    let overrides = Overrides {
        needs: Needs::Nothing,
        ..Overrides::default()
    };
    let defaults = Defaults {
        home: Home::OfAnother,
        ..office.defaults()
    };
    for (pattern, is_taken) in [
        ("~/private/", false),
        ("!~/private/", false),
        ("~*", true),
        ("private/", true),
    ] {
        let text = format!("{}exclude = ['{pattern}']\n", with("", "", ""));
        std::fs::write(&file, text).unwrap();
        let found = load(&file, &overrides, [], &defaults);
        assert_eq!(found.is_ok(), is_taken, "{pattern}");
        if let Err(fatal) = found {
            let words = fatal.to_string();
            assert!(words.contains("a home of its own"), "{words}");
        }
    }
}

#[test]
fn every_path_may_begin_at_home_in_the_environment() {
    let office = Office::new();
    for (table, leaf) in path_keys() {
        // Sources are not taken from there.
        if table == "source" {
            continue;
        }
        let variable = format!("KEEPWATCH_{table}__{leaf}").to_uppercase();
        let text = with("", "", "");
        let variables = [(variable.as_str(), "~/vault")];
        let config = office.load_with(&text, &variables, &Overrides::default());
        assert_eq!(
            found(&config.unwrap(), table),
            office.path("vault"),
            "{variable}"
        );
    }
}
