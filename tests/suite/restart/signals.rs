//! Commands that are told to stop, and one that goes on.

// A signal that Unix alone has.
#[cfg(unix)]
mod hang_up;

use super::stop::{Program, Scene, config, large, with_keys};
use crate::harness::os::{can_be_told, press_ctrl_c};
use crate::harness::{finish, on_disk, until};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
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
        can_be_told(&mut command);
        let mut restoring = Program(command.spawn().unwrap());
        let said = Said::by(restoring.0.stderr.take().unwrap());
        until("the small files are there", async || {
            small_files_in(&to) == SMALL
        })
        .await;
        // From now on the server says nothing at all.
        scene.line.lets_through(0);
        let began = Instant::now();
        press_ctrl_c(&restoring.0);
        said.says("stopping: ").await;
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        if twice {
            press_ctrl_c(&restoring.0);
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
