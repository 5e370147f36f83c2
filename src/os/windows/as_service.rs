//! Being a service of Windows: what its manager is told of this process, and asks of it.
//!
//! The manager knows two kinds of end. One that the process reports is final. One without a
//! report is a failure, after which it starts the process again (the recovery actions that
//! `service` registers). So what another try may cure ends without a report, and what a person
//! has asked for or must put right is reported.

use super::service::plain;
use crate::os::service_types::{Ended, Work};
use crate::os::told::Told;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult};
use windows_service::{define_windows_service, service_dispatcher};

/// The process was not started by the service manager, but in a console, say.
const ERROR_FAILED_SERVICE_CONTROLLER_CONNECT: i32 = 1063;

/// How long a start takes at most until it says more.
const START_HINT: Duration = Duration::from_secs(120);

/// How long the manager waits for the next word of a stop before it takes it for stuck.
const STOP_HINT: Duration = Duration::from_secs(15);

/// How often a stop says that it goes on: several times in that.
const STOP_EVERY: Duration = Duration::from_secs(3);

/// What this process does as a service, until it is called.
static WORK: Mutex<Option<(&'static str, Work)>> = Mutex::new(None);

/// Why it could not begin.
static REFUSED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Has one permit for each request to stop that nobody has heard yet.
static STOP: Notify = Notify::const_new();

/// Somebody has asked it to stop.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// The service's own status, once it is one.
static STATUS: OnceLock<Reports> = OnceLock::new();

/// The reports of one process, in the order that the manager takes them.
struct Reports {
    set: Box<dyn Fn(ServiceStatus) + Send + Sync>,
    /// The last state, and how often it was reported in a row.
    last: Mutex<Option<(ServiceState, u32)>>,
}

/// States come in this order and never go back.
fn rank(state: ServiceState) -> u8 {
    match state {
        ServiceState::StartPending => 0,
        ServiceState::StopPending => 2,
        ServiceState::Stopped => 3,
        _ => 1,
    }
}

impl Reports {
    fn new(set: impl Fn(ServiceStatus) + Send + Sync + 'static) -> Self {
        Self {
            set: Box::new(set),
            last: Mutex::new(None),
        }
    }

    /// False when it comes too late: a later state is reported already.
    fn report(&self, state: ServiceState, wait: Duration, code: u8) -> bool {
        // Held until it is said: the order is that of the manager.
        let mut last = self.last.lock();
        let times = match *last {
            Some((before, _)) if rank(before) > rank(state) => return false,
            Some((before, times)) if before == state => times + 1,
            _ => 1,
        };
        if state == ServiceState::Stopped && times > 1 {
            return false;
        }
        *last = Some((state, times));
        let accepted = match state {
            ServiceState::Running => {
                ServiceControlAccept::STOP
                    | ServiceControlAccept::SHUTDOWN
                    | ServiceControlAccept::PRESHUTDOWN
            }
            _ => ServiceControlAccept::empty(),
        };
        (self.set)(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: match code {
                0 => ServiceExitCode::NO_ERROR,
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint: match state {
                ServiceState::StartPending | ServiceState::StopPending => times,
                _ => 0,
            },
            wait_hint: wait,
            process_id: None,
        });
        true
    }

    /// Say that the stop goes on, until it has ended or has taken longer than it may: then it is
    /// stuck, and the manager hears nothing more. Blocks so long.
    fn keep_stopping(&self, limit: Duration, every: Duration) {
        let began = Instant::now();
        while began.elapsed() < limit && self.report(ServiceState::StopPending, STOP_HINT, 0) {
            std::thread::sleep(every);
        }
    }

    /// Whether the manager hears of this end.
    fn ended(&self, ended: Ended, is_asked: bool) -> bool {
        let is_told = is_asked || !ended.may_pass;
        is_told && self.report(ServiceState::Stopped, Duration::ZERO, ended.code)
    }
}

define_windows_service!(entry, service_main);

fn service_main(_arguments: Vec<OsString>) {
    let Some((name, work)) = WORK.lock().take() else {
        return;
    };
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            IS_ASKED.store(true, Ordering::Relaxed);
            STOP.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let handle = match service_control_handler::register(name, handler) {
        Ok(handle) => handle,
        Err(error) => {
            *REFUSED.lock() = Some(plain(error));
            return;
        }
    };
    let reports = STATUS.get_or_init(|| {
        Reports::new(move |status| {
            // A manager that does not listen has nothing to hear.
            let _ = handle.set_service_status(status);
        })
    });
    reports.report(ServiceState::StartPending, START_HINT, 0);
    let ended = work();
    reports.ended(ended, IS_ASKED.load(Ordering::Relaxed));
    // Everything is closed. Whoever removes or replaces the program waits for the report and
    // for nothing else, and a file of a running process stays.
    std::process::exit(i32::from(ended.code));
}

/// Do the service's work, where the service manager has started this process; gives the work
/// back where it has not. Blocks until it is done.
///
/// # Errors
/// The work, when this is no service.
pub fn run_as_service(name: &'static str, work: Work) -> Result<io::Result<u8>, Work> {
    *WORK.lock() = Some((name, work));
    let ran = service_dispatcher::start(name, entry).map_err(plain);
    match ran {
        Ok(()) => Ok(REFUSED.lock().take().map_or(Ok(0), Err)),
        Err(error) if error.raw_os_error() == Some(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) => {
            match WORK.lock().take() {
                Some((_, work)) => Err(work),
                None => Ok(Err(error)),
            }
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Tell the service manager, where this is a service.
pub fn tell_service(told: &Told) {
    let Some(reports) = STATUS.get() else { return };
    match told {
        Told::Ready(_) => {
            reports.report(ServiceState::Running, Duration::ZERO, 0);
        }
        // Of an end that nobody asked for the manager hears when it is there.
        Told::Stopping(limit) if IS_ASKED.load(Ordering::Relaxed) => {
            let limit = *limit;
            let thread = std::thread::Builder::new().name("service-stop".to_owned());
            let keeps = thread.spawn(move || reports.keep_stopping(limit, STOP_EVERY));
            if keeps.is_err() {
                // Once, for all of it.
                reports.report(ServiceState::StopPending, limit, 0);
            }
        }
        Told::Stopping(_) | Told::Alive | Told::Status(_) => {}
    }
}

/// Returns when the service manager asks this process to stop, once for each request; never
/// when it is no service.
pub async fn service_asked_to_stop() {
    match STATUS.get() {
        Some(_) => STOP.notified().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn reports() -> (Arc<Reports>, Arc<Mutex<Vec<ServiceStatus>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let reports = Reports::new(move |status| hears.lock().push(status));
        (Arc::new(reports), heard)
    }

    /// Named after the danger: Windows takes a stop for stuck, and offers to end it, when its
    /// checkpoint does not move within the hint.
    #[test]
    fn a_stop_that_takes_long_says_again_and_again_that_it_goes_on() {
        let (reports, heard) = reports();
        assert!(reports.report(ServiceState::Running, Duration::ZERO, 0));
        let keeps = Arc::clone(&reports);
        let every = Duration::from_millis(1);
        let keeping =
            std::thread::spawn(move || keeps.keep_stopping(Duration::from_secs(600), every));
        while heard.lock().len() < 4 {
            std::thread::yield_now();
        }
        let stopped = Ended {
            code: 0,
            may_pass: false,
        };
        assert!(reports.ended(stopped, true));
        keeping.join().unwrap();
        let heard = heard.lock();
        let (last, pending) = heard[1..].split_last().unwrap();
        for (at, status) in pending.iter().enumerate() {
            assert_eq!(status.current_state, ServiceState::StopPending);
            assert_eq!(status.checkpoint as usize, at + 1);
            assert!(status.wait_hint > STOP_EVERY * 3);
        }
        assert_eq!(last.current_state, ServiceState::Stopped);
        assert_eq!(last.exit_code, ServiceExitCode::NO_ERROR);
    }

    #[test]
    fn a_stop_that_takes_longer_than_it_may_falls_silent() {
        let (reports, heard) = reports();
        reports.keep_stopping(Duration::ZERO, Duration::ZERO);
        assert!(heard.lock().is_empty());
    }

    #[test]
    fn only_what_another_try_may_cure_ends_without_a_word() {
        for (code, may_pass, is_asked, is_told) in [
            (0, false, true, true),
            (2, false, false, true),
            (1, true, false, false),
            (1, true, true, true),
        ] {
            let (reports, heard) = reports();
            let ended = Ended { code, may_pass };
            assert_eq!(reports.ended(ended, is_asked), is_told);
            assert_eq!(heard.lock().len(), usize::from(is_told), "{code}");
            if code == 2 {
                assert_eq!(
                    heard.lock()[0].exit_code,
                    ServiceExitCode::ServiceSpecific(2)
                );
            }
        }
    }
}
