//! The real program on a vault whose disk takes no writing: a restore is what
//! such a disk is still good for, and whoever wants to write is told.

use super::bench::read_tree;
use crate::harness::{Rig, finish, program, write_config};
use crate::needs::Need;
use std::fs;
use std::process::{Command, Output};

/// Run the program in a user and mount namespace of its own, in which the
/// vault's folder is mounted read-only.
fn on_a_read_only_disk(rig: &Rig, arguments: &[&str]) -> Output {
    let plain = program();
    let mut command = Command::new("unshare");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // That nothing can be written is checked: the test must not pass without.
    let script = "mount --bind vault vault; mount -o remount,bind,ro vault\n\
        if touch vault/written 2>/dev/null; then echo 'not read-only' >&2; exit 99; fi\n\
        exec \"$0\" \"$@\"";
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec", script])
        .arg(plain.get_program())
        .args(arguments)
        .current_dir(rig.dir.path());
    finish(&mut command)
}

fn words(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    format!("{:?}\n{stdout}\n{stderr}", output.status)
}

#[test]
fn a_vault_on_a_read_only_disk_is_restored_and_whoever_would_write_is_told() {
    if !Need::Namespaces.is_met() {
        return;
    }
    let rig = Rig::new();
    rig.write("a.txt", "one");
    rig.write("Customers/b.csv", "name;sum\n");
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let done = finish(program().args(["--config", config, "--reconcile"]));
    assert!(done.status.success(), "{}", words(&done));

    let arguments = ["restore", "--vault", "vault", "--to", "out"];
    let done = on_a_read_only_disk(&rig, &arguments);
    let said = words(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("All is well"), "{said}");
    assert!(said.contains("can be read but not written to"), "{said}");
    assert!(said.contains("write-protected"), "{said}");
    let out = rig.dir.path().join("out");
    assert_eq!(read_tree(&out), ["Customers/b.csv", "a.txt"]);
    assert_eq!(fs::read(out.join("a.txt")).unwrap(), b"one");
    assert_eq!(
        fs::read(out.join("Customers/b.csv")).unwrap(),
        b"name;sum\n"
    );

    // Nothing is backed up to it, and nothing says that all were well.
    let done = on_a_read_only_disk(&rig, &["--config", config, "check"]);
    let said = words(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing can be backed up"), "{said}");
    rig.write("a.txt", "two!");
    let done = on_a_read_only_disk(&rig, &["--config", config, "--reconcile"]);
    let said = words(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("write-protected"), "{said}");

    // The disk is well again: the change arrives.
    let done = finish(program().args(["--config", config, "--reconcile"]));
    assert!(done.status.success(), "{}", words(&done));
    let shown = rig.vault_dir().join(crate::harness::BUCKET).join("a.txt");
    assert_eq!(fs::read(shown).unwrap(), b"two!");
}
