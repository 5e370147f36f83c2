//! Windows' service manager: what installs and removes the service, and how it is.

use super::plan::Plan;
use super::request::{Account, NAME, Request, has_password};
use super::state::{LastExit, Running, ServiceState};
use super::step::{Call, Step};
use crate::os::{Phase, ServiceFound, WindowsService};
use std::path::Path;
use std::time::Duration;

/// Between the tries to start it again, the last for every further one.
const RESTART_AFTER: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(30),
];

/// Where the event log learns what messages of Keepwatch look like.
const EVENT_SOURCE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\keepwatch";

/// The file of messages that every Windows has for programs without one of their own.
const EVENT_MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";

/// The groups that may use Keepwatch's own folder, whatever the language: the system and the
/// administrators.
const SYSTEM_ALONE: [&str; 2] = ["*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F"];

/// The service as it is registered.
pub(super) fn service(request: &Request) -> WindowsService {
    let config = request.config.display().to_string();
    WindowsService {
        name: NAME.to_owned(),
        display_name: "Keepwatch backup".to_owned(),
        description: "Backs up this computer's folders into S3 as they change, and proves every day that the backup is whole.".to_owned(),
        program: request.program.clone(),
        arguments: ["--config", &config, "service", "run"].map(str::to_owned).to_vec(),
        account: match &request.account {
            Account::Named(name) => Some(name.clone()),
            _ => None,
        },
        restart_after: RESTART_AFTER.to_vec(),
        stop_max: Duration::from_secs(request.stop_max_s()),
    }
}

/// What installs it.
pub(super) fn install(request: &Request) -> Plan {
    let mut steps = Vec::new();
    let folders = [&request.state_dir, &request.log_dir];
    steps.extend(
        folders
            .into_iter()
            .chain(&request.vault)
            .map(|path| Step::MakeFolder {
                path: path.clone(),
                mode: 0o700,
                owner: None,
                only_new: true,
            }),
    );
    if request.is_usual_config {
        let folder = request.config.parent().unwrap_or(Path::new("."));
        let folder = folder.display().to_string();
        let mut rights = vec![folder, "/inheritance:r".to_owned(), "/grant:r".to_owned()];
        rights.extend(SYSTEM_ALONE.map(str::to_owned));
        if let Account::Named(name) = &request.account {
            rights.push(format!("{name}:(OI)(CI)F"));
        }
        steps.push(run(
            Call::new("icacls", rights),
            "keep its folder to the system, the administrators and the service's account",
        ));
    }
    for (name, kind, value) in [
        ("EventMessageFile", "REG_EXPAND_SZ", EVENT_MESSAGES),
        ("TypesSupported", "REG_DWORD", "7"),
    ] {
        let words = [
            "add",
            EVENT_SOURCE,
            "/v",
            name,
            "/t",
            kind,
            "/d",
            value,
            "/f",
        ];
        steps.push(run(
            Call::new("reg", words),
            "make it known to the event log",
        ));
    }
    steps.push(Step::Register {
        service: Box::new(service(request)),
    });
    let notes = vec![
        "A service sees no drive letters of network drives, and what a user's own account may: name them \\\\server\\share and give --account.".to_owned(),
        "A running service takes the change with its next start.".to_owned(),
    ];
    // Only what follows a change is worth doing again.
    Plan { steps, notes }
}

/// What removes it.
pub(super) fn uninstall() -> Plan {
    let forget = Step::Run {
        call: Call::new("reg", ["delete", EVENT_SOURCE, "/f"]),
        what: "have the event log forget it",
        after_change: true,
        may_fail: true,
    };
    Plan {
        steps: vec![
            Step::Unregister {
                name: NAME.to_owned(),
            },
            forget,
        ],
        notes: Vec::new(),
    }
}

fn run(call: Call, what: &'static str) -> Step {
    Step::Run {
        call,
        what,
        after_change: true,
        may_fail: false,
    }
}

/// How the service is.
pub(super) fn state(found: Option<ServiceFound>) -> ServiceState {
    let Some(found) = found else {
        return ServiceState::default();
    };
    ServiceState {
        is_installed: true,
        running: match found.phase {
            Phase::Stopped if found.waits_to_restart => Running::WaitsToRestart,
            Phase::Stopped => Running::No,
            Phase::Starting => Running::Starting,
            Phase::Running => Running::Yes,
            Phase::Stopping => Running::Stopping,
        },
        starts_at_boot: found.is_automatic,
        pid: found.pid,
        account: found.account,
        last_exit: found.exit_code.map(|code| LastExit {
            code: Some(code.into()),
            signal: None,
            was_stuck: false,
            at: None,
        }),
        definition: Some(found.command),
        ..ServiceState::default()
    }
}

/// It is registered just so already, as far as Windows tells. It does not tell the password
/// that it keeps, nor how long a shutdown waits: a package has set that for the usual time of
/// a stop.
pub(super) fn is_same(service: &WindowsService, found: Option<&ServiceFound>) -> bool {
    let quoted = |word: &str| match word.is_empty() || word.contains([' ', '\t']) {
        true => format!("\"{word}\""),
        false => word.to_owned(),
    };
    let program = service.program.display().to_string();
    let words = std::iter::once(&program).chain(&service.arguments);
    let command: Vec<String> = words.map(|word| quoted(word)).collect();
    let account = service.account.as_deref().unwrap_or("LocalSystem");
    let is_untold = service.account.as_deref().is_some_and(has_password)
        || service.stop_max > Duration::from_secs(Request::packaged().stop_max_s());
    found.is_some_and(|found| {
        let is_account = |name: &String| name.eq_ignore_ascii_case(account);
        found.command == command.join(" ")
            && found.is_automatic
            && !found.restarts_after_word
            && !is_untold
            && found.account.as_ref().is_none_or(is_account)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            account: Account::Highest,
            program: r"C:\Program Files\Keepwatch\keepwatch.exe".into(),
            config: r"C:\ProgramData\Keepwatch\keepwatch.toml".into(),
            ..Request::packaged()
        }
    }

    #[test]
    fn a_service_that_is_registered_just_so_is_left_alone() {
        let service = service(&request());
        let mut found = ServiceFound {
            command: r#""C:\Program Files\Keepwatch\keepwatch.exe" --config C:\ProgramData\Keepwatch\keepwatch.toml service run"#.to_owned(),
            account: Some("LocalSystem".to_owned()),
            is_automatic: true,
            ..ServiceFound::default()
        };
        assert!(is_same(&service, Some(&found)));
        assert!(!is_same(&service, None));
        found.is_automatic = false;
        assert!(!is_same(&service, Some(&found)));
        found.is_automatic = true;
        found.account = Some(r".\anna".to_owned());
        assert!(!is_same(&service, Some(&found)));
        let as_account = |name: &str| WindowsService {
            account: Some(name.to_owned()),
            ..service.clone()
        };
        let anna = as_account(r".\anna");
        assert!(!is_same(&anna, Some(&found)), "its password may be another");
        found.account = Some(r"OFFICE\backup$".to_owned());
        let managed = as_account(r"OFFICE\backup$");
        assert!(is_same(&managed, Some(&found)), "there is none");
        found.restarts_after_word = true;
        assert!(
            !is_same(&managed, Some(&found)),
            "as an earlier Keepwatch did"
        );
        found.restarts_after_word = false;
        let patient = WindowsService {
            stop_max: Duration::from_secs(600),
            ..managed
        };
        assert!(
            !is_same(&patient, Some(&found)),
            "nobody tells how long it waits"
        );
    }

    #[test]
    fn it_is_started_again_after_every_failure_and_its_folder_is_the_systems() {
        let service = service(&request());
        assert!(!service.restart_after.is_empty() && service.account.is_none());
        let plan = install(&request());
        let told: Vec<String> = plan.steps.iter().map(Step::describe).collect();
        let told = told.join("\n");
        for part in [
            "icacls",
            "S-1-5-18",
            "EventMessageFile",
            "register the service",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn an_end_is_told_with_its_code() {
        assert_eq!(state(None), ServiceState::default());
        let state = state(Some(ServiceFound {
            exit_code: Some(2),
            ..ServiceFound::default()
        }));
        assert!(state.last_exit.unwrap().words().contains("configuration"));
    }

    #[test]
    fn a_failure_that_is_followed_by_another_start_is_told_as_such() {
        let failed = ServiceFound {
            exit_code: Some(1067),
            waits_to_restart: true,
            ..ServiceFound::default()
        };
        let now = state(Some(failed.clone()));
        assert_eq!(now.running, Running::WaitsToRestart);
        assert!(now.last_exit.unwrap().words().contains("the log says why"));
        let last = state(Some(ServiceFound {
            waits_to_restart: false,
            ..failed
        }));
        assert_eq!(last.running, Running::No);
    }

    /// Named after the danger: a computer that shuts down waits ten seconds by default, and a
    /// stop lets uploads end for longer.
    #[test]
    fn a_shutdown_of_the_computer_waits_as_long_as_a_stop_may_take() {
        let request = Request {
            shutdown_timeout_ms: 90_000,
            ..request()
        };
        assert!(service(&request).stop_max > Duration::from_secs(90));
    }
}
