//! Ctrl-C for a program that has a console of its own.

#![allow(
    unsafe_code,
    reason = "no crate offers the console functions of Windows in safe form; none of them is given memory"
)]

use std::process::{Command, Stdio};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

/// The process whose console it is.
const PROCESS: &str = "TEST_PRESSES_CTRL_C_FOR";

/// Press Ctrl-C in the console of this process. Whoever does that has left his own: another
/// process does it.
pub fn press_ctrl_c(process_id: u32) {
    let mut other = Command::new(std::env::current_exe().unwrap());
    other
        .args(["--exact", "harness::console::presses", "--ignored"])
        .env(PROCESS, process_id.to_string())
        .stdin(Stdio::null());
    super::os::can_be_told(&mut other);
    let output = other.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What this process does about the Ctrl-C that it shares: nothing.
unsafe extern "system" fn ignore(event: u32) -> BOOL {
    BOOL::from(event == CTRL_C_EVENT)
}

#[test]
#[ignore = "it is a part of press_ctrl_c"]
fn presses() {
    let process_id = std::env::var(PROCESS).unwrap().parse().unwrap();
    // SAFETY: plain values go in and come out; `ignore` lives as long as the program.
    let (attached, sent) = unsafe {
        SetConsoleCtrlHandler(Some(ignore), 1);
        FreeConsole();
        let attached = AttachConsole(process_id);
        (attached, GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0))
    };
    assert!(
        attached != 0 && sent != 0,
        "process {process_id} cannot be told"
    );
}
