//! A small office against an S3 and an SNS that check signatures and policies:
//! backed up, restored, told of; and every refusal says what to do.

use crate::harness::ran::Ran;
use crate::harness::tree::{assert_same_tree, tree};
use crate::harness::{BUCKET, DEBOUNCE_MS, Rig, Running, finish, program, until};
use crate::office::{Clerk, seed};
use crate::python::{Credentials, Moto, Topic};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What docs/OPERATIONS.md asks for, less what a test takes away.
pub const S3_ALL: [&str; 9] = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketVersioning",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
];

/// A folder, a server, and who may do what there.
pub struct Site {
    pub rig: Rig,
    pub moto: Moto,
    pub owner: Credentials,
    topic: Topic,
    pub config: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let rig = Rig::new();
        let (moto, owner) = Moto::with_auth();
        moto.bucket(&owner, BUCKET);
        let topic = moto.topic(&owner, "backup");
        let config = write_config(&rig, &moto, &topic);
        Self {
            rig,
            moto,
            owner,
            topic,
            config,
        }
    }

    /// A user who may do these things and no more.
    pub fn user(&self, name: &str, actions: &[&str]) -> Credentials {
        self.moto.user(&self.owner, name, actions)
    }

    pub fn run(&self, keys: &Credentials, arguments: &[&str]) -> Ran {
        let mut command = program();
        command
            .args(["--config", self.config.to_str().unwrap()])
            .args(arguments)
            .envs(environment(keys));
        Ran::of(&finish(&mut command))
    }

    /// Everything that was written anywhere by the program.
    fn written(&self) -> String {
        let mut text = String::new();
        for folder in ["log", "state/digests"] {
            let Ok(entries) = fs::read_dir(self.rig.dir.path().join(folder)) else {
                continue;
            };
            for entry in entries {
                text += &fs::read_to_string(entry.unwrap().path()).unwrap();
            }
        }
        text
    }

    /// No secret has got anywhere.
    #[track_caller]
    fn check_secrets(&self, keys: &[&Credentials], ran: &[&Ran]) {
        let written = self.written();
        for keys in keys {
            let secret = keys.secret_key.as_str();
            assert!(!written.contains(secret));
            assert!(ran.iter().all(|ran| !ran.text.contains(secret)));
        }
    }
}

pub fn environment(keys: &Credentials) -> [(&str, &str); 3] {
    [
        ("AWS_ACCESS_KEY_ID", &keys.access_key),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret_key),
        ("AWS_REGION", "us-east-1"),
    ]
}

fn write_config(rig: &Rig, moto: &Moto, topic: &Topic) -> PathBuf {
    let file = rig.dir.path().join("keepwatch.toml");
    let (endpoint, arn) = (&moto.endpoint, &topic.arn);
    let text = format!(
        "[s3]\nendpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\n\n\
         [[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\
         prefix = \"pc-1/\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n\
         [notify]\ntopic_arn = \"{arn}\"\nendpoint_url = \"{endpoint}\"\n\n\
         [state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n\
         [limits]\ndebounce_ms = {DEBOUNCE_MS}\ndebounce_max_ms = 2000\n"
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// A few files of each sort.
fn small_office(root: &Path, seed: u64) -> usize {
    Clerk::new(root, seed).small_office();
    tree(root).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_is_backed_up_told_of_and_restored() {
    let seed = seed();
    let site = Site::new();
    let root = site.rig.root();
    small_office(&root, seed);
    let keys = site.user("keepwatch", &[&S3_ALL[..], &["sns:Publish"]].concat());
    let daemon = Running::start(&site.config, &environment(&keys)).await;
    let mut clerk = Clerk::new(&root, seed.wrapping_add(1));
    clerk.work(40);
    let files = || {
        let all = tree(&root).into_values();
        all.filter(|node| !node.is_folder()).count()
    };
    let until_protected = async |daemon: &Running| {
        until("all of it is protected", async || {
            let status = daemon.status().unwrap();
            let source = &status["sources"][0];
            source["waiting"] == 0 && source["files_protected"] == files()
        })
        .await;
    };
    until_protected(&daemon).await;
    daemon.kill();
    clerk.work(20);
    let daemon = Running::start(&site.config, &environment(&keys)).await;
    until_protected(&daemon).await;
    assert_eq!(daemon.stop(), Some(0));

    let digest = site.run(&keys, &["digest", "--send"]);
    digest.check(0, &["sent to the topic"]);
    let messages = site.moto.messages(&site.owner, &site.topic);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let subject = messages[0]["Subject"].as_str().unwrap();
    let body = messages[0]["Message"].as_str().unwrap();
    assert!(subject.contains("all is well"), "{subject}");
    assert!(body.contains(&format!("{} files", files())), "{body}");
    let check = site.run(&keys, &["check"]);
    check.check(0, &["can be written to", "ok"]);

    // A new computer: nothing but bucket, endpoint and keys.
    let to = site.rig.dir.path().join("new computer");
    let mut command = program();
    command
        .arg("restore")
        .arg("--to")
        .arg(&to)
        .args(["--bucket", BUCKET, "--prefix", "pc-1/"])
        .args(["--endpoint-url", &site.moto.endpoint])
        .envs(environment(&keys));
    let restored = Ran::of(&finish(&mut command));
    restored.check(0, &[]);
    assert_same_tree(&to, &root);
    site.check_secrets(&[&keys], &[&digest, &check, &restored]);
}

#[test]
fn whoever_may_not_write_or_has_the_wrong_keys_is_told_what_to_do() {
    let site = Site::new();
    site.rig.write("a.txt", "a");
    site.rig.write("b.csv", "b;c\n".repeat(100));
    let without = |missing: &str| {
        let actions: Vec<&str> = S3_ALL.iter().copied().filter(|a| *a != missing).collect();
        site.user(&missing.replace(':', "-"), &actions)
    };
    let reader = without("s3:PutObject");
    let wrong = Credentials {
        secret_key: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned(),
        ..site.owner.clone()
    };
    let unknown = Credentials {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..wrong.clone()
    };
    let mut ran = Vec::new();
    for (keys, words) in [
        (&reader, &["s3:PutObject", "What Keepwatch may do"][..]),
        (&wrong, &["check the access key"]),
        (&unknown, &["check the access key"]),
    ] {
        let reconcile = site.run(keys, &["--reconcile"]);
        reconcile.check(1, words);
        let check = site.run(keys, &["check"]);
        check.check(1, words);
        assert!(check.text.contains("PROBLEM"), "{}", check.text);
        ran.extend([reconcile, check]);
    }
    let ran: Vec<&Ran> = ran.iter().collect();
    site.check_secrets(&[&reader, &wrong, &site.owner], &ran);
    // With the right keys nothing of that is left.
    site.run(&site.owner, &["--reconcile"])
        .check(0, &["everything is in the bucket"]);
}

#[test]
fn a_digest_that_may_not_be_published_waits_until_it_may() {
    let site = Site::new();
    site.rig.write("a.txt", "a");
    let keys = site.user("quiet", &S3_ALL);
    let digest = site.run(&keys, &["digest", "--send"]);
    digest.check(3, &["kept in the outbox", "sns:Publish"]);
    assert!(site.moto.messages(&site.owner, &site.topic).is_empty());
    let check = site.run(&keys, &["check"]);
    assert!(check.text.contains("sns:"), "{}", check.text);

    let script = "
policy = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'sns:Publish', 'Resource': '*'}]}
client('iam').put_user_policy(UserName=args[0], PolicyName='q', PolicyDocument=json.dumps(policy))
answer(None)";
    site.moto.boto(&site.owner, script, &["quiet"]);
    let again = site.run(&keys, &["digest", "--send"]);
    again.check(0, &["sent to the topic"]);
    let messages = site.moto.messages(&site.owner, &site.topic);
    assert_eq!(messages.len(), 2, "{messages:?}");
    site.check_secrets(&[&keys], &[&digest, &check, &again]);
}
