//! `keepwatch try`: the commands that it proposes work as they stand there, in another
//! window that stands in another folder.

use crate::harness::{finish, on_disk, program, until};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// An account of nobody: root keeps the trial's own files among the system's.
const ACCOUNT: u32 = 47_112;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already ended: nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn as_nobody(command: &mut Command, home: &Path) {
    if rustix::process::geteuid().is_root() {
        command.uid(ACCOUNT).gid(ACCOUNT);
    }
    command.env("HOME", home);
    for name in ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_a_trial_proposes_work_as_they_stand_there() {
    let dir = tempfile::tempdir().unwrap();
    let [home, office, other] =
        ["home", "my office", "elsewhere"].map(|name| dir.path().join(name));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for folder in [&home, &office, &other] {
        fs::create_dir(folder).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        }
    }
    // No table among them: a pattern for tables would bring nothing.
    fs::write(office.join("it's [mine].txt"), "mine").unwrap();
    fs::create_dir(office.join("inner")).unwrap();
    fs::write(office.join("inner/letter.txt"), "letter").unwrap();
    let before = on_disk(&office);

    let mut command = program();
    as_nobody(&mut command, &home);
    command
        .args(["try", "../my office", "--vault", "my vault"])
        .current_dir(&home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = Ended(command.spawn().unwrap());
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let (heard, from) = (lines.clone(), running.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            heard.lock().unwrap().push(line);
        }
    });
    let is_said = |words: &str| {
        lines
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(words))
    };
    until("all is proposed", async || is_said("Stop with Ctrl-C")).await;
    let said = lines.lock().unwrap().clone();
    let is_command = |line: &&String| {
        line.starts_with("  ") && (line.contains(" restore ") || line.contains(" versions "))
    };
    let commands: Vec<&String> = said.iter().filter(is_command).collect();
    assert_eq!(commands.len(), 3, "{said:?}");
    for line in commands {
        assert!(line.contains("--vault"), "{line}");
        let mut shell = Command::new("/bin/sh");
        as_nobody(&mut shell, &home);
        shell
            .args(["-c", line.trim()])
            .env_remove("KEEPWATCH_CONFIG")
            .current_dir(&other)
            .stdin(Stdio::null());
        let output = finish(&mut shell);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {text}");
    }
    // Named after the bugs: `status` found no configuration and proposed to try it, and
    // a second trial sent to that.
    for (words, code, want) in [
        (&["status"][..], 0, "All is well"),
        (
            &["try", "../my office", "--vault", "my vault"],
            1,
            "keepwatch status`",
        ),
    ] {
        let mut command = program();
        as_nobody(&mut command, &home);
        command.args(words).env_remove("KEEPWATCH_CONFIG");
        let output = finish(command.current_dir(&home));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(want), "{words:?}: {text}");
        assert!(!text.contains("--config"), "{words:?}: {text}");
    }
    assert_eq!(on_disk(&other.join("restored")), before);
    let then = on_disk(&other.join("restored-then"));
    assert_eq!(then.len(), 1, "{then:?}");
    assert!(
        then.iter()
            .all(|(key, thing)| before.get(key) == Some(thing))
    );
}
