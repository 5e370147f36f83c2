//! docs/FORMAT.md: its lines, as they stand there, run with the real AWS CLI
//! against a served vault that Keepwatch has backed up into.

use crate::harness::served::Served;
use crate::harness::{Rig, finish, program};
use crate::pages::{blocks, program_folder, shell, well};
use crate::python::venv_python;
use crate::raw::client;
use jiff::Timestamp;
use keepwatch::s3::Store;
use keepwatch_vault::Vault;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const BUCKET: &str = "documents-backup-254";

/// The moment that the page names.
const MOMENT: &str = "2026-11-20T14:30:00Z";

/// Back the office up, as it is now.
fn back_up(rig: &Rig) {
    let file = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[vault]\npath = \"vault\"\n[state]\ndir = \"state\"\n[log]\ndir = \"log\"\n[[source]]\nname = \"documents\"\npath = \"office\"\nbucket = \"{BUCKET}\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n"
    );
    fs::create_dir_all(rig.vault_dir()).unwrap();
    fs::write(&file, text).unwrap();
    let done = finish(program().args(["--config", file.to_str().unwrap(), "--reconcile"]));
    well(&done, "--reconcile");
}

/// S3's times have seconds: wait for the next one, and say which has passed.
fn next_second() -> String {
    let now = Timestamp::now();
    while Timestamp::now().as_second() < now.as_second() + 2 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Timestamp::from_second(now.as_second()).unwrap().to_string()
}

fn csv(word: &str) -> String {
    format!("{word};7\n").repeat(800)
}

struct Desk {
    folder: tempfile::TempDir,
    programs: Vec<PathBuf>,
    url: String,
}

impl Desk {
    fn run(&self, lines: &str) -> Output {
        let lines = format!("export AWS_ENDPOINT_URL={}\n{lines}", self.url);
        shell(&lines, self.folder.path(), &self.programs)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn is_there(&self, name: &str) -> bool {
        self.folder.path().join(name).symlink_metadata().is_ok()
    }
}

/// The page's block that holds this.
fn block<'a>(all: &'a [String], of: &str) -> &'a str {
    let found: Vec<&String> = all.iter().filter(|block| block.contains(of)).collect();
    assert_eq!(found.len(), 1, "one block with {of}");
    found[0]
}

#[test]
fn every_line_of_the_page_brings_back_what_it_says() {
    let rig = Rig::new();
    rig.write("Invoices/a.pdf", "%PDF one");
    rig.write("Invoices/list.csv", csv("list"));
    rig.write("stock.csv", csv("old"));
    rig.write("contract.txt", "signed");
    rig.write("Büro/Straße 1.txt", "odd names");
    fs::create_dir(rig.path("empty")).unwrap();
    std::os::unix::fs::symlink("stock.csv", rig.path("link")).unwrap();
    back_up(&rig);
    let moment = next_second();
    rig.write("stock.csv", csv("new"));
    rig.write("later.txt", "later");
    rig.write("Invoices/a.pdf", "%PDF two");
    fs::remove_file(rig.path("contract.txt")).unwrap();
    back_up(&rig);

    let served = Served::start(&rig.vault_dir());
    let cli = venv_python().parent().unwrap().to_owned();
    assert!(
        cli.join("aws").exists(),
        "the AWS CLI is in the virtual environment"
    );
    let desk = Desk {
        folder: tempfile::tempdir().unwrap(),
        programs: vec![cli, program_folder()],
        url: served.url.clone(),
    };
    let scripts = blocks("FORMAT.md", "python");
    assert_eq!(scripts.len(), 1);
    fs::write(desk.folder.path().join("audit.py"), &scripts[0]).unwrap();
    let all = blocks("FORMAT.md", "sh");
    let mut told = Vec::new();
    for lines in &all {
        let lines = lines.replace(MOMENT, &moment);
        told.push(well(&desk.run(&lines), &lines));
    }
    let said = |of: &str| {
        let lines = block(&all, of);
        told[all.iter().position(|one| one == lines).unwrap()].clone()
    };

    assert_eq!(desk.read("a.pdf"), "%PDF two");
    assert_eq!(desk.read("stock.csv"), csv("new"));
    assert!(said("--query ContentEncoding --output text\naws s3 cp").starts_with("gzip"));
    assert_eq!(said("[LastModified,VersionId,Size]").lines().count(), 2);
    assert_eq!(desk.read("stock-before.csv"), csv("old"));
    assert_eq!(desk.read("contract.txt"), "signed");
    assert_eq!(desk.read("Invoices/list.csv"), csv("list"));
    assert_eq!(desk.read("Invoices/a.pdf"), "%PDF two");
    // The whole tree of the moment: changes undone, deletions too, no manifests.
    for (name, want) in [
        ("then/stock.csv", csv("old")),
        ("then/Invoices/a.pdf", "%PDF one".into()),
        ("then/Invoices/list.csv", csv("list")),
        ("then/contract.txt", "signed".into()),
        ("then/Büro/Straße 1.txt", "odd names".into()),
        ("then/link", "stock.csv".into()),
    ] {
        assert_eq!(desk.read(name), want, "{name}");
    }
    assert!(desk.folder.path().join("then/empty").is_dir());
    for name in ["then/later.txt", "then/.keepwatch"] {
        assert!(!desk.is_there(name), "{name}");
    }
    let sums = said("kw-sha256");
    let (stored, found) = sums.split_once('\n').unwrap();
    assert_eq!(Some(stored.trim()), found.split(' ').next());
    let manifest = said("{\"path\":\"stock.csv\"");
    assert!(
        manifest.contains("\"keepwatch_manifest\":1") && manifest.contains("\"gzip\":true"),
        "{manifest}"
    );
    let proof = said("sed '$d'");
    let proof: Vec<&str> = proof.lines().collect();
    assert_eq!(proof[0], proof[1]);
    let audit = said("python3 audit.py");
    assert!(
        audit.contains("7 versions checked, 0 of them wrong"),
        "{audit}"
    );
    let link = fs::read_link(desk.folder.path().join("link")).unwrap();
    assert_eq!(link, Path::new("stock.csv"));
    drop(served);
    audit_finds_what_is_wrong(&rig, desk, block(&all, "python3 audit.py"));
}

/// A version is removed, and the manifest altered.
fn audit_finds_what_is_wrong(rig: &Rig, mut desk: Desk, lines: &str) {
    let vault = Vault::open(&rig.vault_dir()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::vault(vault.http_client(), "the test vault");
        let page = store
            .list_versions(BUCKET, "later.txt", None)
            .await
            .unwrap();
        let delete = client(&vault)
            .delete_object()
            .bucket(BUCKET)
            .key("later.txt");
        let delete = delete.version_id(keepwatch::types::id_text(&page.items[0].version_id));
        delete.send().await.unwrap();
    });
    drop(vault);
    let served = Served::start(&rig.vault_dir());
    desk.url = served.url.clone();
    let done = desk.run(lines);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.contains("later.txt cannot be had"), "{text}");
    assert!(
        text.contains("7 versions checked, 1 of them wrong"),
        "{text}"
    );
    let cut = "gunzip < manifest.jsonl.gz | sed 2d | gzip > cut && mv cut manifest.jsonl.gz\n";
    let done = desk.run(&format!("{cut}{lines}"));
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(text.contains("the manifest itself is damaged"), "{text}");
}
