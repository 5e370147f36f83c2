//! What an account may not look at is there, as far as that account knows: it is
//! not called absent, and nothing is made in its place.

use super::one_path::{NOBODY, give_to_nobody};
use crate::harness::{Rig, finish, program, write_config};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

/// Named after the bug: a vault of another account was called absent, and `check`
/// said that the first start would make it.
#[test]
fn a_vault_that_may_not_be_read_is_not_called_absent() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let made = finish(program().args(["--config", config, "--reconcile"]));
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        give_to_nobody(rig.dir.path());
        chown(rig.vault_dir(), Some(0), Some(0)).unwrap();
    }
    let set_mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(rig.vault_dir(), mode).unwrap();
    };
    set_mode(0o000);
    let vault = rig.vault_dir();
    let vault = vault.to_str().unwrap();
    let to = rig.dir.path().join("out");
    let to = to.to_str().unwrap();
    for (args, code) in [
        (&["check", "--config", config][..], 1),
        (&["--config", config, "--reconcile"], 1),
        (&["restore", "--config", config, "--to", to], 1),
        (&["restore", "--vault", vault, "--to", to], 1),
        (&["versions", "a.txt", "--vault", vault], 1),
        (&["sources", "--vault", vault], 1),
    ] {
        let mut command = program();
        command.args(args);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = finish(&mut command);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains("ermission denied"), "{args:?}: {text}");
        for wrong in [
            "there is none",
            "there is no vault",
            "is not there",
            "is gone",
            "makes it",
        ] {
            assert!(!text.contains(wrong), "{args:?}: {text}");
        }
    }
    set_mode(0o700);
}
