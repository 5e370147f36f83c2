//! `restore --dry-run`, `--diff` and `--in-place` as programs.

use crate::harness::os::{OTHER_MODE, mode_of, set_mode, symlink, untouched};
use crate::harness::{Rig, finish, program, until, write_config};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A source with a past, its daemon stopped.
struct Past {
    rig: Rig,
    config: PathBuf,
    /// When everything was as it should be.
    at: String,
    /// How many links are in it: one, or none where the system has none.
    links: usize,
}

impl Past {
    /// At the moment: `plan.txt`, `table.csv`, `d/old.txt`, a link, an empty
    /// folder, `same.txt`. Since then `change` has been made and backed up.
    async fn new(change: impl FnOnce(&Rig)) -> Self {
        let rig = Rig::new();
        for (name, content) in [
            ("plan.txt", "the plan"),
            ("table.csv", "a;b\n1;2\n"),
            ("d/old.txt", "old"),
            ("same.txt", "same"),
            ("mode.txt", "mode"),
        ] {
            rig.write(name, content);
        }
        fs::create_dir(rig.path("empty")).unwrap();
        let links = usize::from(symlink("plan.txt", rig.path("link")));
        let config = write_config(&rig, "");
        let daemon = rig.start().await;
        rig.until_equal(&daemon).await;
        let at = jiff::Timestamp::now();
        until("the clock goes on", async || {
            jiff::Timestamp::now().as_millisecond() > at.as_millisecond()
        })
        .await;
        change(&rig);
        rig.until_equal(&daemon).await;
        daemon.stop().await.unwrap();
        Self {
            rig,
            config,
            at: at.to_string(),
            links,
        }
    }

    /// Exit code, standard output, standard error.
    fn restore(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.config.to_str().unwrap();
        let mut command = program();
        command
            .args(["--config", config, "restore"])
            .args(arguments);
        let output = finish(&mut command);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// The lines of a JSON answer.
    fn json(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let (code, out, err) = self.restore(&[arguments, &["--json"]].concat());
        let lines = out.lines().map(serde_json::from_str);
        (
            code,
            lines
                .collect::<Result<_, _>>()
                .unwrap_or_else(|e| panic!("{e}: {out}{err}")),
        )
    }

    fn names(&self) -> Vec<String> {
        crate::harness::on_disk(&self.rig.root())
            .into_keys()
            .collect()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.rig.path(name)).unwrap()
    }
}

fn some_changes(rig: &Rig) {
    rig.write("plan.txt", "another plan");
    rig.write("new.txt", "new");
    fs::remove_file(rig.path("d/old.txt")).unwrap();
    set_mode(rig.path("mode.txt"), OTHER_MODE);
}

/// `change path` of every line that names one.
fn changes(lines: &[Value], field: &str) -> Vec<String> {
    let named = lines.iter().filter(|line| line["path"].is_string());
    let text = |line: &Value| {
        format!(
            "{} {}",
            line[field].as_str().unwrap(),
            line["path"].as_str().unwrap()
        )
    };
    named.map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_names_what_changed_and_reads_only() {
    let past = Past::new(some_changes).await;
    let before = past.names();
    let (code, lines) = past.json(&["--at", &past.at, "--diff"]);
    // An emptied folder is new as such: it had something in it then.
    let want = [
        "removed d/old.txt",
        "metadata mode.txt",
        "added new.txt",
        "changed plan.txt",
    ];
    assert_eq!(
        (code, changes(&lines, "change")),
        (4, want.map(str::to_owned).to_vec())
    );
    let last = lines.last().unwrap();
    assert_eq!(last["summary"]["same"], 3 + past.links, "{last}");
    assert!(last["moment"]["zone"].is_string(), "{last}");
    // Not yet backed up: compared with the folder all the same.
    past.rig.write("same.txt", "not so");
    let (code, text, _) = past.restore(&["same.txt", "--at", &past.at, "--diff"]);
    assert!(
        code == 4 && text.contains("changed") && text.contains("same.txt"),
        "{text}"
    );
    assert!(text.contains("  as of "), "{text}");
    assert!(text.contains(", compared with "), "{text}");
    // With another moment, from the bucket alone.
    let (code, lines) = past.json(&["--at", &past.at, "--diff", "now"]);
    let want = [
        "added d/",
        "removed d/old.txt",
        "metadata mode.txt",
        "added new.txt",
        "changed plan.txt",
    ];
    assert_eq!(
        (code, changes(&lines, "change")),
        (4, want.map(str::to_owned).to_vec())
    );
    let (code, lines) = past.json(&["--at", &past.at, "--diff", &past.at]);
    assert_eq!((code, changes(&lines, "change")), (0, vec![]));
    let (code, _, err) = past.restore(&["--diff", "plan.txt"]);
    assert!(code == 2 && err.contains("before --diff"), "{err}");
    assert_eq!(past.names(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_the_run_then_does() {
    let past = Past::new(some_changes).await;
    let out = past.rig.dir.path().join("out");
    let to = out.to_str().unwrap();
    let (code, lines) = past.json(&["--at", &past.at, "--to", to, "--dry-run"]);
    assert_eq!(code, 0);
    assert_eq!(changes(&lines, "action").len(), 6 + past.links, "{lines:?}");
    assert!(!out.exists(), "it writes nothing");
    let (code, _, err) = past.restore(&["--at", &past.at, "--to", to]);
    assert_eq!(code, 0, "{err}");
    let (code, lines) = past.json(&["--at", &past.at, "--to", to, "--dry-run"]);
    assert_eq!((code, changes(&lines, "action")), (0, vec![]));
    fs::write(out.join("plan.txt"), "mine").unwrap();
    let (code, lines) = past.json(&["--at", &past.at, "--to", to, "--dry-run"]);
    assert_eq!(
        (code, changes(&lines, "action")),
        (3, vec!["leave plan.txt".to_owned()])
    );
    let (code, lines) = past.json(&["--at", &past.at, "--to", to, "--dry-run", "--overwrite"]);
    assert_eq!(
        (code, changes(&lines, "action")),
        (0, vec!["replace plan.txt".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_touches_what_differs_and_loses_nothing() {
    let past = Past::new(some_changes).await;
    // Nobody has backed this up.
    past.rig.write("table.csv", "mine alone");
    let (code, lines) = past.json(&["--at", &past.at, "--in-place", "--dry-run"]);
    let want = [
        "write d/old.txt",
        "restamp mode.txt",
        "leave new.txt",
        "replace plan.txt",
        "replace table.csv",
    ];
    assert_eq!(
        (code, changes(&lines, "action")),
        (0, want.map(str::to_owned).to_vec())
    );
    let same = untouched(&past.rig.path("same.txt"));
    let (code, text, err) = past.restore(&["--at", &past.at, "--in-place"]);
    assert_eq!(code, 0, "{text}{err}");
    assert_eq!(past.read("plan.txt"), "the plan");
    assert_eq!(past.read("d/old.txt"), "old");
    assert_eq!(past.read("table.csv"), "a;b\n1;2\n");
    assert_eq!(past.read("new.txt"), "new");
    let mode = mode_of(&fs::metadata(past.rig.path("mode.txt")).unwrap());
    assert_eq!(mode, 0o644);
    assert_eq!(untouched(&past.rig.path("same.txt")), same);
    // What nobody had backed up is beside it; what the bucket has is not.
    let beside: Vec<String> = past
        .names()
        .into_iter()
        .filter(|name| name.contains("(before restore "))
        .collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert!(beside[0].starts_with("table (before restore ") && beside[0].ends_with(").csv"));
    assert_eq!(past.read(&beside[0]), "mine alone");
    assert!(
        text.contains("KEPT BESIDE: table (before restore "),
        "{text}"
    );
    assert!(
        text.contains("left alone, did not exist then: new.txt"),
        "{text}"
    );
    assert!(
        text.contains("1 file replaced that the bucket has as a version"),
        "{text}"
    );
    // Once more: nothing is left to do.
    let (code, lines) = past.json(&["--at", &past.at, "--in-place", "--dry-run"]);
    let left: Vec<String> = changes(&lines, "action");
    assert!(
        code == 0 && left.iter().all(|line| line.starts_with("leave ")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_never_takes_the_place_of_what_was_kept_before() {
    let past = Past::new(|_| ()).await;
    for text in ["one", "two", "three"] {
        past.rig.write("plan.txt", text);
        let (code, _, err) = past.restore(&["plan.txt", "--at", &past.at, "--in-place"]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(past.read("plan.txt"), "the plan");
    }
    let names = past.names();
    let beside = names
        .iter()
        .filter(|name| name.contains("(before restore "));
    let mut kept: Vec<String> = beside.map(|name| past.read(name)).collect();
    kept.sort();
    assert_eq!(kept, ["one", "three", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_killed_at_any_point_leaves_every_file_whole() {
    let past = Past::new(|_| ()).await;
    let names = ["plan.txt", "table.csv", "d/old.txt", "same.txt"];
    let then: Vec<String> = names.iter().map(|name| past.read(name)).collect();
    let mut kills = 0;
    for round in 0..12u64 {
        for name in names {
            past.rig.write(name, format!("mine {round} {name}"));
        }
        let config = past.config.to_str().unwrap();
        let mut command = program();
        command.args([
            "--config",
            config,
            "restore",
            "--at",
            &past.at,
            "--in-place",
            "--quiet",
        ]);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        // From before it has begun to after its end, whatever the machine is doing:
        // what must hold afterwards holds at each of these points.
        tokio::time::sleep(std::time::Duration::from_millis(20 + 30 * round)).await;
        kills += u32::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        let all: Vec<String> = past
            .names()
            .iter()
            .map(|name| match past.rig.path(name) {
                path if path.is_file() => fs::read_to_string(path).unwrap(),
                _ => String::new(),
            })
            .collect();
        for (name, then) in names.iter().zip(&then) {
            let mine = format!("mine {round} {name}");
            assert!(all.contains(&mine), "{name} of round {round} is lost");
            let now = past.read(name);
            assert!(now == mine || now == *then, "{name} is torn: {now}");
        }
    }
    assert!(kills > 0, "every run had ended");
    // And it goes on where it was.
    let (code, text, err) = past.restore(&["--at", &past.at, "--in-place"]);
    assert_eq!(code, 0, "{text}{err}");
    let now: Vec<String> = names.iter().map(|name| past.read(name)).collect();
    assert_eq!(now, then);
}
