//! The service manager: how the service is, and having it start and stop.

use super::carry_out::refused;
use super::external;
use super::launchd;
use super::plan::Plan;
use super::request::{Level, NAME, Request};
use super::state::{LastExit, Running, ServiceState};
use super::step::Call;
use super::systemd;
use super::task;
use super::windows;
use crate::os;
use crate::types::{Fatal, command};
use std::time::Duration;
use tokio::time::Instant;

/// How often is looked whether it is so.
const LOOK: Duration = Duration::from_millis(250);

/// How long a start is waited for: folders are watched within 10 s, and an index that was not
/// closed in order takes a while to be opened.
const START_WAIT: Duration = Duration::from_secs(120);

/// How long a stop is waited for: longer than `shutdown_timeout` is by default with all that
/// follows it.
const STOP_WAIT: Duration = Duration::from_secs(120);

/// Who keeps the service running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// systemd.
    Systemd(Level),
    /// launchd.
    Launchd(Level),
    /// Windows' service manager.
    Windows,
    /// Windows' Task Scheduler, for one account.
    Tasks,
}

/// What is wished of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// That it runs.
    Start,
    /// That it does not.
    Stop,
}

impl Wanted {
    fn operation(self) -> &'static str {
        match self {
            Self::Start => "start the service",
            Self::Stop => "stop the service",
        }
    }
}

impl Manager {
    /// The one of this computer.
    ///
    /// # Errors
    /// There is none that Keepwatch knows.
    pub fn of_this_computer(level: Level) -> Result<Self, Fatal> {
        match (os::SERVICES, level) {
            (os::Services::Windows, Level::System) => return Ok(Self::Windows),
            (os::Services::Windows, Level::User) => return Ok(Self::Tasks),
            (os::Services::Launchd, level) => return Ok(Self::Launchd(level)),
            (os::Services::Others, _) => {}
        }
        if os::has_systemd() {
            return Ok(Self::Systemd(level));
        }
        Err(Fatal::usage(
            "manage the service",
            "this computer is not run by systemd",
            format!(
                "have this start with the computer, in the way that is usual there: {}",
                command::with_configuration("").trim_end()
            ),
        ))
    }

    /// `service VERB` for this manager, as it is typed.
    fn typed(self, verb: &str) -> String {
        let user = match self {
            Self::Systemd(Level::User) | Self::Launchd(Level::User) | Self::Tasks => " --user",
            Self::Systemd(Level::System) | Self::Launchd(Level::System) | Self::Windows => "",
        };
        command::with_configuration(&format!("service {verb}{user}"))
    }

    /// How the service is.
    ///
    /// # Errors
    /// The manager cannot be asked.
    pub async fn state(self) -> Result<ServiceState, Fatal> {
        match self {
            Self::Systemd(level) => {
                let text = external::run(&systemd::show(level)).await?;
                Ok(systemd::parse(level, &text))
            }
            Self::Launchd(level) => {
                let said = external::ask(&launchd::ask(level)).await?;
                let disabled = external::ask(&launchd::ask_disabled(level)).await?;
                Ok(launchd::parse(level, said.code, &said.out, &disabled.out))
            }
            Self::Windows => {
                let found = os::find_service(NAME);
                let found = found.map_err(|error| refused("ask after", NAME, &error))?;
                Ok(windows::state(found))
            }
            Self::Tasks => {
                let said = external::ask(&task::ask()).await?;
                let definition = external::ask(&task::ask_definition()).await?;
                Ok(task::parse(said.code, &said.out, &definition.out))
            }
        }
    }

    /// What is done to have the service that is wished, where this is how it is now.
    pub fn install(self, request: &Request, now: &ServiceState) -> Plan {
        match self {
            Self::Systemd(_) => systemd::install(request, now),
            Self::Launchd(_) => launchd::install(request, now),
            Self::Windows => windows::install(request),
            Self::Tasks => task::install(request, now),
        }
    }

    /// What is done to be without it; data stays.
    pub fn uninstall(self, now: &ServiceState) -> Plan {
        match self {
            Self::Systemd(level) => systemd::uninstall(level, now),
            Self::Launchd(level) => launchd::uninstall(level, now),
            Self::Windows => windows::uninstall(),
            Self::Tasks => task::uninstall(now),
        }
    }

    /// How the process ended that ran before, as far as this account may know.
    pub async fn last_failure(self) -> Option<LastExit> {
        match self {
            Self::Systemd(level) => {
                let said = external::ask(&systemd::last_failure(level)).await.ok()?;
                systemd::parse_failure(&said.out)
            }
            Self::Launchd(_) | Self::Windows | Self::Tasks => None,
        }
    }

    /// Ask for it; it happens by itself then.
    async fn ask_for(self, wanted: Wanted) -> Result<(), Fatal> {
        let call = match (self, wanted) {
            (Self::Windows, Wanted::Start) => {
                return os::start_service(NAME).map_err(|error| refused("start", NAME, &error));
            }
            (Self::Windows, Wanted::Stop) => {
                return os::stop_service(NAME).map_err(|error| refused("stop", NAME, &error));
            }
            (Self::Launchd(level), Wanted::Start) => launchd::start(level),
            (Self::Launchd(level), Wanted::Stop) => launchd::stop(level),
            (Self::Tasks, Wanted::Start) => task::start(),
            (Self::Tasks, Wanted::Stop) => task::stop(),
            (Self::Systemd(level), wanted) => systemctl(level, wanted),
        };
        external::run(&call).await.map(drop)
    }

    /// The last error of its output that the manager has kept, as far as this account may read
    /// it.
    pub async fn last_error(self) -> Option<String> {
        last_error_among(&self.last_words().await)
    }

    /// The last lines of its output that the manager has kept; empty where it keeps none.
    async fn last_words(self) -> Vec<String> {
        match self {
            Self::Systemd(level) => {
                let which = match level {
                    Level::System => "--unit",
                    Level::User => "--user-unit",
                };
                let call = Call::new(
                    "journalctl",
                    [
                        which,
                        NAME,
                        "--lines",
                        "20",
                        "--output",
                        "cat",
                        "--no-pager",
                    ],
                );
                let said = external::ask(&call).await.unwrap_or_default();
                said.out.lines().map(str::to_owned).collect()
            }
            Self::Launchd(_) | Self::Windows | Self::Tasks => Vec::new(),
        }
    }
}

/// The last line that tells of an error, with what is to be done, which may be the next line.
fn last_error_among(lines: &[String]) -> Option<String> {
    let is_error = |line: &String| ["ERROR", "cannot "].iter().any(|sign| line.contains(sign));
    let at = lines.iter().rposition(is_error)?;
    let error = lines[at].trim();
    let next = lines.get(at + 1).map(|line| line.trim());
    Some(match next.filter(|next| next.starts_with("what to do")) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_owned(),
    })
}

fn systemctl(level: Level, wanted: Wanted) -> Call {
    let verb = match wanted {
        Wanted::Start => "start",
        Wanted::Stop => "stop",
    };
    systemd::systemctl(level, &[verb, "--no-block", &systemd::unit_name()])
}

/// Have it be as is wished, and wait until it is.
///
/// # Errors
/// It is not installed, fails, or takes too long.
pub async fn reach(manager: Manager, wanted: Wanted) -> Result<ServiceState, Fatal> {
    let before = manager.state().await?;
    if !before.is_installed {
        return Err(Fatal::usage(
            wanted.operation(),
            "it is not installed",
            format!("install it: {}", manager.typed("install")),
        ));
    }
    if is_so(&before, wanted) {
        return Ok(before);
    }
    takes_it(manager, wanted, &before)?;
    manager.ask_for(wanted).await?;
    let (limit, began) = match wanted {
        Wanted::Start => (START_WAIT, Instant::now()),
        Wanted::Stop => (STOP_WAIT, Instant::now()),
    };
    let mut has_begun = false;
    loop {
        let now = manager.state().await?;
        if is_so(&now, wanted) {
            return Ok(now);
        }
        // It may not have begun yet.
        has_begun |= now.running != Running::No || now.last_exit != before.last_exit;
        let is_down = matches!(now.running, Running::No | Running::WaitsToRestart);
        let has_failed = wanted == Wanted::Start && has_begun && is_down;
        if has_failed {
            let how = now.last_exit.map(|exit| exit.words());
            let how = how.unwrap_or_else(|| "it ended at once".to_owned());
            return Err(not_reached(manager, wanted, how).await);
        }
        if began.elapsed() > limit {
            let how = format!(
                "it has not happened within {} s; it may still",
                limit.as_secs()
            );
            return Err(not_reached(manager, wanted, how).await);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Windows takes no stop of a service that waits for its next start.
///
/// # Errors
/// It is in that state.
fn takes_it(manager: Manager, wanted: Wanted, now: &ServiceState) -> Result<(), Fatal> {
    let is_waiting = now.running == Running::WaitsToRestart;
    if manager != Manager::Windows || wanted != Wanted::Stop || !is_waiting {
        return Ok(());
    }
    Err(Fatal::new(
        wanted.operation(),
        "it has failed, and Windows starts it again within half a minute; before that it takes no stop",
        format!(
            "put right what its log says, or remove the service: {}",
            manager.typed("uninstall")
        ),
    ))
}

fn is_so(state: &ServiceState, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Start => state.running == Running::Yes,
        Wanted::Stop => state.running == Running::No,
    }
}

async fn not_reached(manager: Manager, wanted: Wanted, how: String) -> Fatal {
    let error = manager.last_error().await;
    let cause = match error {
        Some(line) => format!("{how}. The last error in its log: {line}"),
        None => how,
    };
    Fatal::new(
        wanted.operation(),
        cause,
        format!(
            "put that right and try again; `{}` says how it is",
            manager.typed("status")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: the command named the computer's service where this account's
    /// was meant.
    #[test]
    fn a_proposed_command_is_for_the_service_that_was_meant() {
        for (manager, want) in [
            (Manager::Systemd(Level::User), "service install --user"),
            (Manager::Tasks, "service install --user"),
            (Manager::Systemd(Level::System), "service install"),
        ] {
            let line = manager.typed("install");
            assert!(line.ends_with(want), "{line}");
        }
    }

    #[test]
    fn the_last_error_is_told_with_what_to_do() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let told = last_error_among(&lines(
            "ERROR one\nkeepwatch: cannot open it: away\n  what to do: plug it in\nFailed with result",
        ));
        assert_eq!(
            told.as_deref(),
            Some("keepwatch: cannot open it: away; what to do: plug it in")
        );
        let told = last_error_among(&lines("INFO begins\nERROR two; what to do: this\nStopped"));
        assert_eq!(told.as_deref(), Some("ERROR two; what to do: this"));
        assert_eq!(last_error_among(&lines("INFO begins")), None);
    }
}
