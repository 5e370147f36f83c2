//! The daemon's end of the socket.

use super::protocol::{Line, Request};
use crate::os;
use crate::types::{Class, Fatal, Fault, chain};
use crate::watchdog::{LoopPulse, Outside};
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
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

/// A client that takes no line for so long is cut off; its work goes on.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether the socket is still there: one `stat`.
const SOCKET_LOOK: Duration = Duration::from_secs(1);

/// Lines on their way to a client; a slow terminal holds only its own command up.
const LINES_MAX: usize = 64;

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
        let path = os::control_socket(state_dir);
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
        os::remove_stale_socket(&path);
        let listener = ListenerOptions::new()
            .name(name)
            .create_tokio()
            .map_err(|e| fatal(chain(&e)))?;
        os::restrict_socket(&path).map_err(|e| fatal(chain(&e)))?;
        Ok(Self {
            listener,
            state_dir: state_dir.to_owned(),
        })
    }

    /// Answer until told to stop.
    pub async fn serve(
        mut self,
        answer: Arc<impl Answer>,
        pulse: LoopPulse,
        mut stop: watch::Receiver<bool>,
    ) {
        let places = Places::default();
        let mut silent: VecDeque<oneshot::Sender<()>> = VecDeque::new();
        let mut look = tokio::time::interval(SOCKET_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_lost = false;
        loop {
            pulse.turn();
            let stream = tokio::select! {
                stream = self.listener.accept() => stream,
                _ = look.tick() => {
                    let again = self.make_again(&mut is_lost);
                    // On the index's disk.
                    pulse.outside(Outside::Index, again).await;
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
        let socket = os::control_socket(&self.state_dir);
        let is_gone = move || os::is_socket_gone(&socket);
        if !matches!(tokio::task::spawn_blocking(is_gone).await, Ok(true)) {
            *is_lost = false;
            return;
        }
        let state_dir = self.state_dir.clone();
        let bind = move || {
            let made = os::create_private_dir_all(&state_dir);
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
