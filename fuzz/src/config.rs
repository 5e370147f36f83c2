//! Configuration: any text is a configuration, or is refused in words.

use keepwatch::config::{Config, Defaults, Needs, Overrides, load};
use keepwatch::types::{Fatal, FatalKind};
use std::ffi::OsString;
use std::path::Path;

/// What stands between the file and `NAME=value` lines of the environment.
const ENVIRONMENT: &str = "\n#ENVIRONMENT\n";

/// Any bytes: a file, and after [`ENVIRONMENT`] variables.
pub fn check(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["database", "documents"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let at = data
        .windows(ENVIRONMENT.len())
        .position(|window| window == ENVIRONMENT.as_bytes());
    let (file, environment) = match at {
        Some(at) => (&data[..at], &data[at + ENVIRONMENT.len()..]),
        None => (data, &b""[..]),
    };
    let environment = String::from_utf8_lossy(environment);
    let variables: Vec<(OsString, OsString)> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let path = dir.path().join("keepwatch.toml");
    std::fs::write(&path, file).unwrap();
    for needs in [Needs::All, Needs::Store, Needs::StoreAlone, Needs::Nothing] {
        let overrides = Overrides {
            log_level: None,
            needs,
        };
        let defaults = Defaults {
            state_dir: dir.path().join("own/state"),
            log_dir: dir.path().join("own/log"),
            home: keepwatch::types::Home::At(dir.path().to_owned()),
            computer_time_zone: jiff::tz::TimeZone::UTC,
        };
        match load(&path, &overrides, variables.clone(), &defaults) {
            Ok(config) => is_valid(&config),
            Err(fatal) => is_told(&fatal, &path, file),
        }
    }
    // It looks, and makes nothing.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
}

fn is_valid(config: &Config) {
    assert!(!config.sources.is_empty());
    let mut names = Vec::new();
    for source in &config.sources {
        assert!(source.path.is_absolute() && !source.name.is_empty());
        assert!(!names.contains(&&source.name), "{}", source.name);
        names.push(&source.name);
        assert!(source.prefix.is_empty() || source.prefix.ends_with('/'));
        assert!((1..=9).contains(&source.compress_level));
        assert!((3..=63).contains(&source.bucket.len()), "{}", source.bucket);
    }
    let limits = &config.limits;
    assert!(limits.workers > 0 && limits.queue_items_max > 0);
    assert!(limits.debounce_ms <= limits.debounce_max_ms);
    assert!(config.state_dir.is_absolute() && config.log.dir.is_absolute());
}

/// It names the file, what is wrong and what to do; text that is no TOML at
/// all is told with its line.
fn is_told(fatal: &Fatal, path: &Path, file: &[u8]) {
    let text = fatal.to_string();
    assert_eq!(fatal.kind, FatalKind::Usage, "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(!fatal.cause.trim().is_empty(), "{text}");
    assert!(text.contains("what to do: "), "{text}");
    let utf16 = file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]);
    let is_toml = std::str::from_utf8(file).is_ok_and(|text| {
        let text = text.trim_start_matches('\u{feff}');
        toml_edit::ImDocument::parse(text).is_ok()
    });
    let names_a_line = names_a_line(&text, file);
    assert!(utf16 || is_toml || names_a_line, "no line: {text}");
}

/// `line N`, and the file has that line.
fn names_a_line(text: &str, file: &[u8]) -> bool {
    let lines = file.iter().filter(|byte| **byte == b'\n').count() + 1;
    text.match_indices("line ").any(|(at, word)| {
        let digits: String = text[at + word.len()..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits
            .parse::<usize>()
            .is_ok_and(|number| (1..=lines).contains(&number))
    })
}
