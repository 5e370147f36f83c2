//! A name that exists is that name and nothing else; only what nothing is called
//! is a pattern.

use super::bench::{BUCKET, Bench, Object};
use super::command::{run, text};
use serde_json::Value;

/// A configuration with one source per name: bucket prefix and folder are called so.
fn config(bench: &Bench, sources: &[&str]) -> std::path::PathBuf {
    let file = bench.folder("keepwatch.toml");
    let mut toml = format!(
        "[vault]\npath = '{}'\n[state]\ndir = '{}'\n[log]\ndir = '{}'\n",
        text(&bench.vault()),
        text(&bench.folder("state")),
        text(&bench.folder("log")),
    );
    for name in sources {
        let folder = bench.folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        toml += &format!(
            "[[source]]\nname = \"{name}\"\npath = '{}'\nbucket = \"{BUCKET}\"\nprefix = \"{name}\"\n",
            text(&folder)
        );
    }
    std::fs::write(&file, toml).unwrap();
    file
}

/// Named after the bug, in place: the other file's newer content was lost to sight.
#[tokio::test(flavor = "multi_thread")]
async fn in_place_and_in_all_sources_a_name_is_that_name() {
    let bench = Bench::new();
    let file = config(&bench, &["one", "two"]);
    for (source, path) in [
        ("one/", "Rechnung [2].docx"),
        ("one/", "Rechnung 2.docx"),
        // Only the other source has the name.
        ("two/", "Rechnung 2.docx"),
    ] {
        bench.put_at(source, path, &Object::file(b"old")).await;
        std::fs::write(bench.folder(source).join(path), "edited since").unwrap();
    }
    // In the folder alone, and not in the bucket yet.
    std::fs::write(bench.folder("two").join("new [1]"), "new").unwrap();
    bench.put_at("two/", "new 1", &Object::file(b"old")).await;
    let restore = |more: &[&str]| {
        let base = ["restore", "--config", text(&file), "--in-place"];
        run(&[&base[..], more].concat())
    };
    let read = |path: &str| std::fs::read_to_string(bench.folder(path)).unwrap();
    let (code, stdout, stderr) = restore(&["Rechnung [2].docx", "--json", "--quiet"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(read("one/Rechnung [2].docx"), "old");
    assert_eq!(read("one/Rechnung 2.docx"), "edited since");
    assert_eq!(read("two/Rechnung 2.docx"), "edited since");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["sources"][0]["taken"][0]["reading"], "name", "{json}");
    let (code, stdout, stderr) = restore(&["new [1]"]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(!bench.folder("two").join("new 1").exists());
    // The same for what only looks.
    for (what, want) in [("Rechnung [2].docx", 0), ("Rechnung 2.docx", 2)] {
        let base = ["restore", "--config", text(&file), what, "--diff"];
        let (_, stdout, stderr) = run(&base);
        let changed = stdout
            .lines()
            .filter(|line| line.contains("changed  "))
            .count();
        assert_eq!(changed, want, "{what}: {stdout}{stderr}");
    }
}

/// Named after the bug: `verify` of one file looked at others, too, and repaired them.
#[tokio::test(flavor = "multi_thread")]
async fn verify_takes_a_name_for_that_name() {
    let bench = Bench::new();
    // Its vault is open for writing, which the daemon's must not be.
    let vault = bench.folder("other-vault");
    let path = |name: &str| bench.folder("docs").join(name);
    let file = config(&bench, &["docs"]);
    let toml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, toml.replace(text(&bench.vault()), text(&vault))).unwrap();
    std::fs::create_dir(&vault).unwrap();
    std::fs::write(path("Rechnung [2].docx"), "a").unwrap();
    std::fs::write(path("Rechnung 2.docx"), "b").unwrap();
    let (code, stdout, stderr) = run(&["--reconcile", "--config", text(&file)]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let looked = |more: &[&str]| {
        let base = ["verify", "Rechnung [2].docx", "--json"];
        let (code, stdout, stderr) = run(&[&base[..], more].concat());
        assert_eq!(code, 0, "{stdout}{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        let source = &json["sources"][0];
        (
            source["progress"]["looked"].as_u64().unwrap(),
            source["taken"][0]["reading"].as_str().unwrap().to_owned(),
        )
    };
    let by_itself = [
        "--vault",
        text(&vault),
        "--bucket",
        BUCKET,
        "--prefix",
        "docs",
    ];
    let with_index = ["--config", text(&file)];
    for place in [&by_itself[..], &with_index] {
        assert_eq!(looked(place), (1, "name".to_owned()), "{place:?}");
    }
}
