//! A line to the vault over HTTP that counts: every part with the bytes of it
//! that went by, and whether the vault has taken it. It can be cut or fall
//! silent after so many bytes. One request per connection.

use super::{Step, step};
use crate::harness::BUCKET;
use keepwatch_vault::Vault;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A part on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which of all the parts that went by.
    serial: u64,
    pub number: usize,
    /// Bytes of it that went by.
    pub bytes: u64,
    /// The vault has answered that it has it.
    pub taken: bool,
}

/// What becomes of the line when its bytes are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing more goes by, and nothing is answered.
    Silent,
    /// Every connection is reset, new ones too.
    Cut,
}

struct State {
    serial: u64,
    parts: Vec<Part>,
    steps: Vec<Step>,
    /// Bytes of parts that may still go by.
    left: u64,
    end: End,
}

#[derive(Clone)]
pub struct Line {
    pub url: String,
    state: Arc<Mutex<State>>,
    /// Counts the times that the line was mended.
    mended: watch::Sender<u64>,
    behind: SocketAddr,
}

impl Line {
    pub async fn to(vault: Vault) -> Self {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let behind = server.local_addr().unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        tokio::spawn(async move {
            let keys = ("test".to_owned(), "testtest".to_owned());
            let served = vault.serve(server, keys, std::future::pending());
            served.await.unwrap();
        });
        Self::before(behind).await
    }

    /// Before any server.
    pub async fn before(behind: SocketAddr) -> Self {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Self {
            url: format!("http://{}", front.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                serial: 0,
                parts: Vec::new(),
                steps: Vec::new(),
                left: u64::MAX,
                end: End::Silent,
            })),
            mended: watch::Sender::new(0),
            behind,
        };
        let accepting = line.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = front.accept().await {
                let line = accepting.clone();
                // A connection that breaks is what this is about.
                tokio::spawn(async move { line.serve(near).await });
            }
        });
        line
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// After so many more bytes of parts this happens.
    pub fn ends_after(&self, bytes: u64, end: End) {
        let mut state = self.state();
        (state.left, state.end) = (bytes, end);
    }

    /// The line is well again; what hung on it is gone.
    pub fn mend(&self) {
        self.state().left = u64::MAX;
        self.mended.send_modify(|times| *times += 1);
    }

    /// All bytes that it lets through have gone by.
    pub fn is_used_up(&self) -> bool {
        self.state().left == 0
    }

    /// Everything counted since the last time, counting from nothing again.
    pub fn take(&self) -> (Vec<Part>, Vec<Step>) {
        let mut state = self.state();
        let parts = std::mem::take(&mut state.parts);
        (parts, std::mem::take(&mut state.steps))
    }

    async fn serve(&self, mut near: TcpStream) -> io::Result<()> {
        let mut mended = self.mended.subscribe();
        let Some((head, body, left)) = read_head(&mut near).await? else {
            return Ok(());
        };
        let request = String::from_utf8_lossy(&head).into_owned();
        let mut words = request.split(' ');
        let step = step(words.next().unwrap(), words.next().unwrap());
        let part = self.state().saw(step);
        let end = {
            let state = self.state();
            (state.left == 0).then_some(state.end)
        };
        let carried = async {
            if end.is_some() {
                return Ok(None);
            }
            let mut far = TcpStream::connect(self.behind).await?;
            far.write_all(&head).await?;
            let mut near_body = body.chain((&mut near).take(left));
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let got = near_body.read(&mut buffer).await?;
                if got == 0 {
                    break;
                }
                if part.is_some() && !self.passes(part, got as u64) {
                    // The vault must not wait for the rest of it.
                    far.set_zero_linger()?;
                    return Ok(None);
                }
                far.write_all(&buffer[..got]).await?;
            }
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await?;
            Ok::<_, io::Error>(Some(answer))
        };
        match carried.await? {
            Some(answer) => {
                if let Some(part) = self.state().part(part) {
                    part.taken = answer.starts_with(b"HTTP/1.1 200");
                }
                near.write_all(&answer).await?;
                near.shutdown().await
            }
            None => {
                if self.state().end == End::Silent {
                    let _ = mended.changed().await;
                }
                near.set_zero_linger()
            }
        }
    }

    /// Whether so many bytes of a part still go by.
    fn passes(&self, part: Option<u64>, bytes: u64) -> bool {
        let mut state = self.state();
        state.left = state.left.saturating_sub(bytes);
        let passes = state.left > 0;
        if let Some(part) = state.part(part).filter(|_| passes) {
            part.bytes += bytes;
        }
        passes
    }
}

impl State {
    /// Write a request down; the serial number of a part.
    fn saw(&mut self, step: Step) -> Option<u64> {
        let number = match step {
            Step::Part(number) => Some(number),
            _ => None,
        };
        self.steps.push(step);
        let number = number?;
        self.serial += 1;
        self.parts.push(Part {
            serial: self.serial,
            number,
            bytes: 0,
            taken: false,
        });
        Some(self.serial)
    }

    /// `None` for what was counted before the last [`Line::take`].
    fn part(&mut self, serial: Option<u64>) -> Option<&mut Part> {
        let serial = serial?;
        self.parts.iter_mut().find(|part| part.serial == serial)
    }
}

type Head = (Vec<u8>, std::io::Cursor<Vec<u8>>, u64);

async fn read_head(near: &mut TcpStream) -> io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if near.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let body = bytes.split_off(end);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<u64>().unwrap())
    });
    // Then an answer ends where the connection does.
    let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    lines.push("connection: close");
    let left = length.unwrap_or(0) - body.len() as u64;
    let head = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    Ok(Some((head, std::io::Cursor::new(body), left)))
}
