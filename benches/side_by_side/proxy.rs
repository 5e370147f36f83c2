//! A relay on a loopback port that counts what goes to the server.

use crate::servers::Endpoint;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes carried at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// A running relay. Its threads end with the connections, and with the bench.
pub struct Proxy {
    pub at: Endpoint,
    sent: Arc<AtomicU64>,
}

impl Proxy {
    /// Relay to that server. Signatures hold: what is signed is this address,
    /// and it is passed on as it is.
    pub fn start(server: &Endpoint) -> Self {
        let to: SocketAddr = server
            .url
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .expect("a loopback address");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(to) {
                    relay(&client, &server, &count);
                }
            }
        });
        Self {
            at: Endpoint {
                url,
                ..server.clone()
            },
            sent,
        }
    }

    /// Bytes sent to the server so far: headers, signatures and all.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn relay(client: &TcpStream, server: &TcpStream, count: &Arc<AtomicU64>) {
    for stream in [client, server] {
        stream.set_nodelay(true).unwrap();
    }
    let nobody = Arc::new(AtomicU64::new(0));
    for (from, to, count) in [(client, server, count), (server, client, &nobody)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let count = Arc::clone(count);
        std::thread::spawn(move || {
            let mut buffer = vec![0; BUFFER_BYTES];
            while let Ok(bytes @ 1..) = from.read(&mut buffer) {
                count.fetch_add(bytes as u64, Ordering::Relaxed);
                if to.write_all(&buffer[..bytes]).is_err() {
                    break;
                }
            }
            // The other end may be closed already.
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
