//! Large files: by ranges, broken and cut short, and begun again.

use super::bench::{BUCKET, Bench, Meddling, Object, gzip, read_tree};
use crate::harness::{finish, program, until};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use keepwatch::types::Class;
use keepwatch_vault::Vault;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;

/// What one range holds; see `restore::arrival`.
const RANGE: usize = 4 * MIB;

/// What a killed run may have to fetch again: what came after the last
/// checkpoint, and what is held in memory.
const LOST_MAX: u64 = (64 + 48 + 8) * MIB as u64;

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    fastrand::Rng::with_seed(seed).fill(&mut out);
    out
}

/// Stored as members of 1 MiB, as Keepwatch does.
fn packed(content: &[u8]) -> Object {
    let mut object = Object::file(content);
    object.body = content.chunks(MIB).flat_map(gzip).collect();
    object.gzip = true;
    object
}

/// Where the range that is asked for begins.
fn begins(request: &HttpRequest) -> Option<usize> {
    let range = request.headers().get("range")?;
    range
        .strip_prefix("bytes=")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_come_together_whatever_breaks_on_the_way() {
    let bench = Bench::new();
    let file = noise(1, 3 * RANGE + 12_345);
    bench.put("plain.bin", &Object::file(&file)).await;
    bench.put("packed.csv", &packed(&file)).await;
    bench
        .put("exact.bin", &Object::file(&file[..2 * RANGE]))
        .await;
    bench.put("one.bin", &Object::file(&file[..RANGE])).await;
    let cuts = AtomicU32::new(0);
    bench.meddle(move |request| {
        let is_early = begins(request).is_some() && cuts.fetch_add(1, Ordering::Relaxed) < 4;
        match is_early {
            true => Meddling::Cut,
            false => Meddling::Pass,
        }
    });
    let restored = bench.restore("out").await.unwrap();
    assert!(restored.is_complete(), "{:?}", restored.failed);
    let out = bench.folder("out");
    let names = ["exact.bin", "one.bin", "packed.csv", "plain.bin"];
    assert_eq!(read_tree(&out), names);
    for (name, bytes) in [
        ("plain.bin", file.len()),
        ("packed.csv", file.len()),
        ("exact.bin", 2 * RANGE),
        ("one.bin", RANGE),
    ] {
        assert!(
            std::fs::read(out.join(name)).unwrap() == file[..bytes],
            "{name}"
        );
    }
    let gets = bench.gets();
    let again = bench.restore("out").await.unwrap();
    assert_eq!((again.identical, bench.gets()), (4, gets));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_range_fails_its_file_alone_and_the_next_run_fetches_only_the_rest() {
    const BYTES: usize = 24 * RANGE;
    for (name, gzipped) in [("large.bin", false), ("large.csv", true)] {
        let bench = Bench::new();
        let file = noise(2, BYTES);
        let object = match gzipped {
            true => packed(&file),
            false => Object::file(&file),
        };
        bench.put(name, &object).await;
        bench.put("small", &Object::file(b"small")).await;
        bench.meddle(move |request| match begins(request) {
            Some(at) if at >= 20 * RANGE => Meddling::Answer(400, "InvalidRequest"),
            _ => Meddling::Pass,
        });
        let restored = bench.restore("out").await.unwrap();
        assert_eq!((restored.files, restored.failed.total), (1, 1), "{name}");
        assert_eq!(restored.failed.items[0].subject, name);
        let out = bench.folder("out");
        assert!(!out.join(name).exists());
        assert_eq!(read_tree(&out).len(), 3, "{:?}", read_tree(&out));

        bench.meddle(|_| Meddling::Pass);
        let before = bench.gets();
        let restored = bench.restore("out").await.unwrap();
        assert!(restored.is_complete(), "{name}: {:?}", restored.failed);
        assert!(std::fs::read(out.join(name)).unwrap() == file, "{name}");
        let ranges = bench.gets() - before;
        // Of 24, sixteen were safe; a compressed checkpoint lies within a range.
        assert!((8..=9).contains(&ranges), "{name}: {ranges} ranges");
        assert_eq!(read_tree(&out), [name, "small"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_is_not_what_was_stored_leaves_nothing() {
    let bench = Bench::new();
    let file = noise(3, 18 * RANGE);
    let mut wrong = Object::file(&file);
    wrong.meta.content = Object::file(b"another").meta.content;
    bench.put("wrong.bin", &wrong).await;
    let mut shorter = Object::file(&file[..2 * RANGE]);
    shorter.meta.size_bytes += 1;
    bench.put("shorter.bin", &shorter).await;
    let mut longer = Object::file(&file[..2 * RANGE]);
    longer.meta.size_bytes -= 1;
    bench.put("longer.bin", &longer).await;
    let mut trailing = packed(&file[..2 * RANGE]);
    trailing.body.extend_from_slice(b"rubbish");
    bench.put("trailing.csv", &trailing).await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (0, 4));
    for fault in &restored.failed.items {
        assert_eq!(fault.class, Class::Damaged, "{fault}");
    }
    assert!(read_tree(&bench.folder("out")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_wanted_after_a_run_that_was_cut_short() {
    let bench = Bench::new();
    let (first, second) = (noise(4, 20 * RANGE), noise(5, 20 * RANGE));
    bench.put("f", &Object::file(&first)).await;
    bench.meddle(|request| match begins(request) {
        Some(at) if at >= 18 * RANGE => Meddling::Answer(400, "InvalidRequest"),
        _ => Meddling::Pass,
    });
    assert!(!bench.restore("out").await.unwrap().is_complete());
    assert_eq!(read_tree(&bench.folder("out")).len(), 2);
    bench.meddle(|_| Meddling::Pass);
    bench.put("f", &Object::file(&second)).await;
    assert!(bench.restore("out").await.unwrap().is_complete());
    assert_eq!(read_tree(&bench.folder("out")), ["f"]);
    assert!(std::fs::read(bench.folder("out").join("f")).unwrap() == second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_ranges_is_told_from_damage() {
    let bench = Bench::new();
    bench.put("f", &Object::file(&noise(6, 2 * RANGE))).await;
    bench.put("g", &Object::file(b"g")).await;
    // As a server would that does not look at the header.
    bench.wire.forget_ranges.store(true, Ordering::Relaxed);
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (1, 1));
    let fault = &restored.failed.items[0];
    assert!(fault.hint.contains("parts of objects"), "{fault}");
    assert_eq!(read_tree(&bench.folder("out")), ["g"]);
}

/// A line that carries so many bytes from the server and then stands still.
struct Line {
    url: String,
    carried: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Line {
    fn start(to: std::net::SocketAddr, bytes_max: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (carried, ended) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, end) = (carried.clone(), ended.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let server = TcpStream::connect(to).unwrap();
                for (from, to, counts) in [(&client, &server, false), (&server, &client, true)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (count, end) = (count.clone(), end.clone());
                    std::thread::spawn(move || {
                        carry(from, to, counts.then_some(count), &end, bytes_max)
                    });
                }
            }
        });
        Self {
            url,
            carried,
            ended,
        }
    }

    fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Its listener wakes up for this one. It may be gone already.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    count: Option<Arc<AtomicU64>>,
    ended: &AtomicBool,
    bytes_max: u64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        while count
            .as_ref()
            .is_some_and(|c| c.load(Ordering::Relaxed) >= bytes_max)
        {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(count) = &count {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // The other side may be closed already.
    let _ = to.shutdown(Shutdown::Write);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_large_file_it_goes_on_from_there() {
    let file = noise(7, 256 * MIB);
    goes_on_after_a_kill("archive.pst", Object::file(&file), &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_large_compressed_file_it_goes_on_from_there() {
    // What does not get smaller, so that so many bytes really come.
    let file = noise(8, 256 * MIB);
    goes_on_after_a_kill("archive.csv", packed(&file), &file).await;
}

/// Kill the program when so much of the file has come that checkpoints are
/// behind it, and let another one end it: together they fetch little twice.
async fn goes_on_after_a_kill(name: &str, object: Object, file: &[u8]) {
    let bench = Bench::new();
    let path = format!("mail/{name}");
    bench.put(&path, &object).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let vault = Vault::open(&bench.vault()).unwrap();
    let keys = ("office".to_owned(), "a secret".to_owned());
    tokio::spawn(async move { vault.serve(listener, keys, std::future::pending()).await });
    let out = bench.folder("out");
    let command = |url: &str| {
        let mut command = program();
        command
            .args([
                "restore",
                "--quiet",
                "--bucket",
                BUCKET,
                "--region",
                "us-east-1",
            ])
            .args(["--endpoint-url", url, "--to", out.to_str().unwrap()])
            .env("AWS_ACCESS_KEY_ID", "office")
            .env("AWS_SECRET_ACCESS_KEY", "a secret");
        command
    };

    let first = Line::start(address, 200 * MIB as u64);
    let mut child = command(&first.url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the line stands still", async || {
        first.carried() >= 200 * MIB as u64
    })
    .await;
    // Until the last checkpoint that the bytes allow is written.
    until("something is safe", async || {
        read_tree(&out).iter().any(|name| name.ends_with(".state"))
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let left = read_tree(&out);
    assert!(
        left.iter()
            .all(|name| name.starts_with("mail/.keepwatch-partial-")),
        "{left:?}"
    );

    let second = Line::start(address, u64::MAX);
    let ended = tokio::task::block_in_place(|| finish(&mut command(&second.url)));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(read_tree(&out), [&*path]);
    assert!(std::fs::read(out.join(&path)).unwrap() == file);
    let all = first.carried() + second.carried();
    println!(
        "{} MiB, then {} MiB",
        first.carried() >> 20,
        second.carried() >> 20
    );
    assert!(all < object.body.len() as u64 + LOST_MAX, "{all} bytes");
}
