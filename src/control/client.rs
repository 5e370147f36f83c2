//! The command's end of the socket.

use super::protocol::{Line, Request};
use crate::os;
use crate::types::{Fatal, chain, command};
use interprocess::local_socket::GenericFilePath;
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::tokio::prelude::*;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// A daemon that is heard of less often than this does not work: six times
/// the server's `ALIVE_EVERY`, for a busy computer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long the state may take to be told: it lies in memory, save for a few
/// reads of the index.
pub const STATUS_WAIT: Duration = Duration::from_secs(15);

/// How long a command waits for a socket that was removed and is made again.
pub const REMADE_WITHIN: Duration = Duration::from_secs(3);

/// How often it looks meanwhile.
const REMADE_LOOK: Duration = Duration::from_millis(200);

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
            format!(
                "see what `{}` says of it; look into its log; if it is stopped, stuck or of another version, start it again",
                command::status()
            ),
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
    let Ok(name) = os::control_socket(state_dir).to_fs_name::<GenericFilePath>() else {
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
