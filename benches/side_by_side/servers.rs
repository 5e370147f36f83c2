//! Servers on loopback ports, ended when dropped.

use crate::keepwatch_program;
use crate::measure;
use crate::others;
use keepwatch_vault::Vault;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// Where requests go, and what signs them.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub url: String,
    pub access_key: String,
    pub secret_key: String,
}

/// A running server.
pub struct Server {
    child: Child,
    pub name: &'static str,
    pub at: Endpoint,
    /// Objects are plain files below it, one folder per bucket.
    pub folder: PathBuf,
}

impl Server {
    /// s3s-fs when it is there, the vault otherwise.
    pub fn fastest(folder: &Path, buckets: &[String]) -> Self {
        match others::s3s_fs() {
            Some(program) => Self::s3s_fs(&program, folder, buckets),
            None => Self::vault(folder, buckets),
        }
    }

    fn s3s_fs(program: &Path, folder: &Path, buckets: &[String]) -> Self {
        for bucket in buckets {
            std::fs::create_dir_all(folder.join(bucket)).unwrap();
        }
        // It prints no port of its own choice; this one was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let (access_key, secret_key) = ("bench", "a-secret-of-the-bench");
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--access-key", access_key, "--secret-key", secret_key])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < START, "s3s-fs does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            name: "s3s-fs",
            at: Endpoint {
                url: format!("http://{address}"),
                access_key: access_key.into(),
                secret_key: secret_key.into(),
            },
            folder: folder.to_owned(),
        }
    }

    /// The vault, which keeps versions.
    pub fn vault(folder: &Path, buckets: &[String]) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let vault = Vault::open(folder).unwrap();
        for bucket in buckets {
            vault.ensure_bucket(bucket).unwrap();
        }
        drop(vault);
        let mut child = Command::new(keepwatch_program::program())
            .args(["vault", "serve", "--port", "0", "--vault"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            let value = line.strip_prefix(name).map(str::trim);
            value.unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let at = Endpoint {
            url: told("endpoint:"),
            access_key: told("access key:"),
            secret_key: told("secret key:"),
        };
        // Its last line, or it would find nobody to tell it to.
        told("stop with");
        Self {
            at,
            name: "the vault",
            child,
            folder: folder.to_owned(),
        }
    }

    /// Processor time of the server so far.
    pub fn cpu_s(&self) -> f64 {
        measure::cpu_s(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
