//! What a program of the system's own says, which answers soon or not at all.
#![cfg_attr(not(any(windows, target_os = "macos", test)), allow(dead_code))]

use std::io;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is read of its output: an answer of a few lines. It fits what a pipe holds, so that
/// no program waits for its reader.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024;

/// Between two looks at whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// Run a command without input and give what it prints. Blocks, for no longer than `within`:
/// then it is ended.
///
/// # Errors
/// It cannot be started, takes longer, or says itself that it failed.
pub(super) fn output_of(command: &mut Command, within: Duration) -> io::Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = wait(&mut child, within);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let is_success = ended?;
    let mut text = String::new();
    let mut read = |from: Option<&mut dyn io::Read>| match from {
        Some(from) => from.take(OUTPUT_BYTES_MAX).read_to_string(&mut text),
        None => Ok(0),
    };
    read(child.stdout.as_mut().map(|out| out as &mut dyn io::Read))?;
    if is_success {
        return Ok(text);
    }
    read(child.stderr.as_mut().map(|err| err as &mut dyn io::Read))?;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let why = first.unwrap_or("it gave no reason").to_owned();
    Err(io::Error::other(why))
}

/// Whether it succeeded.
fn wait(child: &mut Child, within: Duration) -> io::Result<bool> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if began.elapsed() >= within {
            let why = format!("it took longer than {} s", within.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(line: &str, within: Duration) -> io::Result<String> {
        output_of(Command::new("sh").args(["-c", line]), within)
    }

    #[test]
    fn what_it_prints_why_it_failed_and_that_it_takes_too_long() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo one; echo two", long).unwrap(), "one\ntwo\n");
        let error = sh("echo 'access denied' >&2; exit 1", long).unwrap_err();
        assert_eq!(error.to_string(), "access denied");
        assert!(sh("exit 1", long).is_err());
        let error = sh("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = output_of(&mut Command::new("/no/such/program"), long).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
