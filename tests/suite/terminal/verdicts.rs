//! The order of what a command prints: the verdict, then what it is about, then what to do.

use crate::harness::{BUCKET, Rig, alter, finish, program, write_config};
use std::path::Path;

/// Exit code, result and remarks of the command.
fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program();
    command.arg("--config").arg(config).args(arguments);
    let output = finish(&mut command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn begins_with_verdict(config: &Path, arguments: &[&str], code: i32, verdict: &str) {
    let (ended, out, err) = run(config, arguments);
    assert_eq!(ended, Some(code), "{arguments:?}: {out}{err}");
    let first = out.lines().next().unwrap_or_default();
    assert!(first.starts_with(verdict), "{arguments:?}: {out}{err}");
    let remedy = out.lines().position(|line| line.contains("what to do"));
    assert_ne!(remedy, Some(0), "{arguments:?}: {out}");
}

/// Named after the class: a result whose verdict stands below hundreds of lines.
#[tokio::test(flavor = "multi_thread")]
async fn every_result_begins_with_its_verdict() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    rig.write("b.txt", "b");
    let config = write_config(&rig, "");
    let to = |name: &str| rig.dir.path().join(name).display().to_string();
    let (out, partly, blocked) = (to("out"), to("partly"), to("blocked"));
    std::fs::create_dir(&blocked).unwrap();
    std::fs::write(Path::new(&blocked).join("a.txt"), "another").unwrap();
    for (arguments, code, verdict) in [
        (&["--reconcile"][..], 0, "All is well: everything is in"),
        (&["--reconcile"], 0, "All is well: everything is in"),
        (&["check"], 0, "It works, with 2 warnings."),
        (&["status"], 1, "Keepwatch is NOT running"),
        (&["verify"], 0, "All is well: everything that was looked"),
        (&["verify", "a.tx"], 1, "NOT everything could be looked at"),
        (
            &["restore", "--to", &out],
            0,
            "All is well: everything that",
        ),
        (
            &["restore", "a.txt", "nothing", "--to", &partly],
            3,
            "NOT everything that was asked for",
        ),
        (&["restore", "--to", &blocked], 3, "NOT everything that was"),
    ] {
        begins_with_verdict(&config, arguments, code, verdict);
    }
    alter(&rig.vault_dir().join(BUCKET).join("b.txt"));
    begins_with_verdict(
        &config,
        &["verify", "--deep"],
        3,
        "NOT everything in the backup is as it was stored",
    );
    std::fs::rename(rig.root(), rig.dir.path().join("elsewhere")).unwrap();
    begins_with_verdict(
        &config,
        &["--reconcile"],
        3,
        "NOT everything is in the bucket",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_says_what_failed_and_then_what_to_do() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let to = rig.dir.path().join("out").display().to_string();
    let missing = rig.dir.path().join("none.toml");
    for (config, arguments) in [
        (&config, &["restore", "--to", &to][..]),
        (&config, &["versions", "nothing.txt"]),
        (&config, &["moments"]),
        (&config, &["sources"]),
        (&config, &["restore", "--to", &to, "--at", "soon"]),
        (&config, &["verify", "--source", "another"]),
        (&missing, &["check"]),
        (&missing, &["--reconcile"]),
        (&missing, &[]),
    ] {
        let (code, out, err) = run(config, arguments);
        assert!(matches!(code, Some(1 | 2)), "{arguments:?}: {out}{err}");
        let at = |words: &str| err.find(words);
        let (failed, remedy) = (at("keepwatch: cannot "), at("  what to do: "));
        assert!(failed.is_some(), "{arguments:?}: {err}");
        assert!(failed < remedy, "{arguments:?}: {err}");
        assert_eq!(out, "", "{arguments:?}");
    }
}
