//! The event log, and the console: two system calls that no safe crate of today wraps.

#![allow(
    unsafe_code,
    reason = "three calls of the system with strings that live through them; each says why it is sound"
)]

use std::ffi::OsStr;
use std::os::windows::ffi::OsStrExt as _;
use windows_sys::Win32::System::Console::FreeConsole;
use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, RegisterEventSourceW,
    ReportEventW,
};

/// The message with this number is its text alone, in the file of messages that every Windows
/// has for that (`EventCreate.exe`, which has 1 to 1000).
const EVENT_ID: u32 = 1;

fn wide(text: &str) -> Vec<u16> {
    OsStr::new(text).encode_wide().chain([0]).collect()
}

/// Write into the system's event log. What cannot be written there is in the log file.
pub fn write_event(source: &str, is_error: bool, text: &str) {
    let (source, text) = (wide(source), wide(text));
    let kind = match is_error {
        true => EVENTLOG_ERROR_TYPE,
        false => EVENTLOG_INFORMATION_TYPE,
    };
    // SAFETY: the name ends in a zero and outlives the call.
    let log = unsafe { RegisterEventSourceW(std::ptr::null(), source.as_ptr()) };
    if log.is_null() {
        return;
    }
    let strings = [text.as_ptr()];
    // SAFETY: the handle is good, there is the one string that is announced, ended by a zero,
    // and no binary data.
    unsafe {
        ReportEventW(
            log,
            kind,
            0,
            EVENT_ID,
            std::ptr::null_mut(),
            1,
            0,
            strings.as_ptr(),
            std::ptr::null(),
        );
    }
    // SAFETY: it was opened above, and is not used again.
    unsafe {
        DeregisterEventSource(log);
    }
}

/// Leave the console that this process was started with: its window closes.
pub fn leave_console() {
    // SAFETY: it takes nothing, and this process prints nothing from then on.
    unsafe {
        FreeConsole();
    }
}
