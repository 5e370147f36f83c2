//! docs/RECOVERY.md: its five commands, as they stand there, bring back an
//! office onto a computer that knows nothing, and go on from there.

use crate::harness::served::Served;
use crate::harness::{Thing, finish, on_disk, program};
use crate::pages::{blocks, program_folder, shell, well};
use crate::raw::counts;
use keepwatch::s3::Store;
use keepwatch_vault::Vault;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const BUCKET: &str = "customer-documents-backup-254";

/// The old computer: its sources by name and prefix, below its folder.
struct Old {
    dir: tempfile::TempDir,
    sources: Vec<(&'static str, &'static str)>,
}

impl Old {
    fn new(sources: &[(&'static str, &'static str)]) -> Self {
        let old = Self {
            dir: tempfile::tempdir().unwrap(),
            sources: sources.to_vec(),
        };
        for (name, _) in sources {
            let root = old.root(name);
            fs::create_dir_all(root.join("Kunden/Müller")).unwrap();
            fs::create_dir(root.join("leer")).unwrap();
            fs::write(root.join("Kunden/Müller/Angebot.txt"), name).unwrap();
            fs::write(root.join("stock.csv"), format!("{name};1\n").repeat(500)).unwrap();
            std::os::unix::fs::symlink("stock.csv", root.join("link")).unwrap();
            fs::set_permissions(root.join("Kunden"), fs::Permissions::from_mode(0o750)).unwrap();
            for number in 0..20 {
                fs::write(
                    root.join(format!("{number}.txt")),
                    format!("{name} {number}"),
                )
                .unwrap();
            }
        }
        old
    }

    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join("srv").join(name)
    }

    fn vault(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    /// Back it up, as the old computer did.
    fn back_up(&self) {
        fs::create_dir(self.vault()).unwrap();
        let mut text = String::from(
            "[vault]\npath = \"vault\"\n[state]\ndir = \"state\"\n[log]\ndir = \"log\"\n",
        );
        for (name, prefix) in &self.sources {
            text += &format!(
                "[[source]]\nname = \"{name}\"\npath = \"srv/{name}\"\nbucket = \"{BUCKET}\"\nprefix = \"{prefix}\"\ncompress = [\"*.csv\"]\nexclude = [\"*.tmp\"]\n"
            );
        }
        let file = self.dir.path().join("old.toml");
        fs::write(&file, text).unwrap();
        let done = finish(program().args(["--config", file.to_str().unwrap(), "--reconcile"]));
        well(&done, "--reconcile");
    }

    fn store(&self) -> Store {
        let vault = Vault::open(&self.vault()).unwrap();
        Store::vault(vault.http_client(), "the test vault")
    }
}

/// What a tree is, times included.
fn tree(root: &Path) -> (BTreeMap<String, Thing>, Vec<String>) {
    let things = on_disk(root);
    let times = things.keys().filter(|key| !key.ends_with('/')).map(|key| {
        let meta = fs::symlink_metadata(root.join(key)).unwrap();
        format!("{key} {:?}", meta.modified().unwrap())
    });
    let times = times.collect();
    (things, times)
}

/// Run the page against a bucket of these sources.
async fn follow(sources: &[(&'static str, &'static str)]) {
    let old = Old::new(sources);
    old.back_up();
    let before: Vec<_> = sources
        .iter()
        .map(|(name, _)| tree(&old.root(name)))
        .collect();
    let versions = counts(&old.store(), BUCKET).await;
    // It burns down.
    for gone in ["srv", "state", "log", "old.toml"] {
        let path = old.dir.path().join(gone);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }
    let new = tempfile::tempdir().unwrap();
    let office = new.path().join("office");
    let served = Served::start(&old.vault());
    let commands = blocks("RECOVERY.md", "sh");
    assert_eq!(commands.len(), 5, "five commands");
    let mut told = Vec::new();
    for command in commands {
        // What the page says to fill in.
        let server = format!("--bucket {BUCKET} --endpoint-url {}", served.url);
        let lines = command
            .replace(&format!("--bucket {BUCKET}"), &server)
            .replace("/srv/office", office.to_str().unwrap());
        assert_eq!(lines.lines().count(), 1, "{lines}");
        let (folder, programs) = (new.path().to_owned(), [program_folder()]);
        let run = lines.clone();
        let done = tokio::task::spawn_blocking(move || shell(&run, &folder, &programs));
        told.push(well(&done.await.unwrap(), &lines));
    }
    drop(served);
    for (name, _) in sources {
        assert!(told[0].contains(name), "{}", told[0]);
    }
    assert!(
        told[0].contains("24 files") || told[0].contains("23 files"),
        "{}",
        told[0]
    );
    assert!(
        told[2].contains("days on which something changed"),
        "{}",
        told[2]
    );
    assert!(told[3].contains("All is well"), "{}", told[3]);
    assert!(told[4].contains("nothing to send"), "{}", told[4]);
    assert_eq!(
        counts(&old.store(), BUCKET).await,
        versions,
        "nothing is uploaded again"
    );
    for ((name, _), before) in sources.iter().zip(before) {
        let root = if sources.len() == 1 {
            office.clone()
        } else {
            office.join(name)
        };
        assert_eq!(tree(&root), before, "{name}");
        let mode = fs::metadata(root.join("Kunden"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o750);
    }
    // The configuration is its owner's alone, holds no key, and says what the old one did.
    let config = new.path().join("office.toml");
    assert_eq!(
        fs::metadata(&config).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&config).unwrap();
    assert!(
        !text.contains(crate::harness::served::SECRET_KEY) && text.contains("\"*.tmp\""),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_commands_bring_one_folder_back() {
    follow(&[("documents", "")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_several_that_share_a_bucket() {
    follow(&[
        ("database", "office/db/"),
        ("documents", "office/documents/"),
    ])
    .await;
}

#[test]
fn a_bucket_without_a_manifest_says_how_to_go_on_and_no_file_is_replaced() {
    let old = Old::new(&[("documents", "")]);
    old.back_up();
    let vault = old.vault();
    let sources = |more: &[&str]| {
        let mut command = program();
        command.args(["sources", "--vault", vault.to_str().unwrap()]);
        let done = finish(command.args(more));
        let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.code(), text)
    };
    let file = old.dir.path().join("there.toml");
    fs::write(&file, "mine").unwrap();
    let (code, text) = sources(&["--write-config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{text}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let (code, text) = sources(&["--json"]);
    assert_eq!(code, Some(0), "{text}");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&told[0]["name"], &told[0]["files"]),
        (&"documents".into(), &23.into())
    );
    let (code, text) = sources(&["--bucket", BUCKET, "--prefix", "elsewhere"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("there is no manifest") && text.contains("keepwatch restore"),
        "{text}"
    );
}
