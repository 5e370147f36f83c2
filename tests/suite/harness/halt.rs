//! A process of Windows that is halted whole, and goes on.

#![allow(
    unsafe_code,
    reason = "no crate offers these functions of ntdll in safe form; none of them is given memory"
)]

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_SUSPEND_RESUME};

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> i32;
    fn NtResumeProcess(process: HANDLE) -> i32;
}

pub fn halt(process_id: u32) {
    with(process_id, NtSuspendProcess);
}

pub fn go_on(process_id: u32) {
    with(process_id, NtResumeProcess);
}

fn with(process_id: u32, what: unsafe extern "system" fn(HANDLE) -> i32) {
    // SAFETY: plain values go in and come out; the handle is closed once.
    let status = unsafe {
        let process = OpenProcess(PROCESS_SUSPEND_RESUME, 0, process_id);
        assert!(!process.is_null(), "process {process_id} cannot be opened");
        let status = what(process);
        CloseHandle(process);
        status
    };
    assert!(status >= 0, "process {process_id}: {status:#x}");
}
