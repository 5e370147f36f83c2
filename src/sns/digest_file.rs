//! The digest as a file, for those who have no SNS topic.
//!
//! Blocking: call it off the async threads. It writes only into the folder
//! that it is given and removes only its own old digests there.

use crate::os::{create_private_dir_all, create_private_file};
use crate::types::{Class, Fault};
use jiff::civil::Date;
use parking_lot::Mutex;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Digests kept: two months, as long as anybody asks "since when?".
pub const DIGEST_FILES_MAX: usize = 60;

/// One day's messages together: four of the longest that SNS takes.
pub const DAY_BYTES_MAX: usize = 1024 * 1024;

/// What stands between two messages of one day.
const BETWEEN: &str = "\n\n----------------------------------------\n\n";

/// Held while a day's file is read and written anew: of two alerts of one moment
/// neither may take the other's place.
static WRITING: Mutex<()> = Mutex::new(());

const PREFIX: &str = "digest-";
const SUFFIX: &str = ".txt";

/// Write a message into `digest-YYYY-MM-DD.txt`, newest first, and remove the
/// oldest files beyond [`DIGEST_FILES_MAX`]. Earlier messages of that day (an
/// alert, a one-off run) stay below it, up to [`DAY_BYTES_MAX`]. The file
/// appears whole or not at all.
///
/// # Errors
/// [`Class::Local`] when the folder cannot be written to.
pub fn write_digest(folder: &Path, date: Date, text: &str) -> Result<PathBuf, Fault> {
    let path = folder.join(file_name(date));
    let _one = WRITING.lock();
    let text = above_earlier(text, &fs::read_to_string(&path).unwrap_or_default());
    write_whole(folder, &path, &text).map_err(|error| {
        Fault::new(
            Class::Local,
            "write the digest",
            path.display().to_string(),
            error.to_string(),
        )
        .hint(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space on the disk that this folder is on"
            }
            _ => "let the account that runs Keepwatch write to this folder",
        })
    })?;
    // The digest is written; an old one too many is no reason to say it is not.
    if let Err(error) = remove_old(folder, &path) {
        tracing::warn!(folder = %folder.display(), %error, "cannot remove old digests");
    }
    Ok(path)
}

fn above_earlier(text: &str, earlier: &str) -> String {
    if earlier.is_empty() || text.len() + BETWEEN.len() + earlier.len() > DAY_BYTES_MAX {
        return text.to_owned();
    }
    format!("{text}{BETWEEN}{earlier}")
}

fn file_name(date: Date) -> String {
    format!("{PREFIX}{date}{SUFFIX}")
}

/// The date in a digest's file name; `None` for any other file.
fn date_of(name: &str) -> Option<Date> {
    let date = name
        .strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()?;
    // Only exactly what we write ourselves: dates can be spelled in other ways.
    (file_name(date) == name).then_some(date)
}

fn write_whole(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    create_private_dir_all(folder)?;
    let unfinished = path.with_extension("txt.part");
    let written = create_private_file(&unfinished).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    });
    if written.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn remove_old(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut dates = Vec::new();
    for entry in fs::read_dir(folder)? {
        dates.extend(entry?.file_name().to_str().and_then(date_of));
    }
    dates.sort_unstable();
    let surplus = dates.len().saturating_sub(DIGEST_FILES_MAX);
    for date in &dates[..surplus] {
        let path = folder.join(file_name(*date));
        // Never the one just written, even when the clock went far back.
        if path != newest {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use jiff::civil::date;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_digest_a_day_is_kept_for_two_months() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/digests");
        let first = date(2026, 11, 23);
        let bystanders = [
            "digest-2026-1-1.txt",
            "digest-2026-11-23.txt.bak",
            "notes.txt",
        ];
        for days in 0..70 {
            let day = first.checked_add(days.days()).unwrap();
            let path = write_digest(&folder, day, &format!("{days}")).unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), format!("{days}"));
            if days == 0 {
                for name in bystanders {
                    fs::write(folder.join(name), "").unwrap();
                }
            }
        }
        let names = names(&folder);
        assert_eq!(names.len(), DIGEST_FILES_MAX + bystanders.len());
        assert!(names.contains(&"digest-2027-01-31.txt".to_owned()));
        assert!(!names.contains(&"digest-2026-12-02.txt".to_owned()));
        assert!(names.contains(&"digest-2026-12-03.txt".to_owned()));
        for name in bystanders {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
    }

    #[test]
    fn the_digest_just_written_stays_when_the_clock_went_back() {
        let temp = tempfile::tempdir().unwrap();
        for days in 0..DIGEST_FILES_MAX as i64 {
            let day = date(2026, 11, 23).checked_add(days.days()).unwrap();
            write_digest(temp.path(), day, "").unwrap();
        }
        let path = write_digest(temp.path(), date(2000, 1, 1), "x").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "x");
    }

    #[test]
    fn a_second_message_of_a_day_stands_above_the_first_up_to_a_bound() {
        let temp = tempfile::tempdir().unwrap();
        let day = date(2026, 11, 23);
        for text in ["the first", "second"] {
            write_digest(temp.path(), day, text).unwrap();
        }
        let read = || fs::read_to_string(temp.path().join("digest-2026-11-23.txt")).unwrap();
        assert_eq!(read(), format!("second{BETWEEN}the first"));
        assert_eq!(names(temp.path()), ["digest-2026-11-23.txt"]);
        let long = "x".repeat(DAY_BYTES_MAX - 10);
        write_digest(temp.path(), day, &long).unwrap();
        assert_eq!(read(), long, "the newest alone, when both are too long");
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let blocked = temp.path().join("file");
        fs::write(&blocked, "").unwrap();
        let fault = write_digest(&blocked, date(2026, 11, 23), "x").unwrap_err();
        assert_eq!(fault.class, Class::Local);
        assert!(fault.subject.contains("digest-2026-11-23.txt"), "{fault}");
        assert!(!fault.hint.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("digests");
        let path = write_digest(&folder, date(2026, 11, 23), "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
    }

    /// Named after the bug: each read what was there, and the last to write won.
    #[test]
    fn messages_of_one_moment_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let date = jiff::civil::date(2026, 11, 20);
        let texts: Vec<String> = (0..16).map(|number| format!("message {number};")).collect();
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| write_digest(folder.path(), date, text).unwrap());
            }
        });
        let file = folder.path().join(file_name(date));
        let all = fs::read_to_string(file).unwrap();
        for text in texts {
            assert!(all.contains(&text), "{text} is lost: {all}");
        }
    }
}
