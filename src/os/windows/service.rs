//! The service manager: registers, starts, stops and removes a service, and asks how it is.

use crate::os::service_types::{Phase, ServiceFound, WindowsService};
use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

/// There is no such service.
const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;

/// The system does not know this setting of a service.
const ERROR_INVALID_LEVEL: i32 = 124;

/// The exit code that the service manager writes down for a process that has ended without
/// saying that it stops.
const ERROR_PROCESS_ABORTED: u32 = 1067;

/// Failures are counted from the beginning after a day without one.
const FORGET_FAILURES: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a removal waits for the service to stop.
const STOP_MAX: Duration = Duration::from_secs(150);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn plain(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(error) => error,
        other => io::Error::other(other),
    }
}

fn open(name: &str, access: ServiceAccess) -> io::Result<Option<Service>> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
        .map_err(plain)?;
    match manager.open_service(name, access).map_err(plain) {
        Ok(service) => Ok(Some(service)),
        Err(error) if error.raw_os_error() == Some(ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

fn there(name: &str, access: ServiceAccess) -> io::Result<Service> {
    open(name, access)?.ok_or_else(|| io::Error::from_raw_os_error(ERROR_SERVICE_DOES_NOT_EXIST))
}

/// The setting is made; one that this system does not know (wine) it does without.
fn known(set: windows_service::Result<()>) -> io::Result<()> {
    match set.map_err(plain) {
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_LEVEL) => Ok(()),
        set => set,
    }
}

/// Register it, or bring what is registered up to date: it starts by itself a while after the
/// computer, and again after a failure, which is an end without a word (`as_service`).
///
/// # Errors
/// This account may not, or there is no such account.
pub fn register_service(service: &WindowsService, password: Option<&str>) -> io::Result<()> {
    let info = ServiceInfo {
        name: OsString::from(&service.name),
        display_name: OsString::from(&service.display_name),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: service.program.clone(),
        launch_arguments: service.arguments.iter().map(OsString::from).collect(),
        dependencies: Vec::new(),
        account_name: service.account.as_ref().map(OsString::from),
        account_password: password.map(OsString::from),
    };
    let access = ServiceAccess::ALL_ACCESS;
    let registered = match open(&service.name, access)? {
        Some(there) => {
            there.change_config(&info).map_err(plain)?;
            there
        }
        None => {
            let rights = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
            let manager = ServiceManager::local_computer(None::<&str>, rights).map_err(plain)?;
            manager.create_service(&info, access).map_err(plain)?
        }
    };
    registered
        .set_description(&service.description)
        .map_err(plain)?;
    known(registered.set_delayed_auto_start(true))?;
    let again = service.restart_after.iter().map(|delay| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay: *delay,
    });
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET_FAILURES),
        reboot_msg: None,
        command: None,
        actions: Some(again.collect()),
    };
    known(registered.update_failure_actions(actions))?;
    // An end with a word is not followed by anything: a wrong configuration waits for a person.
    known(registered.set_failure_actions_on_non_crash_failures(false))?;
    known(registered.set_preshutdown_timeout(service.stop_max))
}

/// Stop it, and remove it from the register.
///
/// # Errors
/// This account may not, or it does not stop.
pub fn remove_service(name: &str) -> io::Result<()> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let Some(service) = open(name, access)? else {
        return Ok(());
    };
    let began = Instant::now();
    loop {
        match service.query_status().map_err(plain)?.current_state {
            ServiceState::Stopped => break,
            ServiceState::StopPending => {}
            _ => {
                service.stop().map_err(plain)?;
            }
        }
        if began.elapsed() > STOP_MAX {
            return Err(io::Error::other("it does not stop"));
        }
        std::thread::sleep(LOOK);
    }
    service.delete().map_err(plain)
}

/// How it is; `None` when there is none. Every account may ask.
///
/// # Errors
/// The service manager does not answer.
pub fn find_service(name: &str) -> io::Result<Option<ServiceFound>> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let Some(service) = open(name, access)? else {
        return Ok(None);
    };
    let config = service.query_config().map_err(plain)?;
    let status = service.query_status().map_err(plain)?;
    let phase = match status.current_state {
        ServiceState::Stopped | ServiceState::Paused => Phase::Stopped,
        ServiceState::StartPending | ServiceState::ContinuePending => Phase::Starting,
        ServiceState::Running | ServiceState::PausePending => Phase::Running,
        ServiceState::StopPending => Phase::Stopping,
    };
    let code = match status.exit_code {
        ServiceExitCode::ServiceSpecific(code) => code,
        // Not one of the program's own: 2 is that its file is missing.
        ServiceExitCode::Win32(code @ 1..=OWN_CODE_MAX) => OF_WINDOWS | code,
        ServiceExitCode::Win32(code) => code,
    };
    let waits_to_restart =
        phase == Phase::Stopped && code == ERROR_PROCESS_ABORTED && is_started_again(&service);
    Ok(Some(ServiceFound {
        command: config.executable_path.display().to_string(),
        account: config
            .account_name
            .map(|name| name.to_string_lossy().into_owned()),
        is_automatic: config.start_type == ServiceStartType::AutoStart,
        phase,
        pid: status.process_id.filter(|pid| *pid > 0).map(u64::from),
        exit_code: (phase == Phase::Stopped && code != ERROR_NEVER_STARTED).then_some(code),
        waits_to_restart,
        // A system that cannot say so (wine) does not do it either.
        restarts_after_word: service
            .get_failure_actions_on_non_crash_failures()
            .unwrap_or(false),
    }))
}

/// Whether the service manager starts it again after a failure.
fn is_started_again(service: &Service) -> bool {
    // A system that cannot say so (wine) does not do it either.
    let actions = service
        .get_failure_actions()
        .ok()
        .and_then(|all| all.actions);
    actions.is_some_and(|actions| {
        let is_restart = |action: &ServiceAction| action.action_type == ServiceActionType::Restart;
        actions.iter().any(is_restart)
    })
}

/// No program of ours ends with more.
const OWN_CODE_MAX: u32 = 255;

/// What Windows puts before a code of its own where others have codes, too
/// (`HRESULT_FROM_WIN32`, winerror.h).
const OF_WINDOWS: u32 = 0x8007_0000;

/// The exit code of a service that was never started since the computer was.
const ERROR_NEVER_STARTED: u32 = 1077;

/// Have it start; it does so by itself then.
///
/// # Errors
/// This account may not, or it cannot be started.
pub fn start_service(name: &str) -> io::Result<()> {
    let none: [&str; 0] = [];
    there(name, ServiceAccess::START)?
        .start(&none)
        .map_err(plain)
}

/// Have it stop; it does so by itself then.
///
/// # Errors
/// This account may not, or it cannot be stopped.
pub fn stop_service(name: &str) -> io::Result<()> {
    there(name, ServiceAccess::STOP)?
        .stop()
        .map(drop)
        .map_err(plain)
}
