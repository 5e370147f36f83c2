//! kill -9 with a PUT on a slow line that is delivered after the next start.

use crate::harness::os::set_mode;
use crate::harness::served::{ACCESS_KEY, SECRET_KEY, Served};
use crate::harness::{BUCKET, DEBOUNCE_MS, Rig, Running, history, until};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How long a request may be late: the start and its comparison are over before.
const LATE_MS: u64 = 15_000;

/// A line to the server. What names `held` in its first line is taken in, and
/// neither passed on nor answered until the test delivers it.
struct Line {
    url: String,
    server: SocketAddr,
    held: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Line {
    fn start(server: &str, held_name: &'static str) -> Self {
        let server: SocketAddr = server.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let hold = Arc::clone(&held);
        // Ends with the process: it waits for connections.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let hold = Arc::clone(&hold);
                std::thread::spawn(move || serve(client, server, held_name, &hold));
            }
        });
        Self { url, server, held }
    }

    fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// The server gets what was held, and carries it out.
    fn deliver(&self) {
        for request in std::mem::take(&mut *self.held.lock().unwrap()) {
            let answer = ask(self.server, &request);
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        }
    }
}

/// One request per connection; a client that dies ends its connection.
fn serve(mut client: TcpStream, server: SocketAddr, name: &str, hold: &Mutex<Vec<Vec<u8>>>) {
    let Some(request) = request(&mut client) else {
        return;
    };
    let line = request.split(|byte| *byte == b'\r').next().unwrap();
    let line = String::from_utf8_lossy(line).into_owned();
    if line.starts_with("PUT ") && line.contains(name) {
        hold.lock().unwrap().push(request);
        // Until the program is killed.
        let _ = client.read(&mut [0]);
        return;
    }
    // It may have been killed.
    let _ = client.write_all(&ask(server, &request));
}

fn ask(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut server = TcpStream::connect(server).unwrap();
    server.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer);
    answer
}

/// A whole request, made to be the only one of its connection.
fn request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut piece).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
    let length = head.lines().find(is_length).map_or(0, |line| {
        let (_, value) = line.split_once(':').unwrap();
        value.trim().parse().unwrap()
    });
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    lines.push("connection: close");
    let mut whole = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    let all = whole.len() + length;
    whole.extend(body);
    while whole.len() < all {
        match client.read(&mut piece).ok()? {
            0 => return None,
            count => whole.extend_from_slice(&piece[..count]),
        }
    }
    Some(whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_a_killed_process_left_on_the_line_brings_no_deleted_file_back() {
    let rig = Rig::new();
    rig.write("stays.txt", "stays");
    drop(rig.vault());
    let served = Served::start(&rig.vault_dir());
    let line = Line::start(&served.url, "late.txt");
    let file = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n[state]\ndir = \"state\"\n[log]\ndir = \"log\"\n[limits]\ndebounce_ms = {DEBOUNCE_MS}\nlate_request_ms = {LATE_MS}\n",
        line.url
    );
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o600);
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let store = rig.store();
    let current = async |key: &str| history(&store, key).await.into_iter().next().flatten();

    let daemon = Running::start(&file, &keys).await;
    until("the first file is stored", async || {
        current("stays.txt").await.is_some()
    })
    .await;
    rig.write("late.txt", "late");
    until("its PUT is on the line", async || line.held() > 0).await;
    daemon.kill();
    fs::remove_file(rig.path("late.txt")).unwrap();

    let daemon = Running::start(&file, &keys).await;
    let note = |daemon: &Running| {
        let status = daemon.status().unwrap();
        status["sources"][0]["board"]["notes"]["late"].clone()
    };
    let noted = note(&daemon);
    assert!(noted.to_string().contains("may still arrive"), "{noted}");
    assert_eq!(history(&store, "late.txt").await, []);
    line.deliver();
    assert_eq!(current("late.txt").await, Some(b"late".to_vec()));
    until("the deleted file is marked as deleted", async || {
        history(&store, "late.txt").await.first() == Some(&None)
    })
    .await;
    until("nothing is owed any more", async || note(&daemon).is_null()).await;
    assert_eq!(current("stays.txt").await, Some(b"stays".to_vec()));
    assert_eq!(daemon.stop(), Some(0));
    drop(served);
}
