//! Keys of the configuration, their defaults and bounds in the pages and examples, held
//! against what the program reads.
//!
//! The program is asked from outside: an unknown key is refused with the names of those
//! that there are, and a default is true if a file with it gives the same configuration
//! as a file without it.

use super::page::{Code, code};
use super::{EXAMPLES, FOR_USERS, falsified, read};
use keepwatch::config::{Config, Defaults, Needs, Overrides, load};
use keepwatch::types::Fatal;
use std::collections::{BTreeMap, BTreeSet};

/// The page with the tables of all keys.
const REFERENCE: &str = "docs/OPERATIONS.md";

/// Defaults that are no value of a file: what is taken when there is none.
const IN_WORDS: [&str; 10] = [
    "none",
    "as AWS tools are configured",
    "AWS",
    "`true` with `endpoint_url`, else `false`",
    "the bucket's own",
    "AWS's own key for S3",
    "S3's own (`STANDARD`)",
    "any",
    "no limit",
    "the computer's",
];

/// Where [state] and [log] lie: a table of its own says it, by system.
const BY_SYSTEM: &str = "see below";

/// Names with an underscore in the pages that are keys of AWS's own files.
const OTHER_NAMES: [&str; 5] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "ca_bundle",
    "credential_process",
];

/// Sections of AWS's own files.
const OTHER_TABLES: [&str; 1] = ["default"];

/// What an office chooses: the examples are no statement of a default.
const CHOSEN: [&str; 2] = ["compress", "exclude"];

/// Keys that no example has: `keepwatch sources --write-config` writes it.
const WRITTEN_BY_PROGRAM: [(&str, &str); 1] = [("source", "take_over")];

fn load_text(text: &str) -> Result<Config, Fatal> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keepwatch.toml");
    std::fs::write(&file, text).unwrap();
    let overrides = Overrides {
        needs: Needs::Nothing,
        ..Overrides::default()
    };
    let defaults = Defaults {
        state_dir: "/default/state".into(),
        log_dir: "/default/log".into(),
        home: keepwatch::types::Home::Nowhere,
        computer_time_zone: jiff::tz::TimeZone::UTC,
    };
    let mut config = load(&file, &overrides, [], &defaults)?;
    config.file = None;
    Ok(config)
}

/// What the program offers in place of a name that it does not know.
fn offered(text: &str) -> Vec<String> {
    let told = load_text(text).unwrap_err().to_string();
    let (_, names) = told
        .split_once("possible here: ")
        .unwrap_or_else(|| panic!("{told}"));
    let names = names.lines().next().unwrap().split(", ");
    names.map(|name| name.trim().to_owned()).collect()
}

/// Every table of the program with its keys.
fn program() -> BTreeMap<String, Vec<String>> {
    const UNKNOWN: &str = "zzzzzzzzzz = 1\n";
    let tables = offered(UNKNOWN);
    let keys = |table: &String| {
        let keys = offered(&match table.as_str() {
            "source" => format!("[[source]]\n{UNKNOWN}"),
            table => format!("[{table}]\n{UNKNOWN}"),
        });
        (table.clone(), keys)
    };
    tables.iter().map(keys).collect()
}

/// A configuration with this key set so, or without it.
fn with(table: &str, key: &str, value: Option<&str>) -> String {
    let line = |of: &str| match value {
        Some(value) if of == table => format!("{key} = {value}\n"),
        _ => String::new(),
    };
    // debounce_max_ms may not be below debounce_ms.
    let beside = match key {
        "debounce_ms" => "debounce_max_ms = 86400000\n",
        "debounce_max_ms" => "debounce_ms = 10\n",
        _ => "",
    };
    let place = match table {
        "s3" => format!("[s3]\n{}", line("s3")),
        _ => "[vault]\npath = \"/disk\"\n".to_owned(),
    };
    let source = "[[source]]\nname = \"a\"\npath = \"/a\"\nbucket = \"office\"\n";
    let other = match table {
        "s3" | "source" => String::new(),
        other => format!("[{other}]\n{}{beside}", line(other)),
    };
    format!("{place}{source}{}{other}", line("source"))
}

/// Another value of the same kind.
fn another(key: &str, value: &str) -> String {
    let digits: String = value
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    match (key, value) {
        ("timetable", _) => "[\"daily 08:00-09:00 up 1 Mbit/s\"]".into(),
        ("take_over", _) => "\"0123456789abcdef0123456789abcdef\"".into(),
        ("cost_max_usd", _) => "0.5".into(),
        (_, "true") => "false".into(),
        (_, "false") => "true".into(),
        (_, "[]") => "[\"*.x\"]".into(),
        (_, "\"\"") => "\"a/\"".into(),
        (_, "\"mark\"") => "\"keep\"".into(),
        (_, "\"info\"") => "\"debug\"".into(),
        _ => {
            let next = digits.parse::<u64>().unwrap() + 1;
            value.replacen(&digits, &next.to_string(), 1)
        }
    }
}

/// A row of the reference: a key, what it is by default, and its bounds if it has some.
struct Row {
    line: usize,
    table: String,
    key: String,
    default: String,
    allowed: Option<String>,
}

/// The cells of a row of a table of Markdown.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    let hidden = inner.replace("\\|", "\u{0}");
    let cells = hidden.split('|');
    cells
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

/// `x` of a text that is nothing but that between backticks.
fn only_code(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then_some(inner)
}

fn table_name(text: &str) -> Option<&str> {
    let one = text.strip_prefix('[')?.strip_suffix(']')?;
    let name = one
        .strip_prefix('[')
        .and_then(|two| two.strip_suffix(']'))
        .unwrap_or(one);
    is_name(name).then_some(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The rows of the section "Configuration".
fn rows(text: &str) -> Vec<Row> {
    let mut found = Vec::new();
    let mut table = String::new();
    let mut has_bounds = false;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            inside = heading == "Configuration";
        }
        if !inside {
            continue;
        }
        if let Some(heading) = line.strip_prefix("### ") {
            let named = heading.split('`').nth(1).and_then(table_name);
            table = named.unwrap_or_default().to_owned();
        }
        if !line.starts_with('|') {
            continue;
        }
        let cells = cells(line);
        let Some(first) = only_code(&cells[0]) else {
            if cells[0] == "key" {
                has_bounds = cells[2] == "allowed";
            }
            continue;
        };
        if let Some(named) = table_name(first) {
            (table, has_bounds) = (named.to_owned(), false);
            continue;
        }
        let (table, key) = match first.split_once('.') {
            Some((table, key)) => (table.to_owned(), key.to_owned()),
            None => (table.clone(), first.to_owned()),
        };
        found.push(Row {
            line: number + 1,
            table,
            key,
            default: cells[1].clone(),
            allowed: has_bounds.then(|| cells[2].clone()),
        });
    }
    found
}

/// A bound in words as a value: `a day`, `10 minutes`, `600000`; then with one more or
/// less of its unit.
fn bound(words: &str, change: i64) -> String {
    let words = match words {
        "a day" => "86400000",
        words => words,
    };
    let (number, unit) = words.split_once(' ').unwrap_or((words, ""));
    let number = number.parse::<i64>().unwrap() + change;
    match unit.chars().next() {
        Some(unit) => format!("\"{number}{unit}\""),
        None => number.to_string(),
    }
}

fn wrong_bounds(row: &Row) -> Option<String> {
    let (least, most) = row.allowed.as_deref()?.split_once(" to ")?;
    let loads = |value: &str| load_text(&with(&row.table, &row.key, Some(value))).is_ok();
    let tries = [
        (bound(least, 0), true),
        (bound(least, -1), false),
        (bound(most, 0), true),
        (bound(most, 1), false),
    ];
    let (value, _) = tries.iter().find(|(value, good)| loads(value) != *good)?;
    Some(format!(
        "the program {} {} = {value}",
        if loads(value) { "takes" } else { "refuses" },
        row.key
    ))
}

fn wrong_default(row: &Row) -> Option<String> {
    let (table, key) = (row.table.as_str(), row.key.as_str());
    let Some(value) = only_code(&row.default) else {
        let known = IN_WORDS.contains(&row.default.as_str()) || row.default == BY_SYSTEM;
        return (!known).then(|| format!("{key}: no such default is known: {}", row.default));
    };
    let seen = |value: Option<&str>| {
        let config = load_text(&with(table, key, value));
        config.map(|config| format!("{config:?}"))
    };
    let without = seen(None).unwrap_or_else(|error| panic!("{table}.{key}: {error}"));
    match (seen(Some(value)), seen(Some(&another(key, value)))) {
        (Err(error), _) => Some(format!("{key} = {value} is refused: {error}")),
        (Ok(_), Err(error)) => panic!("{table}.{key}: {error}"),
        (Ok(set), Ok(other)) if set == other => panic!("{table}.{key} changes nothing"),
        (Ok(set), Ok(_)) => {
            (set != without).then(|| format!("{key} is not {value} when it is not set"))
        }
    }
}

/// What is wrong with the tables of keys in the reference.
fn wrong_rows(name: &str, text: &str) -> Vec<String> {
    let program = program();
    let mut wrong = Vec::new();
    let mut listed = BTreeSet::new();
    for row in rows(text) {
        let place = format!("{name}:{}", row.line);
        let known = program.get(&row.table);
        if !known.is_some_and(|keys| keys.contains(&row.key)) {
            wrong.push(format!("{place}: [{}] has no key {}", row.table, row.key));
            continue;
        }
        for what in [wrong_default(&row), wrong_bounds(&row)]
            .into_iter()
            .flatten()
        {
            wrong.push(format!("{place}: {what}"));
        }
        if !listed.insert((row.table.clone(), row.key.clone())) {
            wrong.push(format!("{place}: {} stands there twice", row.key));
        }
    }
    for (table, keys) in &program {
        for key in keys {
            if !listed.contains(&(table.clone(), key.clone())) {
                wrong.push(format!("{name}: [{table}] {key} has no row"));
            }
        }
    }
    wrong
}

/// What is wrong with a piece of code, if it names a table or a key.
fn wrong_mention(
    piece: &Code,
    program: &BTreeMap<String, Vec<String>>,
    json: &BTreeSet<String>,
) -> Option<String> {
    let text = piece.text.trim();
    let has = |table: &str, key: &str| {
        let keys = program.get(table);
        keys.is_some_and(|keys| keys.iter().any(|known| known == key))
    };
    let anywhere =
        |key: &str| program.keys().any(|table| has(table, key)) || OTHER_NAMES.contains(&key);
    if let Some(table) = table_name(text) {
        let known = program.contains_key(table) || OTHER_TABLES.contains(&table);
        return (!known).then(|| format!("there is no table [{table}]"));
    }
    if let Some(variable) = text.strip_prefix("KEEPWATCH_")
        && let Some((table, key)) = variable.split_once("__")
        && !variable.starts_with('<')
    {
        let key = key.split('=').next().unwrap_or(key);
        let known = has(&table.to_lowercase(), &key.to_lowercase());
        return (!known).then(|| format!("no key is called {table}__{key}"));
    }
    let (left, is_set) = match text.split_once(" = ") {
        Some((left, _)) => (left, true),
        None => (text, false),
    };
    // `[s3] profile`, `limits.rescan_ms`, `source[2].bucket`.
    let in_table = match left.split_once("] ") {
        Some((table, key)) => Some((table.trim_start_matches('['), key)),
        None => left.split_once('.').map(|(table, key)| {
            let table = table.split('[').next().unwrap_or(table);
            (table, key)
        }),
    };
    if let Some((table, key)) = in_table
        && is_name(key)
        && (program.contains_key(table) || left.starts_with('['))
    {
        return (!has(table, key)).then(|| format!("[{table}] has no key {key}"));
    }
    let is_meant = is_name(left) && (is_set || (left.contains('_') && !piece.is_block));
    (is_meant && !anywhere(left) && !json.contains(left)).then(|| format!("there is no key {left}"))
}

/// What is wrong with the keys that a page names in passing.
fn wrong_mentions(name: &str, text: &str) -> Vec<String> {
    let program = program();
    // A test of its own holds these against the program.
    let json = super::json::named(text);
    code(text)
        .iter()
        .filter_map(|piece| {
            let what = wrong_mention(piece, &program, &json)?;
            Some(format!("{name}:{}: {what}", piece.line))
        })
        .collect()
}

/// The lines of an example that set a key: line, table, key, value, switched on.
fn settings(text: &str) -> Vec<(usize, String, String, String, bool)> {
    let mut found = Vec::new();
    let mut table = String::new();
    for (number, line) in text.lines().enumerate() {
        let on = !line.starts_with('#');
        // `# words` is a comment, `#key = value` is switched off.
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(named) = table_name(line) {
            named.clone_into(&mut table);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| is_name(key)) {
            let (key, value) = (key.to_owned(), value.to_owned());
            found.push((number + 1, table.clone(), key, value, on));
        }
    }
    found
}

/// What is wrong with an example: keys that there are not, and values that it shows as
/// the usual ones and that are not the defaults.
fn wrong_settings(name: &str, text: &str) -> Vec<String> {
    let program = program();
    let reference = rows(&read(REFERENCE));
    let mut wrong = Vec::new();
    for (line, table, key, value, on) in settings(text) {
        let keys = program.get(&table);
        if !keys.is_some_and(|keys| keys.contains(&key)) {
            wrong.push(format!("{name}:{line}: [{table}] has no key {key}"));
        }
        let row = reference
            .iter()
            .find(|row| row.table == table && row.key == key);
        let default = row.and_then(|row| only_code(&row.default));
        if let Some(default) = default.filter(|default| on && *default != value)
            && !CHOSEN.contains(&key.as_str())
        {
            wrong.push(format!("{name}:{line}: {key} is {default} by default"));
        }
    }
    wrong
}

/// Named after the class: a key, default or bound in the reference that the program has
/// otherwise, or not, and one of the program's that the reference lacks.
#[test]
fn the_reference_has_every_key_with_its_default_and_bounds() {
    let text = read(REFERENCE);
    let rows = rows(&text);
    let literal = rows.iter().filter(|row| only_code(&row.default).is_some());
    assert!(rows.len() > 40, "{} rows are not all", rows.len());
    assert!(literal.count() > 25, "the defaults were not found");
    let bounded = rows.iter().filter(|row| row.allowed.is_some());
    assert_eq!(bounded.count(), 8, "the bounds were not found");
    let wrong = wrong_rows(REFERENCE, &text);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The one default that depends on another key.
#[test]
fn the_path_style_follows_the_endpoint() {
    let seen = |lines: &str| {
        let text = format!(
            "[s3]\n{lines}\n[[source]]\nname = \"a\"\npath = \"/a\"\nbucket = \"office\"\n"
        );
        format!("{:?}", load_text(&text).unwrap())
    };
    let address = "endpoint_url = \"https://s3.example\"\n";
    let set = |on: bool| format!("path_style = {on}\n");
    assert_eq!(seen(""), seen(&set(false)));
    assert_ne!(seen(""), seen(&set(true)));
    let there = |lines: String| seen(&format!("{address}{lines}"));
    assert_eq!(there(String::new()), there(set(true)));
    assert_ne!(there(String::new()), there(set(false)));
}

/// Named after the class: prose that speaks of a key that was renamed.
#[test]
fn every_key_that_a_page_names_is_the_programs() {
    let mut wrong = Vec::new();
    for name in FOR_USERS {
        wrong.extend(wrong_mentions(name, &read(name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_have_every_key_and_the_usual_values() {
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for name in EXAMPLES {
        let text = read(name);
        wrong.extend(wrong_settings(name, &text));
        shown.extend(
            settings(&text)
                .into_iter()
                .map(|(_, table, key, ..)| (table, key)),
        );
    }
    for (table, keys) in program() {
        for key in keys {
            let own = WRITTEN_BY_PROGRAM.contains(&(table.as_str(), key.as_str()));
            if !own && !shown.contains(&(table.clone(), key.clone())) {
                wrong.push(format!("no example shows [{table}] {key}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_false_key_default_or_bound_is_named_with_its_line() {
    for (from, to) in [
        (
            "| `workers` | `16` | 1 to 128",
            "| `workers` | `12` | 1 to 128",
        ),
        (
            "| `workers` | `16` | 1 to 128",
            "| `workers` | `16` | 1 to 256",
        ),
        (
            "| `workers` | `16` | 1 to 128",
            "| `worker_count` | `16` | 1 to 128",
        ),
        (
            "| `shutdown_timeout` | `\"30s\"` | 1 second",
            "| `shutdown_timeout` | `\"30s\"` | 2 second",
        ),
        ("| `alert_after` | `\"30m\"`", "| `alert_after` | `\"1h\"`"),
        ("| `log.json` | `false`", "| `log.json` | `true`"),
        (
            "| `bytes_max` | `\"200 MB\"`",
            "| `bytes_max` | as you like",
        ),
    ] {
        falsified(REFERENCE, from, to, wrong_rows);
    }
    for (from, to) in [
        (
            "`KEEPWATCH_LIMITS__WORKERS=8`",
            "`KEEPWATCH_LIMITS__HANDS=8`",
        ),
        ("`[s3] profile` chooses", "`[s3] persona` chooses"),
        ("in `schedule.time_zone`", "in `schedule.zone`"),
        (
            "With `on_delete = \"keep\"`",
            "With `when_deleted = \"keep\"`",
        ),
        ("every `unwatched_scan_ms`", "every `unwatched_scan_secs`"),
        ("`[bandwidth]` is read again", "`[line]` is read again"),
    ] {
        falsified(REFERENCE, from, to, wrong_mentions);
    }
    for (name, from, to) in [
        ("config/office.toml", "workers = 16", "workers = 8"),
        ("config/office.toml", "#kms_key_id =", "#kms_key ="),
        (
            "config/vault.toml",
            "digest_at = \"02:00\"",
            "digest_time = \"02:00\"",
        ),
    ] {
        falsified(name, from, to, wrong_settings);
    }
}
