//! Python for the tests: virtual environments.
//!
//! A fresh clone needs Python 3.10 or newer with `venv` and a working pip; what
//! is missing fails the test with its reason, never skips it.

use std::fs;
use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Seventy wheels on a slow line.
const INSTALL_MAX: Duration = Duration::from_secs(10 * 60);
/// Another test run may be installing just now.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(12 * 60);
/// Between two looks at something that is under way.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The Python of a virtual environment that has these packages, in a folder of this
/// name. Made once for a target folder; safe with other test runs beside and after a
/// killed one.
pub fn made(name: &str, requirements: &[&str]) -> Result<PathBuf, String> {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = base.join(name);
    let python = venv.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let done = venv.join("keepwatch-complete");
    let wanted = requirements.join("\n");

    fs::create_dir_all(base).map_err(|error| format!("make {}: {error}", base.display()))?;
    let lock = lock(&base.join(format!("{name}.lock")))?;
    if python.exists() && fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|error| format!("remove {}: {error}", venv.display()))?;
    }
    install(&venv, &python, requirements, &lock)?;
    // The mark comes last and whole: without it the venv is made anew.
    let mark = venv.join("keepwatch-complete.part");
    fs::write(&mark, wanted)
        .and_then(|()| fs::rename(&mark, &done))
        .map_err(|error| format!("write {}: {error}", done.display()))?;
    Ok(python)
}

fn install(venv: &Path, python: &Path, requirements: &[&str], lock: &File) -> Result<(), String> {
    // Lent to the children: when this process is killed, they go on for a
    // while, and the lock must hold until they are done writing.
    let lent = || {
        let input = lock.try_clone().map(Stdio::from);
        input.map_err(|error| format!("lend the lock: {error}"))
    };
    let system = if cfg!(windows) { "python" } else { "python3" };
    run(
        Command::new(system).args(["-m", "venv"]).arg(venv),
        lent()?,
        INSTALL_MAX,
    )?;
    let pip = "-m pip install --disable-pip-version-check --no-input";
    run(
        Command::new(python).args(pip.split(' ')).args(requirements),
        lent()?,
        INSTALL_MAX,
    )?;
    Ok(())
}

fn lock(path: &Path) -> Result<File, String> {
    let file = File::create(path).map_err(|error| format!("make {}: {error}", path.display()))?;
    let locked = poll(LOCK_WAIT_MAX, || match file.try_lock() {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Err(format!("lock {}: {error}", path.display()))),
    });
    locked.unwrap_or_else(|| Err(format!("another process holds {}", path.display())))?;
    Ok(file)
}

/// Ask until there is an answer; `None` when the time is over.
pub fn poll<T>(time_max: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begin.elapsed() > time_max {
            return None;
        }
        std::thread::sleep(POLL_EVERY);
    }
}

/// Run a command to its end, which comes in time or is made; what it printed.
pub fn run(command: &mut Command, input: Stdio, time_max: Duration) -> Result<String, String> {
    let mut output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let copy = || output.try_clone().map_err(|error| error.to_string());
    own_group(command)
        .stdin(input)
        .stdout(copy()?)
        .stderr(copy()?);
    let name = format!("{command:?}");
    let mut child = command
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let status = poll(time_max, || child.try_wait().transpose());
    if status.is_none() {
        end(&mut child);
    }
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut output)
        .and_then(|()| output.read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(Ok(status)) if status.success() => Ok(text),
        Some(Ok(status)) => Err(format!("{name} ended with {status}:\n{text}")),
        Some(Err(error)) => Err(format!("{name}: {error}")),
        None => Err(format!("{name} was not done in {time_max:?}:\n{text}")),
    }
}

/// Its own process group, so that ending it ends what it has started too.
pub fn own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// End a child that [`own_group`] has set apart. It has not been waited for,
/// so its id is still its own.
pub fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        let group = rustix::process::Pid::from_child(child);
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
