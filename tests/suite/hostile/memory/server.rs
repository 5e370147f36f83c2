//! A socket of this computer that answers as it likes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// How a lying server answers: the request's first line, and where to write to.
type Serve = dyn Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A socket of this computer that answers as it likes, each connection once.
pub struct Server {
    pub address: SocketAddr,
}

impl Server {
    /// Runs until the test process ends; each connection has a thread.
    pub fn start(
        serve: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve: Arc<Serve> = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), serve) = (stream, Arc::clone(&serve)) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let Some(Ok(first)) = lines.next() else {
                        return;
                    };
                    while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
                    // A client that has had enough hangs up.
                    let _ = serve(&first, &mut stream);
                });
            }
        });
        Self { address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A whole answer of a known length.
pub fn say(stream: &mut TcpStream, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// The head of an answer whose end is the connection's end.
pub fn say_without_end(stream: &mut TcpStream, status: &str, headers: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n"
    )
}
