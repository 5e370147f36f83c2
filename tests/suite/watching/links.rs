//! Files that change where no event tells of it: through another name, and through
//! memory that they are mapped to.

use crate::harness::{BUCKET, Rig, Running, history, until, write_config};
use keepwatch::s3::Store;
use std::fs;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// As often as the configuration allows, where a test waits for a scan.
const OFTEN: &str = "rescan_ms = 1000\n";

/// The real program on these files, all stored.
async fn running(rig: &Rig, more: &str, names: &[&str]) -> (Running, Store) {
    let config = write_config(rig, more);
    let running = Running::start(&config, &[]).await;
    let store = rig.store();
    for name in names {
        until_newest(&store, name, &fs::read(rig.path(name)).unwrap()).await;
    }
    (running, store)
}

async fn until_newest(store: &Store, name: &str, content: &[u8]) {
    until(&format!("{name} is stored"), async || {
        let newest = store.list_versions(BUCKET, name, None).await.unwrap();
        let is_there = newest.items.iter().any(|version| version.key == name);
        is_there && history(store, name).await.first() == Some(&Some(content.to_vec()))
    })
    .await;
}

/// Write into the file that is there, whatever it is called.
fn write_into(path: &Path, content: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.rewind().unwrap();
    file.write_all(content).unwrap();
}

/// Before: the other name stayed old until a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_changed_through_one_name_is_stored_under_all() {
    let rig = Rig::new();
    rig.write("a.txt", "as it was");
    fs::create_dir(rig.path("deep")).unwrap();
    for name in ["b.txt", "deep/c.txt"] {
        fs::hard_link(rig.path("a.txt"), rig.path(name)).unwrap();
    }
    let names = ["a.txt", "b.txt", "deep/c.txt"];
    // Scans are a quarter of an hour apart.
    let (running, store) = running(&rig, "", &names).await;
    write_into(&rig.path("deep/c.txt"), b"was wie!!");
    for name in names {
        until_newest(&store, name, b"was wie!!").await;
        assert_eq!(history(&store, name).await.len(), 2, "{name}");
    }
    assert_eq!(running.stop(), Some(0));
}

/// Before: no event, and nobody looked until the next day.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_changed_through_a_name_elsewhere_is_found_by_the_scan() {
    let rig = Rig::new();
    rig.write("a.txt", "as it was");
    let elsewhere = rig.dir.path().join("elsewhere.txt");
    fs::hard_link(rig.path("a.txt"), &elsewhere).unwrap();
    let (running, store) = running(&rig, OFTEN, &["a.txt"]).await;
    write_into(&elsewhere, b"was wie!!");
    until_newest(&store, "a.txt", b"was wie!!").await;
    assert_eq!(running.stop(), Some(0));
}

/// A program that has a file mapped to its memory, and goes on having it.
struct Mapper {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Mapper {
    fn of(path: PathBuf) -> Self {
        const PROGRAM: &str = "import mmap, sys\nf = open(sys.argv[1], 'r+b')\nm = mmap.mmap(f.fileno(), 0)\nprint('mapped', flush=True)\nfor line in sys.stdin:\n    text = line.strip().encode()\n    m[:len(text)] = text\n    m.flush()\n    print('written', flush=True)\n";
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM, path.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut mapper = Self { child, to, from };
        mapper.answers("mapped");
        mapper
    }

    fn answers(&mut self, want: &str) {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), want);
    }

    fn write(&mut self, text: &str) {
        writeln!(self.to, "{text}").unwrap();
        self.answers("written");
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Before: not until the file was closed and written to again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_to_in_memory_alone_is_found_by_the_scan() {
    let rig = Rig::new();
    rig.write("mapped.db", "0: as it was before anybody came");
    // Long ago: nothing but the writing makes it look changed.
    let long_ago = filetime::FileTime::from_unix_time(1_500_000_000, 0);
    filetime::set_file_mtime(rig.path("mapped.db"), long_ago).unwrap();
    let (running, store) = running(&rig, OFTEN, &["mapped.db"]).await;
    let mut mapper = Mapper::of(rig.path("mapped.db"));
    mapper.write("1: new");
    until_newest(&store, "mapped.db", b"1: newit was before anybody came").await;
    let then = fs::metadata(rig.path("mapped.db"))
        .unwrap()
        .modified()
        .unwrap();
    // The page has not been written to the disk yet: its time stays as it is.
    mapper.write("2: new");
    let now = fs::metadata(rig.path("mapped.db"))
        .unwrap()
        .modified()
        .unwrap();
    println!("the time has moved on: {}", now != then);
    until_newest(&store, "mapped.db", b"2: newit was before anybody came").await;
    assert_eq!(running.stop(), Some(0));
}
