//! Cold storage as a server keeps it that is not ours: moto, with signatures and
//! policies checked, driven by the real program. Versions go to Glacier by a
//! lifecycle rule, as they do for an owner.
//!
//! What moto has no part of: that thawing takes time (here it takes one look),
//! that it is under way already (409 RestoreAlreadyInProgress), Glacier's speeds,
//! and Intelligent-Tiering. `restore::cold` plays those.

use crate::harness::ran::Ran;
use crate::harness::{BUCKET, finish_within, program, until};
use crate::moto_office::{S3_ALL, Site, environment};
use crate::python::Credentials;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A restore that waits looks once a minute where thawing takes minutes.
const WAITING_MAX: Duration = Duration::from_secs(240);

const MAY_NOT_THAW: &[&str] = &["sns:Publish"];
const MAY_THAW: &[&str] = &["sns:Publish", "s3:RestoreObject"];

/// Two versions of one file, one of another, and a moment between.
struct Cold {
    site: Site,
    keys: Credentials,
    between: String,
}

impl Cold {
    async fn new(more: &[&str]) -> Self {
        let site = Site::new();
        let keys = site.user("keepwatch", &[&S3_ALL[..], more].concat());
        site.rig.write("a.txt", "first");
        site.rig.write("b.csv", "x;y\n".repeat(100));
        site.run(&keys, &["--reconcile"]).check(0, &[]);
        // The server's times have a grain of a second.
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let between = now().unwrap().as_secs() + 1;
        until("the second is over", async || {
            now().unwrap().as_secs() > between
        })
        .await;
        site.rig.write("a.txt", "second, and longer");
        site.run(&keys, &["--reconcile"]).check(0, &[]);
        let between = jiff::Timestamp::from_second(between.try_into().unwrap());
        Self {
            site,
            keys,
            between: between.unwrap().to_string(),
        }
    }

    /// A lifecycle rule for the keys that begin so; its days are over at once.
    fn freeze(&self, prefix: &str, newest: &str, older: &str) {
        let script = "
rule = {'ID': 'r', 'Status': 'Enabled', 'Filter': {'Prefix': args[1]}}
if args[2]: rule['Transitions'] = [{'Days': 1, 'StorageClass': args[2]}]
if args[3]: rule['NoncurrentVersionTransitions'] = [{'NoncurrentDays': 1, 'StorageClass': args[3]}]
client('s3').put_bucket_lifecycle_configuration(Bucket=args[0], LifecycleConfiguration={'Rules': [rule]})
answer(None)";
        let arguments = [BUCKET, prefix, newest, older];
        self.site.moto.boto(&self.site.owner, script, &arguments);
    }

    /// Version ids of what has been asked to be thawed, and `key class` of all.
    fn looks(&self) -> (usize, Vec<String>) {
        let script = "
s3 = client('s3')
found = s3.list_object_versions(Bucket=args[0], Prefix='pc-1/')['Versions']
asked = [v for v in found if 'Restore' in s3.head_object(Bucket=args[0], Key=v['Key'], VersionId=v['VersionId'])]
answer([len(asked), [v['Key'] + ' ' + v['StorageClass'] for v in found if '.keepwatch' not in v['Key']]])";
        let found = self.site.moto.boto(&self.site.owner, script, &[BUCKET]);
        let classes = found[1].as_array().unwrap().iter();
        (
            found[0].as_u64().unwrap() as usize,
            classes.map(|c| c.as_str().unwrap().to_owned()).collect(),
        )
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.site.rig.dir.path().join(name)
    }

    /// `restore` as on a new computer.
    fn restore(&self, to: &str, more: &[&str]) -> Ran {
        let mut command = program();
        command
            .arg("restore")
            .arg("--to")
            .arg(self.folder(to))
            .args(["--bucket", BUCKET, "--prefix", "pc-1/"])
            .args(["--endpoint-url", &self.site.moto.endpoint])
            .args(more)
            .envs(environment(&self.keys));
        Ran::of(&finish_within(WAITING_MAX, &mut command))
    }

    fn content(&self, to: &str, name: &str) -> String {
        fs::read_to_string(self.folder(to).join(name)).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_names_what_is_cold_has_it_thawed_and_a_later_run_fetches_it() {
    let cold = Cold::new(MAY_THAW).await;
    cold.freeze("pc-1/a.txt", "GLACIER", "DEEP_ARCHIVE");
    let (_, classes) = cold.looks();
    let want = [
        "pc-1/a.txt GLACIER",
        "pc-1/a.txt DEEP_ARCHIVE",
        "pc-1/b.csv STANDARD",
    ];
    assert_eq!(classes, want);
    let left = cold.restore("out", &[]);
    left.check(
        3,
        &["1 of them", "GLACIER", "3 to 5 hours", "a.txt", "--thaw"],
    );
    assert_eq!(cold.looks().0, 0, "nothing was asked for");
    assert_eq!(cold.content("out", "b.csv"), "x;y\n".repeat(100));
    assert!(!cold.folder("out").join("a.txt").exists());

    let asked = cold.restore("out", &["--thaw"]);
    asked.check(3, &["a.txt", "is being thawed", "3 to 5 hours"]);
    assert_eq!(cold.looks().0, 1, "the newest version alone");
    cold.restore("out", &["--thaw"]).check(0, &[]);
    assert_eq!(cold.content("out", "a.txt"), "second, and longer");

    // A version that is not the newest, in the archive that has no fast way.
    let then = ["--at", &cold.between, "--thaw=expedited"];
    let asked = cold.restore("then", &then);
    asked.check(3, &["DEEP_ARCHIVE", "a.txt", "up to 12 hours"]);
    assert_eq!(cold.looks().0, 2);
    cold.restore("then", &then).check(0, &[]);
    assert_eq!(cold.content("then", "a.txt"), "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_waits_needs_no_second_run() {
    let cold = Cold::new(MAY_THAW).await;
    cold.freeze("pc-1/", "GLACIER", "GLACIER");
    let waited = cold.restore("out", &["--thaw=expedited", "--wait"]);
    waited.check(0, &["1 to 5 minutes"]);
    assert_eq!(cold.content("out", "a.txt"), "second, and longer");
    assert_eq!(cold.content("out", "b.csv"), "x;y\n".repeat(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_thaw_is_told_which_right_is_missing() {
    let cold = Cold::new(MAY_NOT_THAW).await;
    cold.freeze("pc-1/a.txt", "GLACIER", "");
    let refused = cold.restore("out", &["--thaw"]);
    refused.check(3, &["a.txt", "s3:RestoreObject"]);
    assert_eq!(cold.looks().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn drill_and_verify_leave_what_is_cold_alone_and_say_so() {
    let cold = Cold::new(MAY_THAW).await;
    cold.freeze("pc-1/a.txt", "GLACIER", "GLACIER");
    let deep = cold
        .site
        .run(&cold.keys, &["verify", "--deep", "--all-versions"]);
    deep.check(0, &["2 in cold storage: not downloaded", "All is well"]);
    // All that there is to draw is drawn, so the cold ones are.
    let digest = cold.site.run(&cold.keys, &["digest", "--send"]);
    digest.check(0, &["all identical", "in cold storage left alone"]);
    cold.freeze("pc-1/", "GLACIER", "DEEP_ARCHIVE");
    let digest = cold.site.run(&cold.keys, &["digest", "--send"]);
    digest.check(
        0,
        &[
            "ATTENTION",
            "NOT DONE: no file was restored",
            "is in cold storage",
        ],
    );
    assert_eq!(cold.looks().0, 0, "nothing was thawed for it");
}

/// The bucket refuses to copy what is cold: it was to be renamed or touched.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cold_goes_on_being_backed_up() {
    let cold = Cold::new(MAY_NOT_THAW).await;
    cold.freeze("pc-1/", "GLACIER", "GLACIER");
    let root = cold.site.rig.root();
    fs::rename(root.join("b.csv"), root.join("c.csv")).unwrap();
    let file = fs::File::options().write(true).open(root.join("a.txt"));
    file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let again = cold.site.run(&cold.keys, &["--reconcile"]);
    again.check(0, &["everything is in the bucket"]);
    cold.restore("out", &[]).check(0, &[]);
    assert_eq!(cold.content("out", "a.txt"), "second, and longer");
    assert_eq!(cold.content("out", "c.csv"), "x;y\n".repeat(100));
    let time = fs::metadata(cold.folder("out").join("a.txt")).unwrap();
    assert_eq!(time.modified().unwrap(), SystemTime::UNIX_EPOCH);
}
