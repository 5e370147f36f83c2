//! `keepwatch restore` and `keepwatch versions` as programs.

use super::bench::{BUCKET, Bench, Object, read_tree};
use crate::harness::{finish, program};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn keepwatch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepwatch"))
        .args(arguments)
        .env_remove("KEEPWATCH_CONFIG")
        .output()
        .unwrap()
}

/// Exit code, standard output, standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = keepwatch(arguments);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_vault_alone() {
    let bench = Bench::new();
    bench
        .put("Customers/a.csv", &Object::file(b"one").gzip())
        .await;
    bench
        .put("Customers/a.csv", &Object::file(b"two").gzip())
        .await;
    bench.put("b.txt", &Object::file(b"b")).await;
    bench.put("c.txt", &Object::file(b"c")).await;
    bench.delete("c.txt").await;
    let vault = bench.vault();
    let out = bench.folder("out");
    let (code, stdout, stderr) = run(&["restore", "--vault", text(&vault), "--to", text(&out)]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.contains("2 files") && stdout.contains("All is well"),
        "{stdout}"
    );
    assert!(
        stderr.contains("the vault in") && stderr.contains(BUCKET),
        "{stderr}"
    );
    assert_eq!(read_tree(&out), ["Customers/a.csv", "b.txt"]);

    // What `versions` shows brings exactly that version back.
    let (code, stdout, _) = run(&[
        "versions",
        "Customers/a.csv",
        "--vault",
        text(&vault),
        "--json",
    ]);
    assert_eq!(code, 0);
    let past: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(past[0]["versions"].as_array().unwrap().len(), 2);
    let (code, shown, _) = run(&["versions", "./Customers/a.csv", "--vault", text(&vault)]);
    assert_eq!(code, 0);
    let older = shown
        .lines()
        .filter(|line| line.contains("3 bytes"))
        .nth(1)
        .unwrap();
    let at: String = older
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let then = bench.folder("then");
    let (code, stdout, stderr) = run(&[
        "restore",
        "*.csv",
        "--at",
        &at,
        "--vault",
        text(&vault),
        "--to",
        text(&then),
        "--json",
    ]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let result: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(result["complete"], true);
    assert_eq!(result["sources"][0]["restored"]["files"], 1);
    assert_eq!(std::fs::read(then.join("Customers/a.csv")).unwrap(), b"one");
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_nothing_and_wrong() {
    let bench = Bench::new();
    bench.put("a", &Object::file(b"a")).await;
    bench
        .put_raw("bad", &Object::file(b"bad"), &[("kw-sha256", "12")])
        .await;
    bench.put("gone", &Object::file(b"gone")).await;
    bench.delete("gone").await;
    let (vault, out) = (bench.vault(), bench.folder("out"));
    let base = [
        "restore",
        "--quiet",
        "--vault",
        text(&vault),
        "--to",
        text(&out),
    ];
    let with = |more: &[&str]| run(&[&base[..], more].concat());

    let (code, stdout, stderr) = with(&[]);
    assert_eq!(code, 3, "{stdout}");
    assert!(
        stderr.contains("NOT RESTORED: bad") && stderr.contains("sha256"),
        "{stderr}"
    );
    assert!(stdout.contains("NOT everything"), "{stdout}");
    for (more, want, in_stderr) in [
        (&["a", "absent"][..], 3, ""),
        (&["absent"], 1, "never had"),
        (&["a", "--at", "2001-01-01"], 1, "backed up yet"),
        (&["--at", "20.11.2001"], 1, "backed up yet"),
        (&["--at", "04/05/2026"], 2, "2026-11-20 14:30"),
        (&["--source", "other"], 2, BUCKET),
        (&["../a"], 2, "`..`"),
        (&["--bucket", "no-such-bucket"], 1, "bucket"),
    ] {
        let (code, stdout, stderr) = with(more);
        assert_eq!(code, want, "{more:?}: {stdout}{stderr}");
        assert!(stderr.contains(in_stderr), "{more:?}: {stderr}");
    }
    let (code, _, stderr) = run(&["versions", "absent", "--vault", text(&vault)]);
    assert!(code == 1 && stderr.contains("no such file"), "{stderr}");

    let empty = bench.folder("no-vault");
    std::fs::create_dir(&empty).unwrap();
    let (code, _, stderr) = run(&["restore", "--vault", text(&empty), "--to", text(&out)]);
    assert!(code == 2 && stderr.contains("no vault"), "{stderr}");
    assert_eq!(
        std::fs::read_dir(&empty).unwrap().count(),
        0,
        "and none is made"
    );
    let inside = vault.join("office");
    let (code, _, stderr) = run(&["restore", "--vault", text(&vault), "--to", text(&inside)]);
    assert!(code == 2 && stderr.contains("vault itself"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_of_a_configuration() {
    let bench = Bench::new();
    bench
        .put_at("db/", "invoices.csv", &Object::file(b"i"))
        .await;
    bench
        .put_at("docs/", "Miller/offer.txt", &Object::file(b"o"))
        .await;
    let vault = bench.vault();
    // On a new computer the sources' folders are not there.
    let config = bench.folder("keepwatch.toml");
    let source = |name: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\npath = \"/no/such/{name}\"\nbucket = \"{BUCKET}\"\nprefix = \"{name}\"\n"
        )
    };
    let toml = format!(
        "[vault]\npath = '{}'\n[state]\ndir = '{}'\n[log]\ndir = '{}'\n{}{}",
        text(&vault),
        text(&bench.folder("state")),
        text(&bench.folder("log")),
        source("db"),
        source("docs"),
    );
    std::fs::write(&config, toml).unwrap();
    let run_to = |to: &str, more: &[&str]| {
        let to = bench.folder(to);
        let base = ["restore", "--config", text(&config), "--to", text(&to)];
        let (code, stdout, stderr) = run(&[&base[..], more].concat());
        assert_eq!(code, 0, "{stdout}{stderr}");
        read_tree(&to)
    };
    assert_eq!(
        run_to("all", &[]),
        ["db/invoices.csv", "docs/Miller/offer.txt"]
    );
    assert_eq!(run_to("one", &["--source", "Docs"]), ["Miller/offer.txt"]);
    assert_eq!(
        run_to("abs", &["/no/such/docs/Miller"]),
        ["docs/Miller/offer.txt"]
    );
    assert_eq!(run_to("glob", &["*.csv"]), ["db/invoices.csv"]);
    let (code, stdout, _) = run(&[
        "versions",
        "/no/such/db/invoices.csv",
        "--config",
        text(&config),
    ]);
    assert!(code == 0 && stdout.contains("source db"), "{stdout}");
}

/// Named after the bug: of more than 1,000 versions the older ones could not be seen.
#[tokio::test(flavor = "multi_thread")]
async fn versions_has_a_way_further_than_the_first_thousand() {
    const COUNT: usize = 1_004;
    let bench = Bench::new();
    for number in 0..COUNT {
        let text = format!("{number}");
        bench.put("a.txt", &Object::file(text.as_bytes())).await;
    }
    let vault = bench.vault();
    let run = move |before: Option<&str>| {
        let mut command = program();
        command.args(["versions", "a.txt", "--vault", vault.to_str().unwrap()]);
        command.args(before.iter().flat_map(|before| ["--before", before]));
        let output = finish(&mut command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let first = run(None);
    let begins = "keepwatch versions a.txt --before \"";
    assert!(first.contains("the older ones: "), "{first}");
    let (_, rest) = first
        .split_once(begins)
        .unwrap_or_else(|| panic!("{first}"));
    let before = rest.split('"').next().unwrap();
    let second = run(Some(before));
    assert!(!second.contains("the older ones"), "{second}");
    let page = bench
        .store
        .list_versions(BUCKET, "a.txt", None)
        .await
        .unwrap();
    assert!(page.items.len() >= 1_000);
    let shown = |id: &str| first.contains(id) || second.contains(id);
    let mut after = Some(page);
    let mut seen = 0;
    while let Some(page) = after {
        for version in &page.items {
            assert!(
                shown(keepwatch::types::id_text(&version.version_id)),
                "{} is not shown",
                keepwatch::types::id_text(&version.version_id)
            );
            seen += 1;
        }
        after = match &page.next {
            Some(next) => Some(
                bench
                    .store
                    .list_versions(BUCKET, "a.txt", Some(next))
                    .await
                    .unwrap(),
            ),
            None => None,
        };
    }
    assert_eq!(seen, COUNT);
}
