//! What `service` prints.

use super::super::args::CommonArgs;
use super::super::{link, show};
use super::typed::as_administrator;
use crate::os;
use crate::service::{Level, Plan, Running, ServiceState, Step};
use crate::types::{Fatal, amount, command};
use std::path::Path;

/// The exit code after which no manager that can tell codes apart starts it again.
const WRONG_CONFIGURATION: i64 = 2;

/// The plan, with the files that are written when they are `whole`.
pub(super) fn plan(what: &str, plan: &Plan, whole: bool) {
    println!("{what}, this is done:");
    for (at, step) in plan.steps.iter().enumerate() {
        println!("  {}. {}", at + 1, step.describe());
        if let (Step::Write { content, .. }, true) = (step, whole) {
            for line in content.lines() {
                print_whole!("       | {line}");
            }
        }
    }
    for note in &plan.notes {
        println!("  note: {note}");
    }
}

pub(super) fn in_words(running: Running) -> &'static str {
    match running {
        Running::Yes => "runs",
        Running::Starting => "is starting",
        Running::Stopping => "is stopping",
        Running::WaitsToRestart => "has failed; it is started again by itself in a while",
        Running::No => "does NOT run",
    }
}

/// What is known of its log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Log<'a> {
    /// The folder.
    pub(super) dir: Option<&'a Path>,
    /// The last error, of a service that does not run.
    pub(super) last_error: Option<&'a str>,
}

/// How the service is.
///
/// # Errors
/// The result cannot be printed as JSON.
pub(super) fn state(
    common: &CommonArgs,
    level: Level,
    state: &ServiceState,
    log: &Log,
) -> Result<(), Fatal> {
    if common.json {
        let mut answer = serde_json::json!(state);
        answer["log_dir"] = serde_json::json!(log.dir);
        answer["last_error"] = serde_json::json!(log.last_error);
        if let Some(exit) = &state.last_exit {
            answer["last_exit"]["words"] = exit.words().into();
        }
        return show::json(&answer);
    }
    for line in lines(level, state, log) {
        println!("{line}");
    }
    Ok(())
}

fn lines(level: Level, state: &ServiceState, log: &Log) -> Vec<String> {
    if !state.is_installed {
        let install = as_administrator(level, "install");
        return vec![
            "The service is NOT installed.".to_owned(),
            format!("  what to do: install it: {install}"),
        ];
    }
    let mut lines = vec![format!("The service {}.", in_words(state.running))];
    let boot = match (state.starts_at_boot, level) {
        (true, Level::System) => "it starts with the computer",
        (true, Level::User) => "it starts when this account logs on",
        (false, _) => "it does NOT start by itself; have it do so: install it again",
    };
    lines.push(format!("  start: {boot}"));
    if let Some(account) = &state.account {
        lines.push(format!("  account: {account}"));
    }
    if let Some(pid) = state.pid {
        lines.push(format!("  process: {pid}"));
    }
    if let Some(says) = &state.says {
        lines.push(format!("  says: {says}"));
    }
    if let Some(exit) = &state.last_exit {
        lines.push(format!("  last end: {}", exit.words()));
    }
    if let Some(error) = log.last_error {
        lines.push(format!("  last error: {error}"));
    }
    if let Some(restarts) = state.restarts.filter(|restarts| *restarts > 0) {
        lines.push(format!(
            "  started again by itself: {} since it was started",
            amount(restarts, "time")
        ));
    }
    if let Some(log_dir) = log.dir {
        lines.push(format!("  log: {}", link::path(log_dir)));
    }
    if let Some(journal) = os::service_journal(level == Level::User) {
        lines.push(format!("  output: {journal}"));
    }
    if let Some(definition) = &state.definition {
        lines.push(format!("  definition: {definition}"));
    }
    if state.running == Running::No {
        lines.push(format!("  what to do: {}", remedy(level, state)));
    }
    lines
}

/// How it comes to run again.
fn remedy(level: Level, state: &ServiceState) -> String {
    let start = as_administrator(level, "start");
    let code = state.last_exit.as_ref().and_then(|exit| exit.code);
    match code {
        Some(WRONG_CONFIGURATION) => {
            let check = command::with_configuration("check");
            let check = match level {
                Level::System => os::with_rights(&check),
                Level::User => check,
            };
            format!("see what is wrong: {check}; then start it: {start}")
        }
        _ => format!("start it: {start}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::LastExit;

    #[test]
    fn a_state_is_told_with_what_to_do() {
        let none = lines(Level::System, &ServiceState::default(), &Log::default()).join("\n");
        assert!(
            none.contains("NOT installed") && none.contains("service install"),
            "{none}"
        );
        let stopped = ServiceState {
            is_installed: true,
            starts_at_boot: true,
            last_exit: Some(LastExit {
                code: Some(1),
                signal: None,
                was_stuck: false,
                at: Some("then".to_owned()),
            }),
            ..ServiceState::default()
        };
        let log = Log {
            dir: Some(Path::new("/var/log/keepwatch")),
            last_error: Some("cannot open the vault"),
        };
        let told = lines(Level::User, &stopped, &log).join("\n");
        for part in [
            "does NOT run",
            "when this account logs on",
            "then: failed (code 1)",
            "/var/log/keepwatch",
            "last error: cannot open the vault",
            "service start --user",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let wrong = ServiceState {
            last_exit: stopped.last_exit.clone().map(|exit| LastExit {
                code: Some(2),
                ..exit
            }),
            ..stopped
        };
        for (level, is_administrators) in [(Level::System, true), (Level::User, false)] {
            let told = lines(level, &wrong, &Log::default()).join("\n");
            assert!(
                told.contains("see what is wrong") && told.contains(" check;"),
                "{told}"
            );
            // An administrator needs no more rights.
            let plain = command::with_configuration("check");
            let with_rights = os::with_rights(&plain);
            if with_rights != plain {
                assert_eq!(told.contains(&with_rights), is_administrators, "{told}");
            }
        }
    }
}
