//! Bombs and streams without end against the real program: it ends, holds
//! little memory, names what it could not have, and restores the rest.

mod server;

use super::{Line, line, versions_page};
use crate::harness::program;
use crate::restore::bench::{BUCKET, Bench, Object, gzip, read_tree};
use server::{Server, say, say_without_end};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How the real program ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// The most memory it ever held, as the kernel counted (`VmHWM`).
    peak_bytes: u64,
    took: Duration,
}

/// The address space that a run may have: far more than it needs, far less
/// than what it is offered. Threads' stacks and malloc's arenas count too.
const ADDRESS_SPACE_KIB: u64 = 6 * 1024 * 1024;

/// How long a run may take; the machine may be busy.
const RUN_PATIENCE: Duration = Duration::from_secs(180);

/// Run the real program, with its memory watched and bounded.
fn watched(arguments: &[&str]) -> Ended {
    let real = program();
    let mut shell = Command::new("sh");
    for (name, value) in real.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .arg("-c")
        .arg(format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\""))
        .arg(real.get_program())
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = shell.spawn().unwrap();
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            from.read_to_string(&mut text).unwrap();
            text
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let status = Path::new("/proc")
        .join(child.id().to_string())
        .join("status");
    let mut peak_bytes = 0;
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let kib = text
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            peak_bytes = kib.map_or(peak_bytes, |kib| peak_bytes.max(kib * 1024));
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if began.elapsed() > RUN_PATIENCE {
            child.kill().unwrap();
            panic!("the program did not end: {}", stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended {
        code: ended.code(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        peak_bytes,
        took: began.elapsed(),
    }
}

/// What a run may hold. The program itself takes some 40 MB in a debug build,
/// an answer 16 MiB at most (twice while it grows), eight workers 4 MiB each.
const PEAK_BYTES_MAX: u64 = 160 * 1024 * 1024;

fn within_bounds(ended: &Ended) {
    let Ended {
        peak_bytes,
        stderr,
        took,
        ..
    } = ended;
    println!("peak {} MB, {took:?}", peak_bytes / 1_000_000);
    assert!(*peak_bytes > 0, "the kernel does not say");
    assert!(*peak_bytes < PEAK_BYTES_MAX, "{peak_bytes} bytes: {stderr}");
}

async fn run(arguments: Vec<String>) -> Ended {
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        watched(&arguments)
    })
    .await
    .unwrap()
}

/// 100 members of 100 MB of zeros each: 10 MB that unpack to 10 GB.
fn bomb() -> Vec<u8> {
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    member.write_all(&vec![0; 100_000_000]).unwrap();
    member.finish().unwrap().repeat(100)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_stops_at_the_size_it_says() {
    let bench = Bench::new();
    let bomb = bomb();
    assert!(
        (9_000_000..12_000_000).contains(&bomb.len()),
        "{}",
        bomb.len()
    );
    for (path, says) in [("small.csv", 1_000), ("large.csv", 300_000_000_u64)] {
        let mut object = Object::file(b"");
        object.meta.size_bytes = says;
        object.gzip = true;
        object.body.clone_from(&bomb);
        bench.put(path, &object).await;
    }
    bench.put("good.csv", &Object::file(b"good").gzip()).await;
    let (vault, out) = (bench.vault(), bench.folder("out"));
    let ended = run(["restore", "--vault", vault.to_str().unwrap(), "--to"]
        .map(str::to_owned)
        .into_iter()
        .chain([out.to_str().unwrap().to_owned()])
        .collect())
    .await;
    within_bounds(&ended);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    for (name, what) in [
        ("small.csv", "than it says"),
        ("large.csv", "than the 300000000 bytes"),
    ] {
        let told = format!("NOT RESTORED: {name}: cannot restore: it holds more {what}");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
    assert_eq!(read_tree(&out), ["good.csv"]);
}

/// A server with a list of what it is asked for, and `serve` for the rest.
fn server(
    keys: &'static [&'static str],
    serve: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> Server {
    Server::start(move |first, stream| {
        if first.contains("versions") {
            let lines: Vec<Line> = keys.iter().map(|key| line(key, "v")).collect();
            return say(stream, "", versions_page(&lines, None).as_bytes());
        }
        serve(first, stream)
    })
}

async fn command(server: &Server, command: &[&str]) -> Ended {
    let url = server.url();
    let place = [
        "--bucket",
        BUCKET,
        "--endpoint-url",
        &url,
        "--region",
        "us-east-1",
    ];
    run(command
        .iter()
        .chain(&place)
        .map(|text| (*text).to_owned())
        .collect())
    .await
}

/// Headers of an object of ours with this content.
fn headers(content: &[u8], more: &str) -> String {
    let fields = Object::file(content).meta.to_headers();
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("x-amz-meta-{name}: {value}\r\n"))
        .collect();
    format!("{fields}{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_are_cut_off() {
    let members = gzip(b"").repeat(5_000);
    let server = server(
        &["endless", "endless-members", "errors", "good"],
        move |first, stream| {
            let endless = |stream: &mut TcpStream, piece: &[u8]| -> std::io::Result<()> {
                loop {
                    stream.write_all(piece)?;
                }
            };
            if first.contains("endless-members") {
                let head = headers(b"content", "content-encoding: gzip\r\n");
                say_without_end(stream, "200 OK", &head)?;
                endless(stream, &members)
            } else if first.contains("endless") {
                say_without_end(stream, "200 OK", &headers(b"content", ""))?;
                endless(stream, &[0; 65_536])
            } else if first.contains("errors") {
                say_without_end(stream, "403 Forbidden", "")?;
                stream.write_all(b"<Error><Message>")?;
                endless(stream, &[b'x'; 65_536])
            } else {
                say(stream, &headers(b"good", ""), b"good")
            }
        },
    );
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("out");
    let ended = command(&server, &["restore", "--to", to.to_str().unwrap()]).await;
    within_bounds(&ended);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    for (name, cause) in [
        ("endless:", "more than the 7 bytes"),
        ("endless-members:", "on and on"),
        ("errors:", "no S3 answer is"),
    ] {
        let told = ended.stderr.lines().find(|line| line.contains(name));
        let told = told.unwrap_or("not named");
        assert!(told.contains(cause), "{name} {told}\n{}", ended.stderr);
    }
    assert_eq!(read_tree(&to), ["good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_end_fills_no_memory() {
    let server = Server::start(|_, stream| {
        say_without_end(stream, "200 OK", "")?;
        stream.write_all(b"<ListVersionsResult>")?;
        let piece = versions_page(&vec![line("k", "v"); 500], None);
        let piece = piece
            .replace("<?xml version=\"1.0\"?><ListVersionsResult>", "")
            .replace("</ListVersionsResult>", "");
        loop {
            stream.write_all(piece.as_bytes())?;
        }
    });
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("out");
    for what in [
        &["restore", "--to", to.to_str().unwrap()][..],
        &["versions", "k"],
    ] {
        let ended = command(&server, what).await;
        within_bounds(&ended);
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("no S3 answer is"), "{}", ended.stderr);
    }
}
