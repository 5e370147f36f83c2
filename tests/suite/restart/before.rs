//! The state folder and the bucket that the program left before its files were moved into
//! the folders of today (`fixtures/before/make.sh` made them): this one goes on with both.

use crate::harness::tree::assert_same_tree;
use crate::harness::{BUCKET, Rig, finish, program};
use crate::network::{SECRET, Served};
use crate::raw::counts;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEY: &str = "KEYOFBEFORE";

/// What the state folder calls the bucket's server; a proxy stands for it.
const ENDPOINT: &str = "http://s3.office.test";

/// What was there before, unpacked, its bucket served.
struct Before {
    rig: Rig,
    config: PathBuf,
    served: Served,
}

impl Before {
    fn unpack() -> Self {
        let rig = Rig::new();
        let archive =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/before/state-and-bucket.tar.gz");
        let mut unpack = Command::new("tar");
        unpack
            .arg("-xpzf")
            .arg(archive)
            .arg("-C")
            .arg(rig.dir.path());
        assert!(unpack.status().unwrap().success(), "{unpack:?}");
        let config = rig.dir.path().join("keepwatch.toml");
        let text = format!(
            "[s3]\nendpoint_url = \"{ENDPOINT}\"\nregion = \"us-east-1\"\npath_style = true\n\n\
             [[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\
             compress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n\
             [state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n"
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        let served = Served::start(&rig.vault(), KEY);
        Self {
            rig,
            config,
            served,
        }
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], want: &str) {
        let mut command = program();
        command.arg("--config").arg(&self.config).args(arguments);
        command.env("AWS_ACCESS_KEY_ID", KEY);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("http_proxy", format!("http://{}", self.served.address));
        let output = finish(&mut command);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(said.contains("All is well"), "{said}");
        assert!(said.contains(want), "{arguments:?}: {want}: {said}");
    }

    /// Restores, and compares with a folder of the archive.
    #[track_caller]
    fn restores(&self, into: &str, more: &[&str], want: &str) {
        let to = self.rig.dir.path().join(into);
        let arguments = [&["restore", "--to", to.to_str().unwrap()], more].concat();
        self.run(&arguments, "10 files");
        assert_same_tree(&to, &self.rig.dir.path().join(want));
    }

    /// How many versions there are of each key, delete markers among them.
    async fn versions(&self) -> std::collections::BTreeMap<String, usize> {
        let mut counts = counts(&self.rig.store(), BUCKET).await;
        counts.retain(|key, _| !keepwatch::types::is_own(key));
        counts
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_left_before_goes_on_with_it() {
    let before = Before::unpack();
    let moment = fs::read_to_string(before.rig.dir.path().join("moment")).unwrap();
    let then = ["--at", moment.trim()];
    let versions = before.versions().await;
    assert_eq!(versions["Kunden/Müller/Brief.txt"], 2, "{versions:?}");
    assert!(!versions.contains_key("second.sql"), "{versions:?}");

    // From the bucket alone, before this program has written a byte into it.
    before.restores("then", &then, "earlier");

    // The upload that was killed is completed; nothing else is sent.
    before.run(&["--reconcile"], "1 version stored");
    let mut want = versions;
    want.insert("second.sql".to_owned(), 1);
    assert_eq!(before.versions().await, want);
    before.run(&["--reconcile"], "nothing to send");
    before.run(&["verify", "--deep"], "12 downloaded and hashed");
    before.restores("now", &[], BUCKET);
    before.restores("then again", &then, "earlier");

    // And it works on.
    before
        .rig
        .write("Kunden/Müller/Brief.txt", "a third text\n");
    before.run(&["--reconcile"], "1 version stored");
    want.insert("Kunden/Müller/Brief.txt".to_owned(), 3);
    assert_eq!(before.versions().await, want);
}

/// A state folder that is gone: everything is known from the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_left_before_is_known_from_its_bucket_alone() {
    let before = Before::unpack();
    let versions = before.versions().await;
    before.rig.lose_state();
    before.run(&["--reconcile", "--take-over"], "1 version stored");
    let mut want = versions;
    want.insert("second.sql".to_owned(), 1);
    assert_eq!(before.versions().await, want);
    before.restores("now", &[], BUCKET);
}
