//! What a file has beside its content, mode and time: holes, several names, and
//! attributes. From a real folder to the bucket and back, by the real program.

mod attributes;
mod holes;

use crate::harness::{Rig, finish, program, write_config};
use std::path::Path;
use std::process::Output;

/// `keepwatch --reconcile`, to its end.
fn reconcile(rig: &Rig) -> String {
    let config = write_config(rig, "");
    let output = finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// Restore all from nothing but the vault.
fn restore(rig: &Rig, to: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command.args(["restore", "--vault", rig.vault_dir().to_str().unwrap()]);
    command.args(["--to", to.to_str().unwrap()]).args(more);
    finish(&mut command)
}

/// A file that has several names is several files in the bucket, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn files_with_several_names_are_counted_and_come_back_as_files_of_their_own() {
    let rig = Rig::new();
    rig.write("alone.txt", "alone");
    assert!(!reconcile(&rig).contains("hard links"));
    rig.write("one.txt", "shared");
    std::fs::create_dir(rig.path("d")).unwrap();
    std::fs::hard_link(rig.path("one.txt"), rig.path("d/two.txt")).unwrap();
    let text = reconcile(&rig);
    let words = "note: 2 names belong to files that have more than one name (hard links): each is backed up, and comes back, as a file of its own";
    assert!(text.contains(words), "{text}");
    let to = rig.dir.path().join("back");
    assert_eq!(restore(&rig, &to, &[]).status.code(), Some(0));
    for name in ["one.txt", "d/two.txt"] {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(std::fs::read(to.join(name)).unwrap(), b"shared");
        assert_eq!(to.join(name).metadata().unwrap().nlink(), 1);
    }
}
