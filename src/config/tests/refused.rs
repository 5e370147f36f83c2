//! Files and variables that are wrong, and what is said about them.

use super::*;
use crate::config::raw;

/// Cases as `name`, blank line, text; and their messages in one snapshot.
fn refusals(cases: &[(&str, &str)]) -> String {
    let office = Office::new();
    let mut out = String::new();
    for (name, text) in cases {
        out.push_str(&format!("== {name}\n{}\n\n", office.refusal(text)));
    }
    out
}

/// One more key in the only source of a good file.
fn in_source(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

#[test]
fn the_file_as_a_whole() {
    let messages = refusals(&[
        ("empty", ""),
        ("no source", "[s3]\n"),
        (
            "no destination",
            "[[source]]\nname = \"a\"\npath = \"database\"\nbucket = \"abc\"\n",
        ),
        (
            "two destinations",
            &format!("{GOOD}\n[vault]\npath = \"vault\"\n"),
        ),
        ("not TOML", "[s3\n"),
        ("unquoted text", "[s3]\nregion = eu-central-1\n"),
        ("Windows path", "[vault]\npath = \"C:\\Users\\office\"\n"),
        (
            "Windows path that happens to be an escape",
            "[vault]\npath = \"C:\\temp\"\n",
        ),
        ("one bracket", "[source]\nname = \"a\"\n"),
        (
            "one bracket, twice",
            "[source]\nname = \"a\"\n[source]\nname = \"b\"\n",
        ),
        ("a list of text", "source = [\"database\"]\n[s3]\n"),
        (
            "vault without a folder",
            "[vault]\n[[source]]\nname = \"a\"\npath = \"database\"\nbucket = \"abc\"\n",
        ),
        (
            "vault not plugged in",
            "[vault]\npath = \"no/such/disk\"\n[[source]]\nname = \"a\"\npath = \"database\"\nbucket = \"abc\"\n",
        ),
    ]);
    insta::assert_snapshot!(messages);
}

#[test]
fn wrong_keys() {
    let messages = refusals(&[
        (
            "typo in a source",
            "[s3]\n\n[[source]]\nname = \"a\"\npath = \"database\"\nbuckt = \"abc\"\n",
        ),
        ("typo in a table", &format!("{GOOD}[limits]\nworker = 4\n")),
        (
            "typo in a table's name",
            &format!("{GOOD}[limit]\nworkers = 4\n"),
        ),
        ("plural", "[s3]\n[[sources]]\nname = \"a\"\n"),
        ("key of another table", &GOOD.replace("region", "bucket")),
        ("key without a table", &format!("workers = 4\n{GOOD}")),
        ("unknown", &in_source("encryption = true")),
        (
            "credential",
            "[s3]\naccess_key_id = \"AKIAIOSFODNN7EXAMPLE\"\nsecret_access_key = \"hunter2\"\n",
        ),
        (
            "wrong type",
            &format!(
                "{GOOD}compress = \"*.csv\"\n[limits]\nworkers = \"many\"\n[log]\njson = \"no\"\nlevel = 3\n"
            ),
        ),
        (
            "wrong type in a list",
            &in_source("exclude = [\n  \"*.tmp\",\n  7,\n]"),
        ),
        (
            "time without quotes",
            &format!("{GOOD}[schedule]\ndigest_at = 02:00:00\n"),
        ),
        (
            "a table where text belongs",
            &format!("{GOOD}[s3.region]\nname = \"x\"\n")
                .replace("region = \"eu-central-1\"\n", ""),
        ),
        (
            "text where a table belongs",
            &format!("limits = \"none\"\n{GOOD}"),
        ),
    ]);
    insta::assert_snapshot!(messages);
}

#[test]
fn wrong_sources() {
    let two = |second: &str| format!("{GOOD}\n[[source]]\n{second}\n");
    let messages = refusals(&[
        ("nothing in it", "[s3]\n[[source]]\n"),
        (
            "missing folder",
            &GOOD.replace("\"database\"\nbucket", "\"dtabase\"\nbucket"),
        ),
        (
            "a file",
            &GOOD.replace("\"database\"\nbucket", "\"file.txt\"\nbucket"),
        ),
        (
            "bucket",
            &GOOD.replace("database-backup-254", "Database_Backup"),
        ),
        ("prefix", &in_source("prefix = \"../x\"")),
        ("reserved prefix", &in_source("prefix = \".keepwatch/\"")),
        (
            "patterns",
            &in_source("exclude = [\"*.tmp\", \"Archiv\\\\2024\", \"[z-a]\"]\ncompress = [\"\"]"),
        ),
        (
            "level and on_delete",
            &in_source("compress_level = 10\non_delete = \"delete\""),
        ),
        (
            "same name",
            &two("name = \"Database\"\npath = \"documents\"\nbucket = \"documents-backup-254\""),
        ),
        (
            "same place",
            &two("name = \"documents\"\npath = \"documents\"\nbucket = \"database-backup-254\""),
        ),
        (
            "place inside",
            &two(
                "name = \"documents\"\npath = \"documents\"\nbucket = \"database-backup-254\"\nprefix = \"docs\"",
            ),
        ),
        (
            "many at once",
            &two("name = \"\"\npath = \"nowhere\"\nbucket = \"B\"\nprefix = \"a//b\"\ntypo = 1"),
        ),
    ]);
    insta::assert_snapshot!(messages);
}

#[test]
fn wrong_values() {
    let with = |lines: &str| format!("{GOOD}\n{lines}\n");
    let messages = refusals(&[
        (
            "password in the address",
            &GOOD.replace(
                "region = \"eu-central-1\"",
                "endpoint_url = \"https://anna:hunter2@s3.example\"",
            ),
        ),
        (
            "address",
            &GOOD.replace(
                "region = \"eu-central-1\"",
                "endpoint_url = \"s3.example:9000\"",
            ),
        ),
        (
            "key as region",
            &GOOD.replace("\"eu-central-1\"", "\"AKIAIOSFODNN7EXAMPLE\""),
        ),
        (
            "notify",
            &with(
                "[notify]\ntopic_arn = \"BackupNotifications\"\nalert_after = \"30\"\nendpoint_url = \"sns\"",
            ),
        ),
        (
            "schedule",
            &with("[schedule]\ndigest_at = \"25:00\"\ntime_zone = \"Europe/Berlino\""),
        ),
        (
            "limits",
            &with(
                "[limits]\ndebounce_ms = -1\nworkers = 0\nqueue_items_max = 1\nshutdown_timeout = \"1h\"\ndebounce_max_ms = 99999999999",
            ),
        ),
        (
            "debounce",
            &with("[limits]\ndebounce_ms = 5000\ndebounce_max_ms = 1000"),
        ),
        (
            "debounce above the default maximum",
            &with("[limits]\ndebounce_ms = 70000"),
        ),
        ("log level", &with("[log]\nlevel = \"inof\"")),
        (
            "own folders in a source",
            &with("[state]\ndir = \"database/state\"\n[log]\ndir = \"database\""),
        ),
        (
            "vault in a source",
            &GOOD
                .replace(
                    "[s3]\nregion = \"eu-central-1\"",
                    "[vault]\npath = \"documents/letters\"",
                )
                .replace("\"database\"\nbucket", "\"documents\"\nbucket"),
        ),
        (
            "source in the vault",
            &GOOD
                .replace(
                    "[s3]\nregion = \"eu-central-1\"",
                    "[vault]\npath = \"documents\"",
                )
                .replace("\"database\"\nbucket", "\"documents/letters\"\nbucket"),
        ),
    ]);
    insta::assert_snapshot!(messages);
}

#[test]
fn wrong_variables() {
    let office = Office::new();
    let mut out = String::new();
    for (name, value) in [
        ("KEEPWATCH_LIMITS__WORKRS", "4"),
        ("KEEPWATCH_LIMITS__WORKERS", "many"),
        ("KEEPWATCH_LIMITS__WORKERS", "0"),
        ("KEEPWATCH_WORKERS", "4"),
        ("KEEPWATCH_SOURCE__0__PATH", "/srv"),
        ("KEEPWATCH_SOURCE", "/srv"),
        ("KEEPWATCH_S3__SECRET_ACCESS_KEY", "hunter2"),
        ("KEEPWATCH_AWS_TOKEN", "hunter2"),
        ("KEEPWATCH_VAULT__PATH", "vault"),
        ("KEEPWATCH_", "x"),
    ] {
        let message = office.refusal_with(GOOD, &[(name, value)]);
        assert!(!message.contains("hunter2"), "{message}");
        out.push_str(&format!("== {name}={value}\n{message}\n\n"));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn nothing_secret_is_ever_repeated() {
    let office = Office::new();
    for text in [
        "[s3]\nsecret_access_key = \"hunter2\"\n",
        "[s3]\nsecret_access_key = hunter2\n",
        "[s3]\nendpoint_url = \"https://a:hunter2@x\"\n",
        "[s3.credentials]\nkey = \"hunter2\"\n",
        "[[source]]\npassword = [\"hunter2\"]\n",
        "[limits]\nworkers = \"hunter2\"\n",
        "[notify]\nendpoint_url = \"https://x?token=hunter2\"\n",
    ] {
        let message = office.refusal(text);
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// Odd values of every type, at right keys and at wrong ones.
fn odd_file() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let keys: Vec<&str> = raw::TABLES
        .iter()
        .flat_map(|(_, keys)| keys.iter().map(|(key, ..)| *key))
        .chain(["s3", "source", "0", "\"a.b\"", "\"\"", "typo"])
        .collect();
    let values = [
        "1",
        "-1",
        "9223372036854775807",
        "1.5",
        "true",
        "\"\"",
        "\"x\"",
        "\"\\u0000\"",
        "[]",
        "[1, \"a\"]",
        "[{}]",
        "[[1]]",
        "{}",
        "{ a = 1 }",
        "02:00:00",
        "2026-11-23",
        "inf",
    ];
    let tables = [
        "",
        "[s3]",
        "[vault]",
        "[[source]]",
        "[source]",
        "[[limits]]",
        "[limits]",
        "[notify]",
        "[schedule]",
        "[state]",
        "[log]",
        "[[source]]",
        "[s3.region]",
        "[typo]",
        "[source.path]",
    ];
    let line = (
        proptest::sample::select(keys),
        proptest::sample::select(values.to_vec()),
    )
        .prop_map(|(key, value)| format!("{key} = {value}\n"));
    let block = (
        proptest::sample::select(tables.to_vec()),
        proptest::collection::vec(line, 0..4),
    )
        .prop_map(|(table, lines)| format!("{table}\n{}", lines.concat()));
    proptest::collection::vec(block, 0..5).prop_map(|blocks| blocks.concat())
}

proptest::proptest! {
    #[test]
    fn whatever_the_file_holds_the_answer_is_a_message(text in odd_file()) {
        let office = Office::new();
        let message = office.refusal(&text);
        proptest::prop_assert!(message.contains("what to do: "), "{}\n{}", text, message);
    }
}
