//! A line to a server that counts what goes up and can fall silent. It knows no
//! HTTP: bytes go through as they come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Read and sent on at once.
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Clone)]
pub struct Line {
    pub url: String,
    sent_bytes: Arc<AtomicU64>,
    /// How far [`Self::sent_bytes`] may go.
    until_bytes: watch::Sender<u64>,
}

impl Line {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            sent_bytes: Arc::default(),
            until_bytes: watch::Sender::new(u64::MAX),
        };
        let accepting = line.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = accepting.clone();
                // A connection that breaks is none of ours.
                tokio::spawn(async move { line.carry(near, server).await });
            }
        });
        line
    }

    /// What went to the server so far, heads of requests and all.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::SeqCst)
    }

    /// After so many more bytes nothing goes up any more.
    pub fn falls_silent_after(&self, bytes: u64) {
        let until = self.sent_bytes().saturating_add(bytes);
        self.until_bytes.send_replace(until);
    }

    pub fn is_silent(&self) -> bool {
        self.sent_bytes() >= *self.until_bytes.borrow()
    }

    pub fn is_well_again(&self) {
        self.until_bytes.send_replace(u64::MAX);
    }

    async fn carry(&self, near: TcpStream, server: SocketAddr) -> io::Result<()> {
        let far = TcpStream::connect(server).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (mut from_near, mut to_near) = near.into_split();
        let (mut from_far, mut to_far) = far.into_split();
        let up = async {
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let count = from_near.read(&mut chunk).await?;
                if count == 0 {
                    return to_far.shutdown().await;
                }
                self.may_go_on().await;
                self.sent_bytes.fetch_add(count as u64, Ordering::SeqCst);
                to_far.write_all(&chunk[..count]).await?;
            }
        };
        let down = async {
            io::copy(&mut from_far, &mut to_near).await?;
            to_near.shutdown().await
        };
        tokio::try_join!(up, down).map(|_| ())
    }

    async fn may_go_on(&self) {
        let mut until = self.until_bytes.subscribe();
        let is_open = until.wait_for(|until| self.sent_bytes() < *until).await;
        is_open.unwrap();
    }
}
