//! Windows' service manager; elsewhere there is none.

#[cfg(windows)]
pub use super::windows::as_service::run_as_service;
#[cfg(windows)]
pub use super::windows::event_log::{leave_console, write_event};
#[cfg(windows)]
pub use super::windows::service::{
    find_service, register_service, remove_service, start_service, stop_service,
};

#[cfg(not(windows))]
mod none {
    use crate::os::service_types::{ServiceFound, WindowsService, Work};
    use std::io;

    fn none<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Register it, or bring what is registered up to date.
    ///
    /// # Errors
    /// Always: there is no such service manager here.
    pub fn register_service(_service: &WindowsService, _password: Option<&str>) -> io::Result<()> {
        none()
    }

    /// Remove it from the register.
    ///
    /// # Errors
    /// Always.
    pub fn remove_service(_name: &str) -> io::Result<()> {
        none()
    }

    /// How it is.
    ///
    /// # Errors
    /// Always.
    pub fn find_service(_name: &str) -> io::Result<Option<ServiceFound>> {
        none()
    }

    /// Have it start.
    ///
    /// # Errors
    /// Always.
    pub fn start_service(_name: &str) -> io::Result<()> {
        none()
    }

    /// Have it stop.
    ///
    /// # Errors
    /// Always.
    pub fn stop_service(_name: &str) -> io::Result<()> {
        none()
    }

    /// Do the service's work, where the service manager has started this process; gives the
    /// work back where it has not.
    ///
    /// # Errors
    /// Never here.
    pub fn run_as_service(_name: &'static str, work: Work) -> Result<io::Result<u8>, Work> {
        Err(work)
    }

    /// Leave the console that this process was started with.
    pub fn leave_console() {}

    /// Write into the system's event log.
    pub fn write_event(_source: &str, _is_error: bool, _text: &str) {}
}
#[cfg(not(windows))]
pub use none::{
    find_service, leave_console, register_service, remove_service, run_as_service, start_service,
    stop_service, write_event,
};
