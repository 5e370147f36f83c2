//! The command of an alert works for whoever reads it: root, the account of the
//! service, and somebody else with `sudo`, each with nothing in the environment.

use super::{Tree, until_told};
use crate::harness::served::{ACCESS_KEY, SECRET_KEY, Served};
use crate::harness::{BUCKET, Rig, Running, finish, in_bucket, on_disk, program, until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The account of the service, and somebody else's; in no list of accounts.
const SERVICE: u32 = 47_110;
const SOMEBODY: u32 = 47_111;

/// Only root can start programs as others; who is not plays all parts alone.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder or file of an account, closed to everybody else.
fn give(path: &Path, account: u32, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(path, Some(account), Some(account)).unwrap();
    }
}

fn as_account(command: &mut Command, account: u32) -> &mut Command {
    match is_root() {
        true => command.uid(account).gid(account),
        false => command,
    }
}

/// A service with an account of its own, and all that it has.
struct Service {
    rig: Rig,
    config: PathBuf,
    home: PathBuf,
    credentials: PathBuf,
    served: Served,
}

impl Service {
    /// `is_at_home`: its credentials are where AWS tools look, and it may write
    /// beside the source; else they are named, and it may write at home alone.
    fn new(is_at_home: bool) -> Self {
        let rig = Rig::new();
        for i in 0..30 {
            rig.write(&format!("docs/{i}.txt"), format!("content of {i}"));
        }
        rig.vault();
        let served = Served::start(&rig.vault_dir());
        let base = rig.dir.path();
        let (home, etc) = (base.join("home"), base.join("etc"));
        let file = match is_at_home {
            true => home.join(".aws/credentials"),
            false => etc.join("credentials of the service"),
        };
        for folder in [&home, &etc, &rig.state_dir(), &base.join("log")] {
            fs::create_dir(folder).unwrap();
            give(folder, SERVICE, 0o700);
        }
        if is_at_home {
            fs::create_dir(home.join(".aws")).unwrap();
            give(&home.join(".aws"), SERVICE, 0o700);
        }
        let keys = format!(
            "[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        );
        fs::write(&file, keys).unwrap();
        give(&file, SERVICE, 0o600);
        let config = etc.join("keepwatch.toml");
        let text = format!(
            "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\n[[source]]\nname = \"{BUCKET}\"\npath = \"{}\"\nbucket = \"{BUCKET}\"\n[state]\ndir = \"{}\"\n[log]\ndir = \"{}\"\n[limits]\ndebounce_ms = 300\ndebounce_max_ms = 2000\n",
            served.url,
            rig.root().display(),
            rig.state_dir().display(),
            base.join("log").display(),
        );
        fs::write(&config, text).unwrap();
        give(&config, SERVICE, 0o600);
        give(&rig.root(), SERVICE, 0o755);
        fs::set_permissions(base, fs::Permissions::from_mode(0o755)).unwrap();
        if is_at_home {
            give(base, SERVICE, 0o755);
        }
        Self {
            rig,
            config,
            home,
            credentials: file,
            served,
        }
    }

    async fn start(&self, is_at_home: bool) -> Running {
        let mut command = program();
        as_account(&mut command, SERVICE)
            .args(["--config", self.config.to_str().unwrap()])
            .env("HOME", &self.home);
        if !is_at_home {
            command.env("AWS_SHARED_CREDENTIALS_FILE", &self.credentials);
        }
        Running::start_as(command, &self.config).await
    }
}

/// Run a line as this account would that has just logged in: its exit code and
/// what it says.
fn run_as(account: u32, line: &str, home: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line.trim()])
        .env_clear()
        // What stands for `sudo` here: this test can become root only by being it.
        .env("PATH", format!("{}:/usr/bin:/bin", home.display()))
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir("/")
        .stdin(std::process::Stdio::null());
    let output = finish(as_account(&mut command, account));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), text)
}

async fn read_by_all(is_at_home: bool) {
    let service = Service::new(is_at_home);
    let daemon = service.start(is_at_home).await;
    let store = service.rig.store();
    let before: Tree = on_disk(&service.rig.root());
    until("all is stored", async || in_bucket(&store).await == before).await;
    fs::remove_dir_all(service.rig.path("docs")).unwrap();
    let told = until_told(&service.rig, "lost most of its files").await;
    assert!(
        !told.contains(SECRET_KEY) && !told.contains(ACCESS_KEY),
        "{told}"
    );
    let is_command = |line: &&str| line.contains(" restore ") && line.contains("--at");
    let line = told.lines().find(is_command).unwrap();
    let to = line
        .rsplit(" --to ")
        .next()
        .unwrap()
        .trim()
        .trim_matches('\'');
    let (to, beside) = (Path::new(to), service.rig.dir.path());
    let want = match is_at_home || !is_root() {
        true => beside,
        false => &service.home,
    };
    assert_eq!(to.parent(), Some(want), "{line}");

    let other_home = beside.join("other home");
    fs::create_dir(&other_home).unwrap();
    give(&other_home, SOMEBODY, 0o755);
    let readers = [(0, &other_home), (SERVICE, &service.home)];
    for (account, home) in readers {
        let (code, said) = run_as(account, line, home);
        assert_eq!(code, Some(0), "as {account}: {line}\n{said}");
        assert_eq!(on_disk(to), before, "as {account}");
        fs::remove_dir_all(to).unwrap();
    }
    // Somebody else is told what is missing, in the message and by the program.
    let who = told.lines().find(|line| line.starts_with("Run it as"));
    assert!(
        who.is_some_and(|who| who.contains("put `sudo` before it")),
        "{told}"
    );
    if is_root() {
        let (code, said) = run_as(SOMEBODY, line, &other_home);
        assert!(
            code == Some(2) && said.contains("`sudo`"),
            "{code:?} {said}"
        );
    }
    let sudo = other_home.join("sudo");
    fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = run_as(0, &format!("sudo {}", line.trim()), &other_home);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(on_disk(to), before);

    // The command of `status`, which the account of the service reads.
    let status = daemon.status().unwrap();
    let warning = status["sources"][0]["board"]["warnings"]["deletions"].as_str();
    let (_, confirm) = warning.unwrap().split_once("really deleted: ").unwrap();
    let (code, said) = run_as(SERVICE, confirm, &service.home);
    assert_eq!(code, Some(0), "{confirm}\n{said}");
    assert_eq!(daemon.stop(), Some(0));
    drop(service.served);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_of_an_alert_works_for_whoever_reads_it_with_named_credentials() {
    read_by_all(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_of_an_alert_works_for_whoever_reads_it_with_credentials_at_home() {
    read_by_all(true).await;
}
