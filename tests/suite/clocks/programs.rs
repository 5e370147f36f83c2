//! The real program, with a clock that is wrong.

use super::DAY_MS;
use crate::harness::os::set_mode;
use crate::harness::{BUCKET, Rig, finish, program, write_config};
use crate::manifest::restored;
use crate::model::clock::Clock;
use crate::model::journal::Journal;
use crate::model::served::Served;
use keepwatch::clock::system_clock;
use std::fs;
use std::path::Path;

/// The real program, with a clock that is a day ahead of a server's.
#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_the_clock_is_wrong_and_what_to_do() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let journal = Journal::new();
    let served = Served::new(&rig.vault_dir(), fastrand::Rng::with_seed(1), journal);
    let clock = Clock::new(rig.dir.path());
    let config = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n",
        served.wire.url()
    );
    fs::write(&config, text).unwrap();
    set_mode(&config, 0o600);
    for (ahead_ms, words) in [
        (
            DAY_MS + 60 * 60_000,
            "WARNING  clock: this computer's clock is 1 day",
        ),
        (0, "ok       clock: agrees with the server's"),
    ] {
        clock.set(ahead_ms);
        let mut command = program();
        command.args(["--config", config.to_str().unwrap(), "check"]);
        command.envs(Served::credentials());
        clock.apply(&mut command);
        let output = finish(&mut command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(words), "{said}");
        assert!(
            ahead_ms == 0 || said.contains("Set the clock right"),
            "{said}"
        );
    }
    tokio::task::spawn_blocking(move || drop(served))
        .await
        .unwrap();
}

/// One run of the real program on a vault, with the clock so far ahead.
fn reconcile(config: &Path, clock: &Clock, ahead_ms: i64) {
    clock.set(ahead_ms);
    let mut command = program();
    command.args(["--config", config.to_str().unwrap(), "--reconcile"]);
    clock.apply(&mut command);
    let output = finish(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// Named after the bug: on a vault a moment brought the content before the one that
/// was saved while the clock was ahead, and a renamed file under its old name, and
/// all was well.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_by_a_clock_that_was_ahead_is_named_and_not_guessed() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let clock = Clock::new(rig.dir.path());
    let now = system_clock();
    let mut moments = Vec::new();
    let mut save = |ahead_ms: i64, change: &dyn Fn()| {
        change();
        reconcile(&config, &clock, ahead_ms);
        moments.push(now());
    };
    for name in ["saved", "renamed", "calm"] {
        rig.write(name, "first");
    }
    // Long enough ago that the manifests after it are surely younger.
    save(-60 * 60_000, &|| rig.write("more", "1"));
    save(DAY_MS, &|| {
        rig.write("saved", "second, a day ahead");
        fs::rename(rig.path("renamed"), rig.path("new name")).unwrap();
    });
    save(0, &|| rig.write("saved", "third"));
    save(0, &|| rig.write("saved", "fourth"));
    let store = rig.store();
    // The moment, what comes back as `saved`, what is named, and what else is there.
    // The manifest after the clock was put right settles what was written before it.
    let in_doubt = vec!["new name", "renamed", "saved"];
    for (at, saved, named, others) in [
        (0, None, in_doubt.clone(), vec!["calm", "more"]),
        (1, None, in_doubt, vec!["calm", "more"]),
        (2, Some("third"), vec![], vec!["calm", "more", "new name"]),
        (3, Some("fourth"), vec![], vec!["calm", "more", "new name"]),
    ] {
        let to = format!("out {at}");
        let done = restored(&rig, &store, Some(moments[at]), &to).await;
        let folder = rig.dir.path().join(&to);
        let failed = done.failed.items.iter().map(|fault| fault.subject.clone());
        let mut failed: Vec<String> = failed.collect();
        failed.sort();
        assert_eq!(failed, named, "{at}: {done:?}");
        assert_eq!(done.is_complete(), named.is_empty());
        let got = fs::read_to_string(folder.join("saved")).ok();
        assert_eq!(got.as_deref(), saved, "{at}");
        for other in ["calm", "more", "renamed", "new name"] {
            assert_eq!(
                folder.join(other).exists(),
                others.contains(&other),
                "{at}: {other}"
            );
        }
    }
    // How things are now needs no times.
    let done = restored(&rig, &store, None, "now").await;
    assert!(done.is_complete(), "{done:?}");
    assert!(rig.dir.path().join("now/new name").exists());
    assert!(!rig.dir.path().join("now/renamed").exists());
}

/// Named after the bug: what this computer wrote while its clock was ahead was told
/// as somebody else's, or with the advice to find out who writes to the bucket.
#[test]
fn verify_blames_nobody_after_a_clock_that_was_ahead() {
    const MINUTE_MS: i64 = 60_000;
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let clock = Clock::new(rig.dir.path());
    let run = |ahead_ms, args: &[&str]| {
        clock.set(ahead_ms);
        let mut command = program();
        command.args(args).args(["--config", config]);
        clock.apply(&mut command);
        let output = finish(&mut command);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?} {ahead_ms}: {text}");
        text
    };
    rig.write("a.txt", "one");
    run(30 * MINUTE_MS, &["--reconcile"]);
    rig.write("a.txt", "two, and the clock is right");
    rig.write("b.txt", "two");
    run(0, &["--reconcile"]);
    // While its time has not come, and when it has.
    for ahead_ms in [0, 40 * MINUTE_MS] {
        let text = run(ahead_ms, &["verify"]);
        for blame in ["somebody else", "who can write", "OVERWRITTEN"] {
            assert!(!text.contains(blame), "{ahead_ms}: {text}");
        }
    }
}
