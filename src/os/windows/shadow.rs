//! Shadow copies of volumes, in which a file can be read that a program keeps to itself.
//!
//! Off unless [`use_shadow_copies`] was called. One for each volume, made when a locked file
//! asks for it, used for a bounded time and deleted. A list in the state folder names those
//! that are there, so that what a killed process leaves is deleted at the next start.

use crate::os::child::output_of;
use crate::os::shadow::{
    DELETED_WITHIN, MADE_WITHIN, Made, RESTS_FOR, SERVES_FOR, is_id, made, on_drive, path_in,
    script_to_make,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What is known of one drive.
enum Drive {
    /// There is one, made then.
    Copied(Made, Instant),
    /// It could not be made then, for this reason.
    Refused(String, Instant),
}

struct State {
    /// Where the numbers of those that are there are written down.
    list: PathBuf,
    drives: BTreeMap<char, Drive>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Read locked files from shadow copies from now on. `list` is a file of ours for the
/// numbers of those that are there; what it names is of a process that is gone. Blocks.
pub fn use_shadow_copies(list: &Path) {
    let left = std::fs::read_to_string(list).unwrap_or_default();
    left.lines().for_each(delete);
    let _ = std::fs::remove_file(list);
    *STATE.lock() = Some(State {
        list: list.to_owned(),
        drives: BTreeMap::new(),
    });
}

/// Delete those that are there, and make no more. Blocks.
pub fn end_shadow_copies() {
    let Some(mut state) = STATE.lock().take() else {
        return;
    };
    for drive in std::mem::take(&mut state.drives).into_values() {
        forget(drive);
    }
    let _ = std::fs::remove_file(&state.list);
}

/// The file at a whole path, as its volume's shadow copy has it; `None` where nobody asked
/// for shadow copies or the volume has none. Blocks, for a minute where one is made.
///
/// # Errors
/// It cannot be made, or the file is not in it.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let mut state = STATE.lock();
    let Some(state) = state.as_mut() else {
        return Ok(None);
    };
    let Some((letter, below)) = path.to_str().and_then(on_drive) else {
        return Ok(None);
    };
    let device = state.device_of(letter)?;
    File::open(path_in(&device, below)).map(Some)
}

impl State {
    /// The device of the drive's shadow copy, made where there is none.
    fn device_of(&mut self, letter: char) -> io::Result<String> {
        match self.drives.get(&letter) {
            Some(Drive::Copied(copy, at)) if at.elapsed() < SERVES_FOR => {
                return Ok(copy.device.clone());
            }
            Some(Drive::Refused(why, at)) if at.elapsed() < RESTS_FOR => {
                return Err(io::Error::other(why.clone()));
            }
            _ => {}
        }
        if let Some(old) = self.drives.remove(&letter) {
            forget(old);
            self.write_list()?;
        }
        let script = script_to_make(letter);
        let mut command = Command::new("powershell.exe");
        command.args(["-NoProfile", "-NonInteractive", "-Command", &script]);
        let printed = output_of(&mut command, MADE_WITHIN);
        let copy = printed.and_then(|text| {
            made(&text).ok_or_else(|| io::Error::other("PowerShell's answer names none"))
        });
        match copy {
            Ok(copy) => {
                let device = copy.device.clone();
                self.drives
                    .insert(letter, Drive::Copied(copy, Instant::now()));
                self.write_list()?;
                Ok(device)
            }
            Err(error) => {
                let refused = Drive::Refused(error.to_string(), Instant::now());
                self.drives.insert(letter, refused);
                Err(error)
            }
        }
    }

    /// Before anybody reads from it: whoever comes next must know of it.
    fn write_list(&self) -> io::Result<()> {
        let ids = self.drives.values().filter_map(|drive| match drive {
            Drive::Copied(copy, _) => Some(format!("{}\n", copy.id)),
            Drive::Refused(..) => None,
        });
        std::fs::write(&self.list, ids.collect::<String>())
    }
}

fn forget(drive: Drive) {
    if let Drive::Copied(copy, _) = drive {
        delete(&copy.id);
    }
}

/// What cannot be deleted Windows deletes itself when it wants the room.
fn delete(id: &str) {
    if is_id(id) {
        let mut command = Command::new("vssadmin.exe");
        command.args(["delete", "shadows", &format!("/shadow={id}"), "/quiet"]);
        let _ = output_of(&mut command, DELETED_WITHIN);
    }
}
