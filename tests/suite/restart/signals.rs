//! Commands that are told to stop, and one that goes on.

use super::stop::{Program, Scene, config, large};
use crate::harness::{Rig, finish, on_disk, program, until};
use keepwatch_vault::Vault;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Small files of the office, beside the large one.
const SMALL: usize = 60;

/// Files that workers have in hand at once.
const IN_HAND_MAX: usize = 16;

/// What a person still takes for an answer, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What was printed so far.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl Said {
    fn by(mut from: impl Read + Send + 'static) -> Self {
        let said = Self::default();
        let all = said.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                all.0
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        said
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    async fn says(&self, words: &str) {
        until(words, async || self.text().contains(words)).await;
    }
}

fn with_keys(config: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["--config", config.to_str().unwrap()])
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testtest");
    command
}

fn small_files_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("small") && name.ends_with(".txt"))
        .count()
}

/// The files and bytes that it told of when it was interrupted.
fn in_order(said: &str) -> (usize, usize) {
    let told = said
        .split_once("interrupted; ")
        .and_then(|(_, rest)| rest.split_once(" bytes) are in order by now"))
        .and_then(|(told, _)| told.split_once(" files ("))
        .unwrap_or_else(|| panic!("no count: {said}"));
    (told.0.parse().unwrap(), told.1.parse().unwrap())
}

/// Named after the bug: it was silent for 19 s, and told of 0 files where 26 were.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_a_slow_restore_is_answered_at_once_with_what_is_there_and_how_to_go_on() {
    for twice in [false, true] {
        let scene = Scene::new().await;
        for number in 0..SMALL {
            scene.rig.write(&format!("small{number}.txt"), "small");
        }
        scene.rig.write("z-large.bin", large());
        let file = config(&scene.rig, &scene.line.address, "");
        let stored = finish(&mut with_keys(&file, &["--reconcile"]));
        assert_eq!(stored.status.code(), Some(0), "{stored:?}");

        // The small ones come through, the large one takes minutes.
        scene.line.lets_through(100_000);
        let to = scene.rig.dir.path().join("back");
        let restore = ["restore", "--to", to.to_str().unwrap()];
        let mut command = with_keys(&file, &restore);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut restoring = Program(command.spawn().unwrap());
        let said = Said::by(restoring.0.stderr.take().unwrap());
        until("the small files are there", async || {
            small_files_in(&to) == SMALL
        })
        .await;
        // From now on the server says nothing at all.
        scene.line.lets_through(0);
        let began = Instant::now();
        restoring.signal(Signal::INT);
        said.says("stopping: ").await;
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        if twice {
            restoring.signal(Signal::INT);
        }
        let (code, _) = restoring.end();
        assert!(began.elapsed() < AT_ONCE + AT_ONCE, "{:?}", began.elapsed());
        assert_eq!(code, Some(130), "{}", said.text());
        said.says("nothing is lost; run it again to go on").await;
        let (files, bytes) = in_order(&said.text());
        // One that has its name is counted when its worker comes back with it.
        assert!(
            files <= SMALL && files + IN_HAND_MAX >= SMALL,
            "{}",
            said.text()
        );
        assert_eq!(bytes, files * "small".len());
        assert!(!to.join("z-large.bin").exists());

        scene.line.lets_through(u64::MAX);
        let again = finish(&mut with_keys(&file, &restore));
        let text = String::from_utf8_lossy(&[again.stdout, again.stderr].concat()).into_owned();
        assert_eq!(again.status.code(), Some(0), "{text}");
        assert_eq!(on_disk(&to), on_disk(&scene.rig.root()), "{text}");
    }
}

/// A terminal that is closed, or a reload, ends it no more than it ends the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_served_goes_on_at_a_hang_up() {
    let rig = Rig::new();
    drop::<Vault>(rig.vault());
    let vault = rig.vault_dir();
    let mut command = program();
    command
        .args(["vault", "serve", "--vault", vault.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut serving = Program(command.spawn().unwrap());
    let said = Said::by(serving.0.stderr.take().unwrap());
    let mut lines = BufReader::new(serving.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.rsplit("//").next().unwrap().to_owned();
    serving.signal(Signal::HUP);
    said.says("hang-up (SIGHUP): the vault is served on").await;
    let mut client = TcpStream::connect(&address).unwrap();
    write!(
        client,
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.end().0, Some(0), "{}", said.text());
}
