//! A pseudo-terminal with a program in it, and what a person sees on it.

use crate::harness::{PATIENCE, until};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ROWS: u16 = 40;

/// Lines that have left the screen and can still be looked at.
const HISTORY: usize = 200;

/// A program in a terminal of its own; killed when the test fails.
pub struct Screen {
    child: Child,
    keys: File,
    seen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

fn size(columns: u16) -> Winsize {
    Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Screen {
    /// Start it. `setsid` makes the terminal the program's own, so that Ctrl-C is its signal.
    pub fn start(columns: u16, command: &Command) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        tcsetwinsize(&near, size(columns)).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap();
        let far = rustix::fs::open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        let far = || File::from(far.try_clone().unwrap());
        let mut inside = Command::new("setsid");
        inside
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        inside.env("TERM", "xterm-256color");
        for variable in [
            "NO_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "COLUMNS",
            "LINES",
            "CI",
        ] {
            inside.env_remove(variable);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(far()).stdout(far()).stderr(far());
        let child = inside.spawn().unwrap();
        let keys = File::from(near);
        let seen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, columns, HISTORY)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let (mut from, parser, all) = (keys.try_clone().unwrap(), seen.clone(), raw.clone());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the last program in it is an error here.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                all.lock().unwrap().extend_from_slice(&bytes[..count]);
                parser.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            child,
            keys,
            seen,
            raw,
            reader: Some(reader),
        }
    }

    /// What stands on the screen now, without the blanks at the ends of its lines.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().screen().contents()
    }

    /// All that was ever sent to it.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }

    pub async fn shows(&self, words: &str) {
        until(words, async || self.text().contains(words)).await;
    }

    /// The window gets another width.
    pub fn resize(&self, columns: u16) {
        self.seen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(ROWS, columns);
        tcsetwinsize(&self.keys, size(columns)).unwrap();
    }

    pub fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Its exit code, once it has ended and all that it wrote is on the screen.
    pub fn end(&mut self) -> Option<i32> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        self.reader.take().unwrap().join().unwrap();
        status.code()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Already ended: nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
