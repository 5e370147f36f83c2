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
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

/// A request is a few words; whatever is longer is not one.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// A client that connects and says nothing is cut off after this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Clients that have connected and not asked yet. Whoever asks does so at once, so
/// of more than these the one that has been silent longest is cut off: they must
/// keep nobody waiting who has a question.
const SILENT_MAX: usize = 64;

/// Commands at work at once; the next waits.
const WORK_MAX: usize = 8;

/// Questions after the state answered at once. They do not wait for the others,
/// which may take hours.
const STATUS_MAX: usize = 8;

/// Who waits for an answer hears at least this often that it is being worked on.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// A daemon that is heard of less often than this does not work: six times
/// [`ALIVE_EVERY`], for a busy computer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long the state may take to be told: it lies in memory, save for a few
/// reads of the index.
pub const STATUS_WAIT: Duration = Duration::from_secs(15);

/// A client that takes no line for so long is cut off; its work goes on.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether the socket is still there: one `stat`.
const SOCKET_LOOK: Duration = Duration::from_secs(1);

/// How long a command waits for a socket that was removed and is made again.
pub const REMADE_WITHIN: Duration = Duration::from_secs(3);

/// How often it looks meanwhile.
const REMADE_LOOK: Duration = Duration::from_millis(200);

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
    /// Nothing new: it is being worked on. The client hears it and nobody else.
    Alive,
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
        /// It was to be sent, and its reader does not have it yet.
        #[serde(default)]
        is_undelivered: bool,
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
    /// Why no mail goes out, and since when (milliseconds since 1970).
    #[serde(default)]
    pub mail_trouble: Option<(i64, Fault)>,
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

/// The file with the state as last told, in the state folder.
const KEPT_FILE: &str = "last-status.json";

/// A kept state is no longer than this: [`Status`] names a bounded number of files.
const KEPT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How things stood, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// How things stood.
    pub status: Status,
}

impl Kept {
    /// Write it down, for when nobody answers. Whole or not at all. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, state_dir: &Path) -> io::Result<()> {
        let path = state_dir.join(KEPT_FILE);
        let new = path.with_extension("new");
        let text = serde_json::to_vec(self)?;
        platform::create_private_file(&new)?.write_all(&text)?;
        std::fs::rename(&new, &path)
    }

    /// What was written down last; `None` when nothing that can be read was. Blocks.
    pub fn read(state_dir: &Path) -> Option<Self> {
        let file = std::fs::File::open(state_dir.join(KEPT_FILE)).ok()?;
        serde_json::from_reader(file.take(KEPT_BYTES_MAX)).ok()
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It was answered.
    Answered(Box<Line>),
    /// Nobody listens there.
    Nobody,
    /// Somebody listens there and says nothing for so long.
    Silent(Duration),
}

/// Ask the daemon that runs on `state_dir`; `progress` gets every line but the
/// last. `None` when no daemon answers.
///
/// # Errors
/// It answered something that cannot be understood, broke off, or says nothing.
pub async fn ask(
    state_dir: &Path,
    request: &Request,
    progress: impl FnMut(Line),
) -> Result<Option<Line>, Fatal> {
    match ask_within(state_dir, request, SILENCE_MAX, progress).await? {
        Asked::Answered(line) => Ok(Some(*line)),
        Asked::Nobody => Ok(None),
        Asked::Silent(waited) => Err(Fatal::new(
            "ask the running Keepwatch",
            format!("it says nothing for {} s", waited.as_secs()),
            "see what `keepwatch status` says of it; look into its log; if it is stopped, stuck or of another version, start it again",
        )),
    }
}

/// How things stand, within [`STATUS_WAIT`]. Where the socket is missing though
/// somebody may run, it is looked for again for a while: it is being made again.
///
/// # Errors
/// As [`ask`].
pub async fn ask_status(state_dir: &Path, may_run: impl Fn() -> bool) -> Result<Asked, Fatal> {
    let began = tokio::time::Instant::now();
    loop {
        let asking = ask_within(state_dir, &Request::Status, STATUS_WAIT, |_| ());
        let asked = match tokio::time::timeout(STATUS_WAIT, asking).await {
            Ok(asked) => asked?,
            Err(_) => Asked::Silent(STATUS_WAIT),
        };
        if asked != Asked::Nobody || !may_run() || began.elapsed() >= REMADE_WITHIN {
            return Ok(asked);
        }
        tokio::time::sleep(REMADE_LOOK).await;
    }
}

fn trouble(cause: String) -> Fatal {
    Fatal::new(
        "ask the running Keepwatch",
        cause,
        "run this as the account that runs Keepwatch; look into its log; if it is of another version, restart it",
    )
}

async fn ask_within(
    state_dir: &Path,
    request: &Request,
    silence: Duration,
    mut progress: impl FnMut(Line),
) -> Result<Asked, Fatal> {
    let Ok(name) = platform::control_socket(state_dir).to_fs_name::<GenericFilePath>() else {
        return Ok(Asked::Nobody);
    };
    let silent = Ok(Asked::Silent(silence));
    let stream = match tokio::time::timeout(silence, Stream::connect(name)).await {
        Ok(Ok(stream)) => stream,
        // Nobody listens. Anything else is somebody whom we may not talk to.
        Ok(Err(error))
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(Asked::Nobody);
        }
        // As many wait to be heard as may.
        Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => return silent,
        Ok(Err(error)) => return Err(trouble(chain(&error))),
        Err(_) => return silent,
    };
    let (from, mut to) = (&stream, &stream);
    let mut text = serde_json::to_vec(request).map_err(|e| trouble(chain(&e)))?;
    text.push(b'\n');
    match tokio::time::timeout(silence, to.write_all(&text)).await {
        Ok(written) => written.map_err(|e| trouble(chain(&e)))?,
        Err(_) => return silent,
    }
    let mut lines = BufReader::new(from).lines();
    let mut last = None;
    loop {
        let Ok(line) = tokio::time::timeout(silence, lines.next_line()).await else {
            return silent;
        };
        let Some(line) = line.map_err(|e| trouble(chain(&e)))? else {
            break;
        };
        let line: Line = serde_json::from_str(&line).map_err(|e| trouble(chain(&e)))?;
        if line == Line::Alive {
            continue;
        }
        if let Some(earlier) = last.replace(line) {
            progress(earlier);
        }
    }
    match last {
        Some(Line::Failed(fault)) => Err(fault.into()),
        Some(Line::Progress(_) | Line::Verifying(_) | Line::Alive) | None => {
            Err(trouble("it stopped before it was done".into()))
        }
        Some(line) => Ok(Asked::Answered(Box::new(line))),
    }
}

/// The daemon's end of the socket, bound.
pub struct Server {
    listener: Listener,
    state_dir: PathBuf,
}

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
        Ok(Self {
            listener,
            state_dir: state_dir.to_owned(),
        })
    }

    /// Answer until told to stop.
    pub async fn serve(mut self, answer: Arc<impl Answer>, mut stop: watch::Receiver<bool>) {
        let places = Places::default();
        let mut silent: VecDeque<oneshot::Sender<()>> = VecDeque::new();
        let mut look = tokio::time::interval(SOCKET_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_lost = false;
        loop {
            let stream = tokio::select! {
                stream = self.listener.accept() => stream,
                _ = look.tick() => {
                    self.make_again(&mut is_lost).await;
                    continue;
                }
                _ = stop.changed() => return,
            };
            let Ok(stream) = stream else {
                // Out of file handles, say: breathe instead of spinning.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            silent.retain(|other| !other.is_closed());
            if silent.len() >= SILENT_MAX {
                // Dropped, it is cut off.
                silent.pop_front();
            }
            let (cut, is_cut) = oneshot::channel();
            silent.push_back(cut);
            let (answer, places) = (Arc::clone(&answer), places.clone());
            tokio::spawn(async move {
                if let Err(error) = converse(stream, is_cut, answer, places).await {
                    tracing::warn!("a command on the control socket broke off: {error}");
                }
            });
        }
    }

    /// A socket that somebody has removed (with its folder) is made again:
    /// without it nobody could tell that the daemon runs.
    async fn make_again(&mut self, is_lost: &mut bool) {
        let socket = platform::control_socket(&self.state_dir);
        let is_gone = move || platform::is_socket_gone(&socket);
        if !matches!(tokio::task::spawn_blocking(is_gone).await, Ok(true)) {
            *is_lost = false;
            return;
        }
        let state_dir = self.state_dir.clone();
        let bind = move || {
            let made = platform::create_private_dir_all(&state_dir);
            made.map_err(|error| chain(&error))
                .and_then(|()| Self::bind(&state_dir).map_err(|fatal| fatal.one_line()))
        };
        let bound = tokio::task::spawn_blocking(bind).await;
        let was_lost = std::mem::replace(is_lost, true);
        let folder = self.state_dir.display();
        match bound {
            Ok(Ok(again)) => {
                tracing::error!(
                    "the control socket in {folder} was removed while Keepwatch is running; it was made again"
                );
                // It would take the new one's name away.
                self.listener.do_not_reclaim_name_on_drop();
                *self = again;
                *is_lost = false;
            }
            Ok(Err(why)) if !was_lost => tracing::error!(
                "the control socket in {folder} was removed while Keepwatch is running, and cannot be made again: {why}"
            ),
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// How many may be at work at once.
#[derive(Clone)]
struct Places {
    work: Arc<Semaphore>,
    status: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            work: Arc::new(Semaphore::new(WORK_MAX)),
            status: Arc::new(Semaphore::new(STATUS_MAX)),
        }
    }
}

/// What a client asks; `None` when it was cut off because others wait.
async fn request_of(
    from: impl AsyncRead + Unpin,
    mut is_cut: oneshot::Receiver<()>,
) -> io::Result<Option<String>> {
    let mut text = String::new();
    let mut from = BufReader::new(from.take(REQUEST_BYTES_MAX));
    let reading = tokio::time::timeout(REQUEST_TIMEOUT, from.read_line(&mut text));
    tokio::select! {
        read = reading => read??,
        _ = &mut is_cut => return Ok(None),
    };
    Ok(Some(text))
}

async fn converse(
    stream: Stream,
    is_cut: oneshot::Receiver<()>,
    answer: Arc<impl Answer>,
    places: Places,
) -> io::Result<()> {
    let (from, mut to) = (&stream, &stream);
    let Some(text) = request_of(from, is_cut).await? else {
        return Ok(());
    };
    let request = match serde_json::from_str::<Request>(&text) {
        Ok(request) => request,
        Err(error) => {
            let fault = Fault::new(Class::Refused, "understand", "the request", chain(&error))
                .hint("restart the daemon: it is of another version than this command");
            return write_line(&mut to, &Line::Failed(fault)).await;
        }
    };
    let places = match request {
        Request::Status => places.status,
        _ => places.work,
    };
    let (progress, mut lines) = mpsc::channel(LINES_MAX);
    let mut work = tokio::spawn(async move {
        // Nobody closes it; whoever works without a place does no harm.
        let _place = places.acquire_owned().await;
        answer.answer(request, progress).await
    });
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => write_line(&mut to, &line).await?,
            done = &mut work => {
                while let Ok(line) = lines.try_recv() {
                    write_line(&mut to, &line).await?;
                }
                return match done {
                    Ok(line) => write_line(&mut to, &line).await,
                    Err(error) => Err(io::Error::other(error)),
                };
            }
            () = tokio::time::sleep(ALIVE_EVERY) => write_line(&mut to, &Line::Alive).await?,
        }
    }
}

async fn write_line(to: &mut (impl AsyncWrite + Unpin), line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let writing = async {
        to.write_all(&text).await?;
        to.flush().await
    };
    tokio::time::timeout(WRITE_TIMEOUT, writing).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: internally tagged enums refuse a bare sequence, so
    /// a finished reconciliation could not be told.
    #[test]
    fn every_line_can_be_sent() {
        for line in [
            Line::Alive,
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
                mail_trouble: None,
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
                is_undelivered: true,
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
