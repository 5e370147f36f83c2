//! docs/RECOVERY.md with three buckets of two computers, by another account than the
//! one that was backed up: one configuration, no folder in another, nothing lost of
//! where things are, and no new version of what is as it was.

use crate::harness::served::Served;
use crate::harness::{Thing, finish, on_disk, program};
use crate::pages::{blocks, program_folder, shell_as, well};
use crate::raw::counts;
use keepwatch::s3::Store;
use keepwatch_vault::Vault;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// In the page.
const BUCKET: &str = "customer-documents-backup-254";
const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:backup";
/// Nobody listens there.
const NOTIFY: &str = "http://127.0.0.1:9";

/// Bucket, and the source's name: two computers have one of the same name.
const SOURCES: [(&str, &str); 3] = [
    ("office-documents", "documents"),
    ("laptop-documents", "Documents"),
    ("office-photos", "photos"),
];

/// Who restores.
const ACCOUNT: u32 = 47_114;

fn back_up(dir: &Path) -> Vec<BTreeMap<String, Thing>> {
    fs::create_dir(dir.join("vault")).unwrap();
    let each = SOURCES.iter().map(|(bucket, name)| {
        let root = dir.join("srv").join(bucket);
        fs::create_dir_all(root.join("inner")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::write(root.join("inner/a.txt"), bucket).unwrap();
        std::os::unix::fs::symlink("inner/a.txt", root.join("link")).unwrap();
        for number in 0..6 {
            fs::write(root.join(format!("{number}.csv")), format!("{bucket};{number}")).unwrap();
        }
        let text = format!(
            "[vault]\npath = \"vault\"\n[state]\ndir = \"state-{bucket}\"\n[log]\ndir = \"log\"\n[notify]\ntopic_arn = \"{TOPIC}\"\nendpoint_url = \"{NOTIFY}\"\n[[source]]\nname = \"{name}\"\npath = \"srv/{bucket}\"\nbucket = \"{bucket}\"\ncompress = [\"*.csv\"]\n"
        );
        let file = dir.join(format!("{bucket}.toml"));
        fs::write(&file, text).unwrap();
        let done = finish(program().args(["--config", file.to_str().unwrap(), "--reconcile"]));
        well(&done, "--reconcile");
        on_disk(&root)
    });
    each.collect()
}

async fn versions(store: &Store) -> Vec<BTreeMap<String, usize>> {
    let mut all = Vec::new();
    for (bucket, _) in SOURCES {
        all.push(counts(store, bucket).await);
    }
    all
}

struct Computer {
    dir: tempfile::TempDir,
    url: String,
}

impl Computer {
    fn new(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        }
        Self {
            dir,
            url: url.to_owned(),
        }
    }

    fn office(&self) -> PathBuf {
        self.dir.path().join("office")
    }

    fn config(&self) -> String {
        fs::read_to_string(self.dir.path().join("office.toml")).unwrap()
    }

    /// A line of the page with what is to be filled in.
    async fn run(&self, line: &str, bucket: &str) -> std::process::Output {
        let server = format!("--bucket {bucket} --endpoint-url {}", self.url);
        let line = line
            .replace(&format!("--bucket {BUCKET}"), &server)
            .replace("/srv/office", self.office().to_str().unwrap());
        let folder = self.dir.path().to_owned();
        let run = move || shell_as(Some(ACCOUNT), &line, &folder, &[program_folder()]);
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_buckets_are_brought_back_by_another_account_with_one_configuration() {
    let old = tempfile::tempdir().unwrap();
    let before = back_up(old.path());
    let vault = Vault::open(&old.path().join("vault")).unwrap();
    let store = Store::vault(vault.http_client(), "the test vault");
    let stored = versions(&store).await;
    fs::remove_dir_all(old.path().join("srv")).unwrap();

    let served = Served::start(&old.path().join("vault"));
    let new = Computer::new(&served.url);
    let commands = blocks("RECOVERY.md", "sh");
    for (bucket, _) in SOURCES {
        for command in &commands[..2] {
            well(&new.run(command, bucket).await, command);
        }
    }
    // Once more adds nothing.
    let text = new.config();
    let again = new.run(&commands[1], SOURCES[1].0).await;
    well(&again, &commands[1]);
    assert_eq!(new.config(), text);
    // Another server cannot be in the same file, and the way on is named.
    let other = commands[1].replace("sources ", "sources --region eu-west-3 ");
    let refused = new.run(&other, SOURCES[1].0).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--write-config office-2.toml"), "{said}");
    assert_eq!(new.config(), text);

    for command in &commands[2..] {
        let out = well(&new.run(command, "").await, command);
        if command.contains("restore") {
            assert!(out.contains("All is well"), "{out}");
        }
        if command.contains("--reconcile") {
            assert!(out.contains("nothing to send"), "{out}");
        }
    }
    // Each has a folder of its own, and all that was in it.
    for (name, before) in ["documents", "Documents-2", "photos"].iter().zip(&before) {
        let root = new.office().join(name);
        assert_eq!(&on_disk(&root), before, "{name}");
        assert!(
            text.contains(&format!("path = \"{}\"", root.display())),
            "{text}"
        );
        if rustix::process::geteuid().is_root() {
            assert_eq!(
                fs::metadata(root.join("inner/a.txt")).unwrap().uid(),
                ACCOUNT
            );
        }
    }
    assert_eq!(
        versions(&store).await,
        stored,
        "no new version of what is as it was"
    );
    for said in [
        "region = \"us-east-1\"".to_owned(),
        format!("endpoint_url = \"{}\"", served.url),
        format!("[notify]\ntopic_arn = \"{TOPIC}\"\nendpoint_url = \"{NOTIFY}\""),
    ] {
        assert_eq!(text.matches(&said).count(), 1, "{said}: {text}");
    }
}

#[test]
fn folders_that_would_fall_together_are_refused_and_nothing_is_written() {
    let old = tempfile::tempdir().unwrap();
    back_up(old.path());
    let vault = old.path().join("vault");
    let file = old.path().join("new.toml");
    let below = old.path().join("office");
    let sources = |bucket: &str, below: Option<&Path>| {
        let mut command = program();
        command.args([
            "sources",
            "--vault",
            vault.to_str().unwrap(),
            "--bucket",
            bucket,
        ]);
        command.args(["--write-config", file.to_str().unwrap()]);
        if let Some(below) = below {
            command.args(["--below", below.to_str().unwrap()]);
        }
        let done = finish(&mut command);
        let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.code(), text)
    };
    let (code, said) = sources(SOURCES[0].0, Some(&below));
    assert_eq!(code, Some(0), "{said}");
    let text = fs::read_to_string(&file).unwrap();
    // It is in that folder already.
    fs::create_dir(&below).unwrap();
    fs::write(below.join("a.txt"), "restored").unwrap();
    for (to, words) in [
        (&below, "give another folder"),
        (&below.join("in it"), "fall together"),
    ] {
        let (code, said) = sources(SOURCES[2].0, Some(to));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    // What was written by hand stays.
    fs::write(&file, format!("# mine\n{text}# and mine\n")).unwrap();
    let (code, said) = sources(SOURCES[2].0, None);
    assert_eq!(code, Some(0), "{said}");
    let now = fs::read_to_string(&file).unwrap();
    assert!(
        now.starts_with(&format!("# mine\n{text}# and mine\n")),
        "{now}"
    );
    let output = finish(program().args(["--config", file.to_str().unwrap(), "moments"]));
    let said = well(&output, "moments");
    assert!(
        said.contains("documents  in") && said.contains("photos  in"),
        "{said}"
    );
}
