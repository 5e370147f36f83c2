//! What lies between an office and its bucket: keys that are replaced, programs that
//! hand them out, proxies, certificates of one's own, and mail that is refused. The
//! real program against a vault behind real sockets.

mod demands;
mod keys;
// Runs programs that are shell scripts.
#[cfg(unix)]
mod keys_by_scripts;
mod mail;
mod proxy;
mod tls;

use crate::harness::os::set_mode;
use crate::harness::ran::Ran;
use crate::harness::{BUCKET, DEBOUNCE_MS, Rig, finish, program};
use keepwatch_vault::Vault;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};

pub const SECRET: &str = "a secret of the office";

pub const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:Backup";

/// A vault on a port that takes one key, until this is dropped.
pub struct Served {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub fn start(vault: &Vault, key: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (vault, keys) = (vault.clone(), (key.to_owned(), SECRET.to_owned()));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let until = async {
                // Dropped or told: either is the end.
                let _ = stopped.await;
            };
            runtime
                .block_on(vault.serve(listener, keys, until))
                .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// One address, behind which servers are exchanged.
pub struct Switch {
    pub address: SocketAddr,
    to: watch::Sender<SocketAddr>,
}

impl Switch {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, now) = watch::channel(server);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut now = now.clone();
                tokio::spawn(async move {
                    let server = *now.borrow_and_update();
                    let Ok(mut far) = tokio::net::TcpStream::connect(server).await else {
                        return;
                    };
                    // Open connections end with the server that they lead to.
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = now.changed() => {}
                    }
                });
            }
        });
        Self { address, to }
    }

    pub fn turn(&self, server: SocketAddr) {
        self.to.send_replace(server);
    }
}

/// What an SNS of the tests answers.
#[derive(Debug, Clone)]
pub enum Says {
    /// Takes messages signed with this access key, and no other.
    Takes(String),
    /// Refuses everything: status and code.
    Refuses(u16, &'static str),
}

/// An SNS that keeps the messages it took.
pub struct Sns {
    pub url: String,
    says: Arc<Mutex<Says>>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Sns {
    pub fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(says));
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let (answers, takes) = (Arc::clone(&says), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, takes) = (Arc::clone(&answers), Arc::clone(&takes));
                std::thread::spawn(move || {
                    // A client that has had enough hangs up.
                    let _ = answer(stream.unwrap(), &answers, &takes);
                });
            }
        });
        Self { url, says, taken }
    }

    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Bodies of the messages taken so far, as they were sent.
    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    says: &Mutex<Says>,
    taken: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut body_bytes) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let is_publish = body.contains("Action=Publish");
    let (status, code) = match says.lock().unwrap().clone() {
        Says::Takes(key) if head.contains(&format!("Credential={key}/")) => (200, ""),
        Says::Takes(_) => (403, "InvalidClientTokenId"),
        Says::Refuses(status, code) => (status, code),
    };
    let text = match (status, is_publish) {
        (200, true) => {
            taken.lock().unwrap().push(body);
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>".to_owned()
        }
        (200, false) => "<GetTopicAttributesResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><GetTopicAttributesResult><Attributes><entry><key>SubscriptionsConfirmed</key><value>1</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>".to_owned(),
        _ => format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>by the test</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// An office whose bucket is behind `url`, and whose keys are in a file.
pub struct Office {
    pub rig: Rig,
    pub config: PathBuf,
    pub keys: PathBuf,
}

impl Office {
    /// `more` is appended to the configuration, `s3` to its `[s3]`.
    pub fn new(url: &str, s3: &str, more: &str) -> Self {
        let rig = Rig::new();
        let config = rig.dir.path().join("keepwatch.toml");
        let keys = rig.dir.path().join("keys");
        let text = format!(
            "[s3]\nendpoint_url = \"{url}\"\nregion = \"eu-central-1\"\n{s3}\n\
             [[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\
             [state]\ndir = \"state\"\n[log]\ndir = \"log\"\n\
             [limits]\ndebounce_ms = {DEBOUNCE_MS}\ndebounce_max_ms = 2000\n{more}"
        );
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        Self { rig, config, keys }
    }

    /// The key that the program finds from now on.
    pub fn has_key(&self, key: &str) {
        let text =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n");
        fs::write(&self.keys, text).unwrap();
    }

    /// The program, which finds its keys in the file and nothing else of AWS's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        for proxy in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command
            .args(["--config", self.config.to_str().unwrap()])
            .args(arguments)
            .env("HOME", self.rig.dir.path())
            .env("AWS_SHARED_CREDENTIALS_FILE", &self.keys);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&finish(&mut self.command(arguments)))
    }

    pub fn notify(sns: &Sns) -> String {
        format!(
            "[notify]\ntopic_arn = \"{TOPIC}\"\nendpoint_url = \"{}\"\n",
            sns.url
        )
    }
}
