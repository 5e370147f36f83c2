//! One log file a day, in the computer's own days, owner-only and bounded.
//!
//! tracing-appender's own rolling file turns at midnight UTC and cannot set
//! modes, hence this one. A write that fails is never passed on: it is said
//! once on standard error, tried again with the next line, and the program
//! goes on.

use crate::os;
use crate::types::{Fatal, chain};
use jiff::civil::Date;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the files' names begin with; the day follows.
const FILE_NAME: &str = "keepwatch.log";

/// Files that are kept: a month and a day, so that "a month ago" is there.
const FILES_MAX: usize = 32;

/// What one day may take. A fault that logs without end must not fill the
/// disk that the office works on.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The last line of a day that reached [`FILE_BYTES_MAX`].
const FULL: &str = "this file has reached 256 MiB; nothing more is logged until tomorrow\n";

/// The file of today, opened anew when the day changes.
#[derive(Debug)]
pub(super) struct DailyFile {
    dir: PathBuf,
    today: fn() -> Date,
    open: Option<OpenDay>,
    bytes_max: u64,
    failing: bool,
}

#[derive(Debug)]
struct OpenDay {
    day: Date,
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl OpenDay {
    /// False when somebody has removed or moved the file, or the folder that it is
    /// in: nobody would read what is written now. It costs two `stat` a line.
    fn is_still_there(&self) -> bool {
        let ours = os::id_of(&self.file).ok();
        ours.is_some() && ours == os::link_id_at(&self.path).ok()
    }
}

/// Root writes no log where another account can change the folder: a link there
/// would lead anywhere.
fn refuse_strange(dir: &Path) -> io::Result<()> {
    let strange = os::strange(dir).filter(|strange| strange.is_itself);
    match strange.filter(|_| os::is_privileged()) {
        Some(strange) => Err(io::Error::other(format!(
            "{} {}, and root follows nobody there",
            strange.at.display(),
            strange.who.text()
        ))),
        None => Ok(()),
    }
}

impl DailyFile {
    /// Make the folder if needed, and open the file of today. Where that fails, it
    /// is tried again with every line.
    ///
    /// # Errors
    /// Beside it: when the folder cannot be made or written.
    pub(super) fn open(dir: &Path) -> (Self, Option<Fatal>) {
        let today = || jiff::ZonedDateTime::now().date();
        let (daily, trouble) = Self::with(dir, today, FILE_BYTES_MAX);
        let fatal = |error| {
            Fatal::new(
                format!("write a log file in {}", dir.display()),
                chain(&error),
                "let the account that runs Keepwatch write there, or set log.dir to another folder",
            )
        };
        (daily, trouble.map(fatal))
    }

    fn with(dir: &Path, today: fn() -> Date, bytes_max: u64) -> (Self, Option<io::Error>) {
        let mut daily = Self {
            dir: dir.to_owned(),
            today,
            open: None,
            bytes_max,
            failing: false,
        };
        let trouble = daily.of_today().err();
        daily.failing = trouble.is_some();
        (daily, trouble)
    }

    fn of_today(&mut self) -> io::Result<&mut OpenDay> {
        let day = (self.today)();
        let open = match self.open.take() {
            Some(open) if open.day == day && open.is_still_there() => open,
            _ => {
                refuse_strange(&self.dir)?;
                os::create_private_dir_all(&self.dir)?;
                let path = self.dir.join(format!("{FILE_NAME}.{day}"));
                let file = os::private_options()
                    .append(true)
                    .create(true)
                    .open(&path)?;
                let bytes = file.metadata()?.len();
                remove_oldest(&self.dir);
                OpenDay {
                    day,
                    path,
                    file,
                    bytes,
                }
            }
        };
        Ok(self.open.insert(open))
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes_max = self.bytes_max;
        let today = self.of_today()?;
        if today.bytes >= bytes_max {
            return Ok(());
        }
        let last = today.bytes + line.len() as u64 >= bytes_max;
        today.file.write_all(line)?;
        today.bytes += line.len() as u64;
        if last {
            today.file.write_all(FULL.as_bytes())?;
            today.bytes += FULL.len() as u64;
        }
        Ok(())
    }
}

impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.append(line) {
            Ok(()) => self.failing = false,
            Err(error) => {
                // Opened anew with the next line: the disk may be another one then.
                self.open = None;
                if !self.failing {
                    self.failing = true;
                    let dir = self.dir.display().to_string();
                    let words = format!("cannot write the log in {dir}: {}", chain(&error));
                    eprintln!("WARN {}", crate::cli::logging::plain::one_line(&words));
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.open {
            Some(open) => open.file.flush(),
            None => Ok(()),
        }
    }
}

/// Remove the oldest of our files beyond [`FILES_MAX`]; other files are none of
/// our business. Failing here costs disk space only, and the next day tries again.
fn remove_oldest(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    let mut days: Vec<(Date, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some((day_of(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    days.sort();
    let surplus = days.len().saturating_sub(FILES_MAX);
    for (_, file) in &days[..surplus] {
        let _ = std::fs::remove_file(file);
    }
}

/// The day in a log file's name, if it is one that we write.
fn day_of(name: &str) -> Option<Date> {
    let day = name.strip_prefix(FILE_NAME)?.strip_prefix('.')?;
    let date: Date = day.parse().ok()?;
    (date.to_string() == day).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing::make_link;
    use jiff::civil::date;
    use std::cell::Cell;

    thread_local! {
        static TODAY: Cell<Date> = const { Cell::new(date(2026, 11, 23)) };
    }

    fn daily(dir: &Path, bytes_max: u64) -> DailyFile {
        TODAY.set(date(2026, 11, 23));
        let (daily, trouble) = DailyFile::with(dir, || TODAY.get(), bytes_max);
        assert!(trouble.is_none(), "{trouble:?}");
        daily
    }

    fn read(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn every_day_has_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut daily = daily(dir.path(), 1_000);
        daily.write_all(b"monday\n").unwrap();
        TODAY.set(date(2026, 11, 24));
        daily.write_all(b"tuesday\n").unwrap();
        assert_eq!(read(dir.path(), "keepwatch.log.2026-11-23"), "monday\n");
        assert_eq!(read(dir.path(), "keepwatch.log.2026-11-24"), "tuesday\n");
    }

    #[test]
    fn a_start_on_the_same_day_goes_on_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        daily(dir.path(), 1_000).write_all(b"first\n").unwrap();
        daily(dir.path(), 1_000).write_all(b"second\n").unwrap();
        assert_eq!(
            read(dir.path(), "keepwatch.log.2026-11-23"),
            "first\nsecond\n"
        );
    }

    #[test]
    fn old_files_go_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let first = date(2026, 1, 1);
        for day in first.series(jiff::ToSpan::days(1)).take(FILES_MAX + 5) {
            std::fs::write(dir.path().join(format!("keepwatch.log.{day}")), "").unwrap();
        }
        for other in ["keepwatch.log.old", "notes.txt", "keepwatch.log.2020-1-1"] {
            std::fs::write(dir.path().join(other), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("keepwatch.log.2020-01-01")).unwrap();
        daily(dir.path(), 1_000);
        let names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let has = |name: &str| names.iter().any(|found| found == name);
        assert_eq!(names.len(), FILES_MAX + 4);
        assert!(has("keepwatch.log.2026-11-23") && !has("keepwatch.log.2026-01-06"));
        assert!(has("keepwatch.log.2026-01-07") && has("keepwatch.log.2020-01-01"));
        assert!(has("notes.txt") && has("keepwatch.log.old") && has("keepwatch.log.2020-1-1"));
    }

    #[test]
    fn a_day_has_an_end_to_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = daily(dir.path(), 20);
        for _ in 0..5 {
            log.write_all(b"0123456789\n").unwrap();
        }
        let full = format!("0123456789\n0123456789\n{FULL}");
        assert_eq!(read(dir.path(), "keepwatch.log.2026-11-23"), full);
        daily(dir.path(), 20)
            .write_all(b"after a restart\n")
            .unwrap();
        assert_eq!(read(dir.path(), "keepwatch.log.2026-11-23"), full);
        TODAY.set(date(2026, 11, 24));
        log.write_all(b"tomorrow\n").unwrap();
        assert_eq!(read(dir.path(), "keepwatch.log.2026-11-24"), "tomorrow\n");
    }

    #[test]
    fn a_folder_that_goes_away_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("log");
        let mut log = daily(&folder, 1_000);
        std::fs::remove_dir_all(&folder).unwrap();
        // It cannot be made again.
        std::fs::write(&folder, "").unwrap();
        assert_eq!(log.write(b"lost\n").unwrap(), 5);
        assert!(log.failing);
        std::fs::remove_file(&folder).unwrap();
        log.write_all(b"back\n").unwrap();
        assert!(!log.failing);
        assert_eq!(read(&folder, "keepwatch.log.2026-11-23"), "back\n");
    }

    /// Named after the bug: the log went on into files that nobody could see until
    /// the day was over.
    #[test]
    fn a_folder_or_file_that_was_removed_or_moved_is_made_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, moved) = (dir.path().join("log"), dir.path().join("moved"));
        let name = "keepwatch.log.2026-11-23";
        let mut log = daily(&folder, 1_000);
        log.write_all(b"one\n").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(read(&folder, name), "two\n");
        std::fs::rename(&folder, &moved).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(read(&folder, name), "three\n");
        std::fs::remove_file(folder.join(name)).unwrap();
        log.write_all(b"four\n").unwrap();
        log.write_all(b"five\n").unwrap();
        assert_eq!(read(&folder, name), "four\nfive\n");
        assert_eq!(read(&moved, name), "two\n");
    }

    #[test]
    fn a_folder_that_cannot_be_at_the_start_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("log");
        std::fs::write(&folder, "").unwrap();
        let (mut log, trouble) = DailyFile::open(&folder);
        assert!(trouble.is_some());
        log.write_all(b"lost\n").unwrap();
        std::fs::remove_file(&folder).unwrap();
        log.write_all(b"kept\n").unwrap();
        let name = format!("{FILE_NAME}.{}", jiff::ZonedDateTime::now().date());
        assert_eq!(read(&folder, &name), "kept\n");
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "not ours").unwrap();
        let folder = dir.path().join("log");
        std::fs::create_dir(&folder).unwrap();
        let name = folder.join("keepwatch.log.2026-11-23");
        if !make_link(&victim, &name) {
            return;
        }
        let (mut log, trouble) = DailyFile::with(&folder, || date(2026, 11, 23), 1_000);
        assert!(trouble.is_some());
        log.write_all(b"a line\n").unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "not ours");
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let folder = file.join("log");
        let fatal = DailyFile::open(&folder).1.unwrap();
        assert!(
            fatal.to_string().contains(folder.to_str().unwrap()),
            "{fatal}"
        );
        assert!(fatal.hint.contains("log.dir"), "{fatal}");
    }
}
