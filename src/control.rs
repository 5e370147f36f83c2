//! The local socket on which commands ask the running daemon: protocol, client
//! and server. Owner only.
//!
//! One request per connection: a JSON line in, JSON lines out, the last of
//! which is the answer. It must never carry a credential or file content.

use crate::board::SourceBoard;
use crate::error::{Class, Fatal, Fault, chain};
use crate::model::audit::{self, Ask, Verified};
use crate::model::bandwidth::Rates;
use crate::model::destination::Trouble;
use crate::model::drill::Drill;
use crate::model::traffic::Traffic;
use crate::platform;
use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc, watch};

/// A request is a few words; whatever is longer is not one.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// A client that connects and says nothing is cut off after this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Commands served at once; the next waits.
const CONNECTIONS_MAX: usize = 8;

/// Lines on their way to a client; a slow terminal holds only its own command up.
const LINES_MAX: usize = 64;

/// What a command can ask of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// How things stand.
    Status,
    /// A full comparison of all sources with their buckets, now.
    Reconcile(Words),
    /// The digest as it stands, or (`send`) the whole daily job now.
    Digest {
        /// Scan, send and begin a new period.
        send: bool,
    },
    /// Index and bucket side by side.
    Verify(Ask),
}

/// What somebody says with a reconciliation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// So many deletions that they were held back are meant: mark them.
    pub confirm_deletions: bool,
    /// Destinations that belong to others are this computer's from now on.
    pub take_over: bool,
}

/// A line from the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// How far a reconciliation is.
    Progress(Progress),
    /// How far a verification is.
    Verifying(audit::Progress),
    /// Answer to [`Request::Verify`].
    Verified {
        /// One per source.
        sources: Vec<Verified>,
    },
    /// Answer to [`Request::Status`].
    Status(Box<Status>),
    /// Answer to [`Request::Reconcile`].
    Reconciled {
        /// One per source.
        sources: Vec<Reconciled>,
    },
    /// Answer to [`Request::Digest`].
    Digest {
        /// Subject line.
        subject: String,
        /// The text.
        body: String,
        /// What became of it, when it was to be sent.
        delivery: Option<String>,
        /// The newest restore drill.
        #[serde(default)]
        drill: Option<Drill>,
    },
    /// The request failed.
    Failed(Fault),
}

/// How far a reconciliation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files seen so far, all sources.
    pub seen: u64,
    /// Paths still waiting or in work.
    pub waiting: u64,
    /// Versions stored since it began.
    pub stored: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What a reconciliation did to one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The source's name.
    pub name: String,
    /// Where its copies go.
    pub destination: String,
    /// Files and links on disk.
    pub files: u64,
    /// Versions stored.
    pub stored: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Bytes they take in the bucket.
    pub stored_bytes: u64,
    /// Deletions marked.
    pub deleted: u64,
    /// Metadata changed without sending content.
    pub metadata_updates: u64,
    /// Paths that are not protected, the first few.
    pub failed: Vec<Fault>,
    /// How many are not.
    pub failed_total: u64,
    /// What is no trouble, but good to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Why the comparison is not complete; empty when it is.
    pub incomplete: Vec<String>,
    /// Nothing can be uploaded: why.
    pub outage: Option<Fault>,
    /// What is wrong with the destination though it can be reached.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
}

impl Reconciled {
    /// True when everything in the source is protected, and stays so.
    pub fn is_whole(&self) -> bool {
        self.is_sent() && self.troubles.is_empty()
    }

    /// True when everything in the source is in the bucket, and nothing is lost there.
    pub fn is_safe(&self) -> bool {
        self.is_sent() && !self.troubles.iter().any(|one| one.kind.costs_files())
    }

    /// True when everything in the source is in the bucket, safe there or not.
    pub fn is_sent(&self) -> bool {
        self.failed_total == 0 && self.incomplete.is_empty() && self.outage.is_none()
    }
}

/// How a running daemon stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started, milliseconds since 1970.
    pub started_ms: i64,
    /// How people know the server.
    pub place: String,
    /// How much of the line may be taken now.
    #[serde(default)]
    pub rates: Rates,
    /// What went over it since the start.
    #[serde(default)]
    pub traffic: Traffic,
    /// Messages that wait to be published.
    pub outbox: u64,
    /// The newest restore drill.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// One per source.
    pub sources: Vec<SourceStatus>,
}

/// How one source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// The folder.
    pub path: String,
    /// Where its copies go.
    pub destination: String,
    /// Files and links whose content the bucket has.
    pub files_protected: u64,
    /// Their size.
    pub bytes_protected: u64,
    /// Known from the bucket's listing, not compared yet.
    pub unverified: u64,
    /// Waiting or in work.
    pub waiting: u64,
    /// Files that have had many versions of late and wait for their next one.
    #[serde(default)]
    pub paced: u64,
    /// Until when at most, milliseconds since 1970.
    #[serde(default)]
    pub paced_until_ms: Option<i64>,
    /// Paths that are not protected, the first few: what, why and since when.
    pub unprotected: Vec<(Fault, i64)>,
    /// How many are not.
    pub unprotected_total: u64,
    /// What it is doing.
    pub board: SourceBoard,
}

/// Ask the daemon that runs on `state_dir`; `progress` gets every line but the
/// last. `None` when no daemon answers.
///
/// # Errors
/// It answered something that cannot be understood, or broke off.
pub async fn ask(
    state_dir: &Path,
    request: &Request,
    mut progress: impl FnMut(Line),
) -> Result<Option<Line>, Fatal> {
    let Ok(name) = platform::control_socket(state_dir).to_fs_name::<GenericFilePath>() else {
        return Ok(None);
    };
    let trouble = |cause: String| {
        Fatal::new(
            "ask the running Keepwatch",
            cause,
            "run this as the account that runs Keepwatch; look into its log; if it is of another version, restart it",
        )
    };
    let stream = match Stream::connect(name).await {
        Ok(stream) => stream,
        // Nobody listens. Anything else is somebody whom we may not talk to.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(trouble(chain(&error))),
    };
    let (from, mut to) = (&stream, &stream);
    let mut text = serde_json::to_vec(request).map_err(|e| trouble(chain(&e)))?;
    text.push(b'\n');
    to.write_all(&text).await.map_err(|e| trouble(chain(&e)))?;
    let mut lines = BufReader::new(from).lines();
    let mut last = None;
    while let Some(line) = lines.next_line().await.map_err(|e| trouble(chain(&e)))? {
        let line: Line = serde_json::from_str(&line).map_err(|e| trouble(chain(&e)))?;
        if let Some(earlier) = last.replace(line) {
            progress(earlier);
        }
    }
    match last {
        Some(Line::Failed(fault)) => Err(fault.into()),
        Some(Line::Progress(_) | Line::Verifying(_)) | None => {
            Err(trouble("it stopped before it was done".into()))
        }
        Some(line) => Ok(Some(line)),
    }
}

/// The daemon's end of the socket, bound.
pub struct Server(Listener);

/// Something that answers requests. Lines it sends before its answer are progress.
pub trait Answer: Send + Sync + 'static {
    /// Answer one request.
    fn answer(
        &self,
        request: Request,
        progress: mpsc::Sender<Line>,
    ) -> impl Future<Output = Line> + Send;
}

impl Server {
    /// Bind the socket in `state_dir`. Call it only while holding the index:
    /// that is what makes a leftover socket file safe to remove.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(state_dir: &Path) -> Result<Self, Fatal> {
        let path = platform::control_socket(state_dir);
        let fatal = |cause: String| {
            Fatal::new(
                format!("open the control socket {}", path.display()),
                cause,
                "set a short [state] dir on a local disk that this account may write to",
            )
        };
        let name = path
            .clone()
            .to_fs_name::<GenericFilePath>()
            .map_err(|e| fatal(chain(&e)))?;
        platform::remove_stale_socket(&path);
        let listener = ListenerOptions::new()
            .name(name)
            .create_tokio()
            .map_err(|e| fatal(chain(&e)))?;
        platform::restrict_socket(&path).map_err(|e| fatal(chain(&e)))?;
        Ok(Self(listener))
    }

    /// Answer until told to stop.
    pub async fn serve(self, answer: Arc<impl Answer>, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let stream = tokio::select! {
                stream = self.0.accept() => stream,
                _ = stop.changed() => return,
            };
            let Ok(stream) = stream else {
                // Out of file handles, say: breathe instead of spinning.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                if let Err(error) = converse(stream, answer).await {
                    tracing::warn!("a command on the control socket broke off: {error}");
                }
                drop(place);
            });
        }
    }
}

async fn converse(stream: Stream, answer: Arc<impl Answer>) -> std::io::Result<()> {
    let (from, mut to) = (&stream, &stream);
    let mut text = String::new();
    let mut from = BufReader::new(from.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(REQUEST_TIMEOUT, from.read_line(&mut text)).await??;
    let request = match serde_json::from_str::<Request>(&text) {
        Ok(request) => request,
        Err(error) => {
            let fault = Fault::new(Class::Refused, "understand", "the request", chain(&error))
                .hint("restart the daemon: it is of another version than this command");
            return write_line(&mut to, &Line::Failed(fault)).await;
        }
    };
    let (progress, mut lines) = mpsc::channel(LINES_MAX);
    let work = tokio::spawn(async move { answer.answer(request, progress).await });
    while let Some(line) = lines.recv().await {
        write_line(&mut to, &line).await?;
    }
    if let Ok(line) = work.await {
        write_line(&mut to, &line).await?;
    }
    Ok(())
}

async fn write_line(
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    line: &Line,
) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: internally tagged enums refuse a bare sequence, so
    /// a finished reconciliation could not be told.
    #[test]
    fn every_line_can_be_sent() {
        for line in [
            Line::Progress(Progress::default()),
            Line::Reconciled {
                sources: vec![Reconciled::default()],
            },
            Line::Status(Box::new(Status {
                version: String::new(),
                pid: 1,
                started_ms: 1,
                place: String::new(),
                rates: Rates::default(),
                traffic: Traffic::default(),
                outbox: 0,
                drill: Some(Drill::default()),
                sources: vec![],
            })),
            Line::Verifying(audit::Progress::default()),
            Line::Verified {
                sources: vec![Verified::default()],
            },
            Line::Digest {
                subject: "s".into(),
                body: "b".into(),
                delivery: None,
                drill: None,
            },
            Line::Failed(Fault::new(Class::Local, "a", "b", "c")),
        ] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
    }

    struct Echo;

    impl Answer for Echo {
        async fn answer(&self, request: Request, progress: mpsc::Sender<Line>) -> Line {
            if matches!(request, Request::Reconcile(_)) {
                let _ = progress.send(Line::Progress(Progress::default())).await;
                return Line::Reconciled {
                    sources: Vec::new(),
                };
            }
            Line::Failed(Fault::new(Class::Local, "do", "that", "not here"))
        }
    }

    #[tokio::test]
    async fn progress_then_answer_and_faults_come_through() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            ask(dir.path(), &Request::Status, |_| ()).await,
            Ok(None),
            "nobody runs"
        );
        let server = Server::bind(dir.path()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server.serve(Arc::new(Echo), stopped));
        let mut seen = 0;
        let request = Request::Reconcile(Words::default());
        let answer = ask(dir.path(), &request, |_| seen += 1).await;
        assert_eq!(
            answer,
            Ok(Some(Line::Reconciled {
                sources: Vec::new()
            }))
        );
        assert_eq!(seen, 1);
        let failed = ask(dir.path(), &Request::Status, |_| ()).await;
        assert!(failed.unwrap_err().to_string().contains("not here"));
        stop.send(true).unwrap();
        serving.await.unwrap();
        // What a killed daemon leaves behind does not stand in the way.
        Server::bind(dir.path()).unwrap();
    }
}
