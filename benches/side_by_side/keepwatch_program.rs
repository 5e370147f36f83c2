//! The program that is measured, and its settings.

use crate::others;
use crate::servers::Endpoint;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub fn program() -> PathBuf {
    match std::env::var_os("BENCH_KEEPWATCH") {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_keepwatch").into(),
    }
}

/// One installation of Keepwatch: its own state, log and configuration.
pub struct Install {
    pub home: PathBuf,
    pub config: PathBuf,
    to: Endpoint,
}

impl Install {
    /// In the new folder `home`, backing up `source` to `bucket`. `more` goes
    /// into the source's table.
    pub fn new(home: &Path, source: &Path, bucket: &str, to: &Endpoint, more: &str) -> Self {
        let store = format!(
            "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"",
            to.url
        );
        Self::with_store(home, source, bucket, to, &store, more)
    }

    pub fn with_store(
        home: &Path,
        source: &Path,
        bucket: &str,
        to: &Endpoint,
        store: &str,
        more: &str,
    ) -> Self {
        fs::create_dir_all(home).unwrap();
        let config = home.join("keepwatch.toml");
        let text = format!(
            "{store}\n\n[[source]]\nname = \"bench\"\npath = \"{}\"\nbucket = \"{bucket}\"\n{more}\n\n[state]\ndir = \"{}\"\n\n[log]\ndir = \"{}\"\n",
            source.display(),
            home.join("state").display(),
            home.join("log").display()
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            home: home.to_owned(),
            config,
            to: to.clone(),
        }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        others::clean(&mut command, &self.to, &self.home);
        command.arg("--config").arg(&self.config);
        command
    }

    /// One full comparison with the bucket.
    pub fn reconcile(&self) -> Command {
        let mut command = self.command();
        command.args(["--reconcile", "--quiet"]);
        command
    }

    /// Everything into a folder.
    pub fn restore(&self, to: &Path) -> Command {
        let mut command = self.command();
        command.args(["restore", "--quiet", "--to"]).arg(to);
        command
    }

    /// The daemon, in the foreground.
    pub fn daemon(&self) -> Command {
        let mut command = self.command();
        command.arg("--quiet").stderr(Stdio::null());
        command
    }

    /// What the running daemon says, as JSON; `None` while it does not answer.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self
            .command()
            .args(["status", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }
}
