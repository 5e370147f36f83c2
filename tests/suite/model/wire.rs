//! The line between the program and the vault: a real TCP proxy that does harm
//! when told to. Resets are resets, cut answers end in the middle, a network
//! that is gone refuses or never answers, a portal answers for everybody.
//!
//! It knows as much HTTP as it needs: one request per connection, whose length
//! stands in its head. What the program has sent completely, the vault carries
//! out, whether or not the program still lives.

use super::journal::Journal;
use super::lies;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the line does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The server answers with this status and S3 error code.
    Answer(u16, &'static str),
    /// The connection is reset before anything arrives.
    Reset,
    /// Half of the request arrives, then the connection is reset.
    CutRequest,
    /// It is carried out, and the connection is reset instead of an answer.
    LoseAnswer,
    /// It is carried out, and half of the answer comes.
    CutAnswer,
    /// Nothing comes until this is over, then a reset.
    Hang,
    /// The request arrives after this many milliseconds.
    Late(u64),
    /// Nobody listens.
    Refuse,
    /// A portal answers everything with 200 and its page.
    Page,
    /// Something answers everything with 200 and nothing.
    Nothing,
    /// What a request is made conditional on is dropped on the way.
    NoConditions,
}

impl Harm {
    pub fn name(self) -> &'static str {
        match self {
            Harm::Answer(_, code) => code,
            Harm::Reset => "reset",
            Harm::CutRequest => "request cut",
            Harm::LoseAnswer => "answer lost",
            Harm::CutAnswer => "answer cut",
            Harm::Hang => "hang",
            Harm::Late(_) => "late",
            Harm::Refuse => "refused",
            Harm::Page => "200 with HTML",
            Harm::Nothing => "200 with nothing",
            Harm::NoConditions => "conditions ignored",
        }
    }
}

/// Requests are at most so long before their body.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// S3 refuses requests whose time differs by more (Amazon S3 API, error
/// RequestTimeTooSkewed); the vault does not look.
const SKEW_MAX_S: i64 = 15 * 60;

struct Rule {
    harm: Option<Harm>,
    /// Of so many requests in 100.
    share: u8,
    rng: Rng,
}

struct Shared {
    rule: Mutex<Rule>,
    /// Grows with every change of the rule: what hangs ends then.
    epoch: watch::Sender<u64>,
    vault: SocketAddr,
    /// The same vault without a socket, where nobody looks at signatures.
    inside: SharedHttpConnector,
    requests: AtomicU64,
    /// Requests harmed, by kind.
    harmed: Mutex<BTreeMap<&'static str, u64>>,
}

/// The line. Its address stays, also while nobody listens.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Handle,
    listening: Mutex<Option<JoinHandle<()>>>,
    journal: Journal,
}

impl Wire {
    /// An unharmed line to the vault. Each run has a loopback address of its
    /// own, so that no other run can get the port while nobody listens.
    pub fn new(
        runtime: &Handle,
        vault: SocketAddr,
        inside: SharedHttpConnector,
        rng: Rng,
        journal: Journal,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let ip = [
            127,
            64 + (process % 64) as u8,
            (process / 64) as u8,
            1 + (number % 250) as u8,
        ];
        let shared = Arc::new(Shared {
            rule: Mutex::new(Rule {
                harm: None,
                share: 0,
                rng,
            }),
            epoch: watch::Sender::new(0),
            vault,
            inside,
            requests: AtomicU64::new(0),
            harmed: Mutex::default(),
        });
        let mut wire = Self {
            address: SocketAddr::from((ip, 0)),
            shared,
            runtime: runtime.clone(),
            listening: Mutex::new(None),
            journal,
        };
        wire.address = wire.listen();
        wire
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many requests were harmed, by kind.
    pub fn harmed(&self) -> BTreeMap<&'static str, u64> {
        self.shared.harmed.lock().unwrap().clone()
    }

    /// From now on `share` of 100 requests meet this; `None` ends it.
    pub fn set(&self, harm: Option<Harm>, share: u8) {
        {
            let mut rule = self.shared.rule.lock().unwrap();
            (rule.harm, rule.share) = (harm, share);
        }
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
        let mut listening = self.listening.lock().unwrap();
        if harm == Some(Harm::Refuse) {
            if let Some(task) = listening.take() {
                task.abort();
                // Cancelled, as asked.
                let _ = self.runtime.block_on(task);
            }
            *self
                .shared
                .harmed
                .lock()
                .unwrap()
                .entry("refused")
                .or_default() += 1;
        } else if listening.is_none() {
            drop(listening);
            self.listen();
        }
        match harm {
            Some(harm) => self
                .journal
                .note(format!("FAULT {harm:?} for {share} of 100")),
            None => self.journal.note("the line is well"),
        }
    }

    fn listen(&self) -> SocketAddr {
        let _inside = self.runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        let task = self.runtime.spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    // A connection that breaks is what this is about.
                    tokio::spawn(async move { shared.serve(client).await });
                }
            }
        });
        *self.listening.lock().unwrap() = Some(task);
        address
    }
}

/// A request, its body not read yet.
struct Head {
    bytes: Vec<u8>,
    /// What came of the body with it.
    body: Vec<u8>,
    /// What is still to come.
    left: u64,
    is_head_method: bool,
    is_conditional: bool,
    skewed: bool,
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some(mut head) = read_head(&mut client).await? else {
            return Ok(());
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut epoch = self.epoch.subscribe();
        epoch.mark_unchanged();
        let harm = self.choose(&head);
        match harm {
            None => self.forward(&mut client, &mut head).await,
            Some(Harm::Answer(status, code)) => {
                drain(&mut client, head.left).await?;
                let text = answer(status, code, head.is_head_method);
                client.write_all(text.as_bytes()).await?;
                client.shutdown().await
            }
            Some(Harm::Reset | Harm::Refuse) => client.set_zero_linger(),
            Some(Harm::CutRequest) => {
                let mut vault = TcpStream::connect(self.vault).await?;
                vault.write_all(&head.bytes).await?;
                let half = head.body.len() / 2;
                vault.write_all(&head.body[..half]).await?;
                vault.set_zero_linger()?;
                client.set_zero_linger()
            }
            Some(Harm::LoseAnswer) => {
                self.carry_out(&mut client, &mut head).await?;
                client.set_zero_linger()
            }
            Some(Harm::CutAnswer) => {
                let answer = self.carry_out(&mut client, &mut head).await?;
                client.write_all(&answer[..answer.len() / 2]).await?;
                client.shutdown().await
            }
            Some(Harm::Hang) => {
                let _ = epoch.changed().await;
                client.set_zero_linger()
            }
            Some(Harm::Page) => {
                drain(&mut client, head.left).await?;
                let text = lies::page(&date(), head.is_head_method);
                client.write_all(text.as_bytes()).await?;
                client.shutdown().await
            }
            Some(Harm::Nothing) => {
                drain(&mut client, head.left).await?;
                client.write_all(lies::nothing(&date()).as_bytes()).await?;
                client.shutdown().await
            }
            Some(Harm::NoConditions) => {
                let mut body = std::mem::take(&mut head.body);
                (&mut client).take(head.left).read_to_end(&mut body).await?;
                let text = String::from_utf8_lossy(&head.bytes);
                let answer = lies::unconditional(&self.inside, &text, body).await?;
                client.write_all(&answer).await?;
                client.shutdown().await
            }
            Some(Harm::Late(ms)) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.forward(&mut client, &mut head).await
            }
        }
    }

    fn choose(&self, head: &Head) -> Option<Harm> {
        let harm = {
            let mut rule = self.rule.lock().unwrap();
            let share = rule.share;
            let hit = rule.rng.u8(0..100) < share;
            let skew = head
                .skewed
                .then_some(Harm::Answer(403, "RequestTimeTooSkewed"));
            let harms = |harm: &Harm| *harm != Harm::NoConditions || head.is_conditional;
            rule.harm.filter(|_| hit).filter(harms).or(skew)
        }?;
        let mut harmed = self.harmed.lock().unwrap();
        *harmed.entry(harm.name()).or_default() += 1;
        Some(harm)
    }

    /// As if it were not here.
    async fn forward(&self, client: &mut TcpStream, head: &mut Head) -> io::Result<()> {
        let mut vault = self.send_on(client, head).await?;
        tokio::io::copy(&mut vault, client).await?;
        client.shutdown().await
    }

    /// Let the vault do it, and keep the answer.
    async fn carry_out(&self, client: &mut TcpStream, head: &mut Head) -> io::Result<Vec<u8>> {
        let mut vault = self.send_on(client, head).await?;
        let mut answer = Vec::new();
        vault.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    async fn send_on(&self, client: &mut TcpStream, head: &mut Head) -> io::Result<TcpStream> {
        let mut vault = TcpStream::connect(self.vault).await?;
        vault.write_all(&head.bytes).await?;
        vault.write_all(&head.body).await?;
        let sent = tokio::io::copy(&mut client.take(head.left), &mut vault).await?;
        if sent < head.left {
            // The program died or gave up in the middle.
            vault.set_zero_linger()?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(vault)
    }
}

async fn drain(client: &mut TcpStream, left: u64) -> io::Result<()> {
    tokio::io::copy(&mut client.take(left), &mut tokio::io::sink()).await?;
    Ok(())
}

async fn read_head(client: &mut TcpStream) -> io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes.len() > HEAD_BYTES_MAX || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let body = bytes.split_off(end);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    assert!(
        field("transfer-encoding").is_none() && field("expect").is_none(),
        "the proxy must learn this: {text}"
    );
    let length: u64 = field("content-length").map_or(0, |value| value.parse().unwrap());
    let skewed = field("x-amz-date").is_some_and(|date| {
        let sent = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
        let sent = jiff::tz::TimeZone::UTC.to_timestamp(sent).unwrap();
        (jiff::Timestamp::now().as_second() - sent.as_second()).abs() > SKEW_MAX_S
    });
    // One request per connection: then an answer ends where the connection does.
    let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    lines.push("connection: close");
    Ok(Some(Head {
        bytes: format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes(),
        left: length - body.len() as u64,
        body,
        is_head_method: text.starts_with("HEAD "),
        is_conditional: lies::is_conditional(&text),
        skewed,
    }))
}

fn answer(status: u16, code: &str, is_head_method: bool) -> String {
    let body = match is_head_method {
        true => String::new(),
        false => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>"
        ),
    };
    let date = date();
    format!(
        "HTTP/1.1 {status} By The Test\r\ndate: {date}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Clients learn from it how far off their clock is.
fn date() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
