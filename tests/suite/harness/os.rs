//! What differs between operating systems, for tests: the only place in the suite that
//! does it one way here and another way there. Modules about something that one system
//! alone has are left out whole, where they are named.

use std::ffi::OsString;
use std::fs::Metadata;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, UNIX_EPOCH};

/// A mode that differs from a new file's, and with which its owner can read it still.
pub const OTHER_MODE: u32 = if cfg!(windows) { 0o444 } else { 0o600 };

/// Give a file or folder these permission bits. Windows has one for them, whether a file may
/// be written to; the files that a program makes there are its account's, and a folder has
/// nothing of the kind.
pub fn set_mode(path: impl AsRef<Path>, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(windows)]
    {
        assert!(mode <= 0o7777);
        let meta = std::fs::metadata(&path).unwrap();
        if meta.is_file() {
            let mut permissions = meta.permissions();
            permissions.set_readonly(mode & 0o200 == 0);
            std::fs::set_permissions(path, permissions).unwrap();
        }
    }
}

/// The permission bits, or those that Keepwatch makes of Windows' one.
pub fn mode_of(meta: &Metadata) -> u32 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::mode(meta) & 0o7777
    }
    #[cfg(windows)]
    {
        if meta.permissions().readonly() {
            0o444
        } else {
            0o644
        }
    }
}

/// When the content was written last, nanoseconds since 1970.
pub fn mtime_ns(meta: &Metadata) -> i128 {
    let since = meta.modified().unwrap().duration_since(UNIX_EPOCH);
    let ns = |time: Duration| i128::try_from(time.as_nanos()).unwrap();
    since.map_or_else(|before| -ns(before.duration()), ns)
}

/// Make a symbolic link. `false` where this account may not, or the system has none:
/// then there is nothing, and the rest of the test holds without it.
pub fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(target, link).unwrap();
        true
    }
    #[cfg(windows)]
    {
        let link = link.as_ref();
        // wine says that it has made one, and has not.
        std::os::windows::fs::symlink_file(target, link).is_ok() && link.is_symlink()
    }
}

/// What changes of a file that is written to or replaced, whatever its size and time say
/// then: which file it is, and when anything of it changed; on Windows when it was made and
/// when it was written to.
pub fn untouched(path: &Path) -> (i128, i128) {
    let meta = std::fs::symlink_metadata(path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let changed_ns = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
        (i128::from(meta.ino()), changed_ns)
    }
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt as _;
        (i128::from(meta.creation_time()), mtime_ns(&meta))
    }
}

/// A name of these bytes; nothing where the system takes text alone and they are none.
pub fn name_of(bytes: &[u8]) -> Option<OsString> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        Some(std::ffi::OsStr::from_bytes(bytes).to_owned())
    }
    #[cfg(windows)]
    {
        std::str::from_utf8(bytes).ok().map(OsString::from)
    }
}

/// The line that prints this file.
pub fn prints(path: &Path) -> String {
    let tool = if cfg!(windows) { "cmd /c type" } else { "cat" };
    format!("{tool} {}", path.display())
}

/// What takes nothing that is written to it: a full disk; on Windows, where no file is like
/// one, a file that may be read alone.
pub fn takes_nothing() -> std::fs::File {
    #[cfg(unix)]
    {
        let full = std::fs::File::options().write(true).open("/dev/full");
        full.unwrap()
    }
    #[cfg(windows)]
    {
        std::fs::File::open(std::env::current_exe().unwrap()).unwrap()
    }
}

/// This folder is its account's alone. On Windows a folder has the rights of the one that it
/// is in.
pub fn assert_private(folder: &Path) {
    let mode = mode_of(&std::fs::metadata(folder).unwrap());
    assert!(
        cfg!(windows) || mode == 0o700,
        "{}: {mode:o}",
        folder.display()
    );
}

/// A client that has reached the daemon of this state folder and says nothing.
pub fn idle_client(state: &Path) -> impl Sized + use<> {
    let address = keepwatch::os::control_socket(state);
    #[cfg(unix)]
    {
        std::os::unix::net::UnixStream::connect(address).unwrap()
    }
    #[cfg(windows)]
    {
        use std::time::Instant;
        let began = Instant::now();
        // All of the pipe's ends may be taken for a moment: the daemon makes the next one.
        loop {
            match std::fs::File::options()
                .read(true)
                .write(true)
                .open(&address)
            {
                Ok(client) => return client,
                Err(_) if began.elapsed() < super::PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => panic!("{}: {e}", address.display()),
            }
        }
    }
}

/// Halt a process whole, as a debugger does: SIGSTOP.
pub fn halt(process_id: u32) {
    #[cfg(unix)]
    send(process_id, rustix::process::Signal::STOP);
    #[cfg(windows)]
    super::halt::halt(process_id);
}

/// Let it go on.
pub fn go_on(process_id: u32) {
    #[cfg(unix)]
    send(process_id, rustix::process::Signal::CONT);
    #[cfg(windows)]
    super::halt::go_on(process_id);
}

#[cfg(unix)]
fn send(process_id: u32, signal: rustix::process::Signal) {
    let id = i32::try_from(process_id).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// Write at a place in the middle of a file.
pub fn write_at(file: &std::fs::File, bytes: &[u8], at: u64) {
    #[cfg(unix)]
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at).unwrap();
    #[cfg(windows)]
    {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, at).unwrap();
        assert_eq!(count, bytes.len());
    }
}

/// Copy a folder with all that is in it, times of files as well.
pub fn copy_tree(from: &Path, to: &Path) {
    #[cfg(unix)]
    {
        let mut copy = Command::new("cp");
        assert!(copy.arg("-a").args([from, to]).status().unwrap().success());
    }
    #[cfg(windows)]
    {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy_tree(&entry.path(), &to),
                false => drop(std::fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
}

/// True when nothing is refused to this account for want of a right.
pub fn is_root() -> bool {
    #[cfg(unix)]
    {
        rustix::process::geteuid().is_root()
    }
    #[cfg(windows)]
    {
        false
    }
}

/// What the plain tool makes of it; where there is none, a library.
pub fn gunzip(bytes: Vec<u8>) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut child = Command::new("gunzip")
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        output.stdout
    }
    #[cfg(windows)]
    {
        let mut out = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        std::io::Read::read_to_end(&mut reader, &mut out).unwrap();
        out
    }
}

/// A line as it is pasted into a terminal: sh, on Windows `cmd.exe`.
pub fn shell(line: &str) -> Command {
    #[cfg(unix)]
    {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line.trim()]);
        command
    }
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt as _;
        let mut command = Command::new(std::env::var_os("ComSpec").unwrap());
        // `cmd.exe` wants the whole line in one more pair of quotes, unescaped.
        command.arg("/C").raw_arg(format!("\"{}\"", line.trim()));
        command
    }
}

/// Let a program be told to stop by [`tell_to_stop`]: on Windows it needs a console of
/// its own.
pub fn can_be_told(command: &mut Command) {
    #[cfg(unix)]
    let _ = command;
    #[cfg(windows)]
    {
        /// `CREATE_NO_WINDOW` (winbase.h): a console that nobody sees.
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        use std::os::windows::process::CommandExt as _;
        command.creation_flags(CREATE_NO_WINDOW);
    }
}

/// Press Ctrl-C where a program runs that can be told.
pub fn press_ctrl_c(child: &Child) {
    #[cfg(unix)]
    {
        send(child.id(), rustix::process::Signal::INT);
    }
    #[cfg(windows)]
    super::console::press_ctrl_c(child.id());
}

/// Ask a program to end as its system does: SIGTERM, on Windows Ctrl-C.
pub fn tell_to_stop(child: &Child) {
    #[cfg(unix)]
    {
        send(child.id(), rustix::process::Signal::TERM);
    }
    #[cfg(windows)]
    super::console::press_ctrl_c(child.id());
}
