//! Results that cannot be printed: a reader that has had enough, a full disk.

use crate::harness::os::takes_nothing;
use crate::harness::{PATIENCE, Rig, Running, program, write_config};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Run it with this standard output; gives its exit code and what it said on
/// standard error.
fn run(command: &mut Command, out: Stdio) -> (Option<i32>, String) {
    command.stdout(out).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let began = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it did not end: {command:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    (code, reading.join().unwrap())
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    takes_nothing().into()
}

/// Every command that prints a result and ends, with what makes it print.
fn commands<'a>(vault: &'a str, to: &'a str) -> Vec<Vec<&'a str>> {
    let here = ["--vault", vault, "--source", "office"];
    let with = |first: &[&'a str], last: &[&'a str]| [first, &here, last].concat();
    vec![
        vec!["--help"],
        vec!["--version"],
        vec!["status"],
        vec!["status", "--json"],
        vec!["check"],
        vec!["check", "--json"],
        vec!["digest"],
        vec!["digest", "--json"],
        vec!["--reconcile"],
        vec!["--reconcile", "--json"],
        vec!["verify"],
        vec!["verify", "--json"],
        vec!["versions", "a.txt"],
        vec!["versions", "a.txt", "--json"],
        vec!["moments"],
        vec!["moments", "--json"],
        vec!["sources"],
        vec!["sources", "--json"],
        with(&["restore", "--dry-run"], &["--to", to]),
        with(&["restore", "--dry-run"], &["--to", to, "--json"]),
        vec!["restore", "--diff"],
        vec!["restore", "--diff", "--json"],
        with(&["restore"], &["--to", to, "--overwrite"]),
        with(&["restore"], &["--to", to, "--overwrite", "--json"]),
    ]
}

fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    // Where the place is named the configuration is not.
    if !arguments.contains(&"--vault") {
        command.args(["--config", config.to_str().unwrap()]);
    }
    command.args(arguments);
    command
}

/// Named after the bugs: `status | head -1` panicked with exit code 101, and
/// `restore --dry-run` to a full disk ended with 0.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_panics_or_claims_success_when_its_result_cannot_be_printed() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    rig.write("b.txt", "b");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    crate::harness::until("all is stored", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 2
    })
    .await;
    let to = rig.dir.path().join("restored");
    let vault = rig.vault_dir();
    let (vault, to) = (vault.to_str().unwrap(), to.to_str().unwrap());
    let mut wrong = Vec::new();
    for arguments in commands(vault, to) {
        let (usual, _) = run(&mut command(&config, &arguments), Stdio::null());
        let (at_pipe, pipe) = run(&mut command(&config, &arguments), closed());
        let (at_disk, disk) = run(&mut command(&config, &arguments), full());
        let panics = [&pipe, &disk].iter().any(|text| text.contains("panicked"));
        let is_told = disk.contains("cannot print the result");
        // Who reads no further has what they wanted; who has nothing to read has not.
        let ends = matches!(usual, Some(0 | 1));
        let is_right = ends && at_pipe == usual && at_disk == Some(1);
        if panics || !is_told || !is_right {
            wrong.push(format!(
                "{arguments:?}: {usual:?}, pipe {at_pipe:?}, disk {at_disk:?}: {pipe}{disk}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Restored they are all the same.
    assert_eq!(
        fs::read_to_string(Path::new(to).join("a.txt")).unwrap(),
        "a"
    );
    assert_eq!(daemon.stop(), Some(0));
}

/// The other output is as easily lost.
#[tokio::test(flavor = "multi_thread")]
async fn remarks_that_cannot_be_printed_change_no_exit_code() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    for out in [closed as fn() -> Stdio, full] {
        for (arguments, want) in [(vec!["--nonsense"], 2), (vec!["versions", "none"], 1)] {
            let mut command = command(&config, &arguments);
            command.stdout(Stdio::null()).stderr(out());
            let code = command.status().unwrap().code();
            assert!(
                code == Some(want) || (want == 1 && code == Some(2)),
                "{arguments:?}: {code:?}"
            );
        }
    }
    // A daemon whose terminal is gone goes on.
    rig.write("a.txt", "a");
    let mut command = program();
    command.args(["--config", config.to_str().unwrap()]);
    let mut child = command.stdout(closed()).stderr(full()).spawn().unwrap();
    crate::harness::until("it backs up all the same", async || {
        let status = super::keepwatch(&config, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        status["sources"][0]["files_protected"] == 1
    })
    .await;
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
