//! The other programs: where they are, and how each does the same work.

use crate::servers::Endpoint;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that copies folders to S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    Rclone,
    S5cmd,
}

impl Other {
    pub const ALL: [Self; 2] = [Self::Rclone, Self::S5cmd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rclone => "rclone",
            Self::S5cmd => "s5cmd",
        }
    }

    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Rclone => find("BENCH_RCLONE", "rclone"),
            Self::S5cmd => find("BENCH_S5CMD", "s5cmd"),
        }
    }

    /// Make the bucket equal the folder: what is new or changed is sent, what
    /// is gone is deleted. As many at once as Keepwatch's 16 (s5cmd: its own 256).
    pub fn sync(self, folder: &Path, bucket: &str, to: &Endpoint, home: &Path) -> Command {
        let mut command = Command::new(self.program().unwrap());
        clean(&mut command, to, home);
        match self {
            Self::Rclone => {
                command
                    .args(["sync", "--transfers=16", "--checkers=16"])
                    .args([
                        "--s3-no-check-bucket",
                        "--log-level=ERROR",
                        "--track-renames",
                    ])
                    .arg(folder)
                    .arg(format!("bench:{bucket}"));
                remote(&mut command, to, home);
            }
            Self::S5cmd => {
                command
                    .args(["--log", "error", "--endpoint-url", &to.url])
                    .args(["sync", "--delete"])
                    .arg(format!("{}/", folder.display()))
                    .arg(format!("s3://{bucket}/"));
            }
        }
        command
    }

    /// Bring everything in the bucket into the folder, which is empty.
    pub fn download(self, folder: &Path, bucket: &str, from: &Endpoint, home: &Path) -> Command {
        let mut command = Command::new(self.program().unwrap());
        clean(&mut command, from, home);
        match self {
            Self::Rclone => {
                command
                    .args(["copy", "--transfers=16", "--checkers=16"])
                    .args(["--s3-no-check-bucket", "--log-level=ERROR"])
                    .arg(format!("bench:{bucket}"))
                    .arg(folder);
                remote(&mut command, from, home);
            }
            Self::S5cmd => {
                command
                    .args(["--log", "error", "--endpoint-url", &from.url, "cp"])
                    .arg(format!("s3://{bucket}/*"))
                    .arg(format!("{}/", folder.display()));
            }
        }
        command
    }
}

/// Hash these files, where OpenSSL is installed: it uses what the processor has
/// for that, like Keepwatch.
pub fn hashing(files: &[PathBuf]) -> Option<Command> {
    let mut command = Command::new(find("BENCH_OPENSSL", "openssl")?);
    command.args(["dgst", "-sha256"]).args(files);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Some(command)
}

/// Where rclone finds the server: nothing but the environment.
fn remote(command: &mut Command, to: &Endpoint, home: &Path) {
    command
        .env("RCLONE_CONFIG", home.join("none"))
        .env("RCLONE_CONFIG_BENCH_TYPE", "s3")
        .env("RCLONE_CONFIG_BENCH_PROVIDER", "Other")
        .env("RCLONE_CONFIG_BENCH_ENV_AUTH", "true")
        .env("RCLONE_CONFIG_BENCH_REGION", "us-east-1")
        .env("RCLONE_CONFIG_BENCH_ENDPOINT", &to.url);
}

/// Nothing of the account's own settings: keys of the bench, no proxy, no
/// metadata service.
pub fn clean(command: &mut Command, to: &Endpoint, home: &Path) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("AWS_ACCESS_KEY_ID", &to.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &to.secret_key)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
}

pub fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Where the independent server is.
pub fn s3s_fs() -> Option<PathBuf> {
    find("BENCH_S3S_FS", "s3s-fs")
}

/// What each program says of itself, or that it is not here.
pub fn versions() -> Vec<(&'static str, String)> {
    let rows = [
        ("rclone", Other::Rclone.program(), "version"),
        ("s5cmd", Other::S5cmd.program(), "version"),
        ("s3s-fs", s3s_fs(), "--version"),
        (
            "keepwatch",
            Some(crate::keepwatch_program::program()),
            "--version",
        ),
    ];
    let said = |program: PathBuf, ask: &str| {
        let output = Command::new(&program).arg(ask).output();
        let text = output.map_or(String::new(), |o| {
            String::from_utf8_lossy(&o.stdout).into_owned()
        });
        text.lines().next().unwrap_or("?").to_owned()
    };
    rows.into_iter()
        .map(|(name, program, ask)| match program {
            Some(program) => (name, said(program, ask)),
            None => (name, "NOT INSTALLED, left out".to_owned()),
        })
        .collect()
}
