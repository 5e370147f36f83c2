//! The program's wall clock, set from outside: a shim compiled here and
//! preloaded into it. The test's own clock stays true.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// The wall clock of one program under test.
pub struct Clock {
    file: File,
    path: PathBuf,
    offset_ms: AtomicI64,
}

impl Clock {
    /// A true clock, told by a file in `folder`.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("clock-offset");
        let clock = Self {
            file: File::create(&path).unwrap(),
            path,
            offset_ms: AtomicI64::new(0),
        };
        clock.set(0);
        clock
    }

    /// So far ahead of the true time (behind, when negative), at once.
    pub fn set(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
        let offset_ns = offset_ms * 1_000_000;
        self.file.write_all_at(&offset_ns.to_ne_bytes(), 0).unwrap();
    }

    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Make a program live by this clock.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", shim())
            .env("MODEL_CLOCK_FILE", &self.path);
    }
}

/// The shim, compiled once per process.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = format!("clock_shim-{}", std::process::id());
        let (source, library) = (
            folder.join(format!("{name}.c")),
            folder.join(format!("{name}.so")),
        );
        std::fs::write(&source, include_str!("clock_shim.c")).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .args([&library, &source])
            .output()
            .expect("the model test needs a C compiler (cc) for its clock shim");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "cc failed: {said}");
        std::fs::remove_file(source).unwrap();
        library
    })
}

#[test]
fn a_program_under_the_shim_sees_the_time_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path());
    let seconds = || {
        let mut date = Command::new("date");
        date.arg("+%s");
        clock.apply(&mut date);
        let said = date.output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        text.trim().parse::<i64>().unwrap()
    };
    let ahead = |offset_ms| {
        clock.set(offset_ms);
        let now = jiff::Timestamp::now().as_second();
        seconds() - now
    };
    assert!((0..5).contains(&ahead(0)));
    assert!((7_200..7_205).contains(&ahead(7_200_000)));
    assert!((-86_400..-86_395).contains(&ahead(-86_400_000)));
}
