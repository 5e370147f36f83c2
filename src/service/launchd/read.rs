//! What `launchctl print` says of the job.

use super::super::request::{Level, NAME};
use super::super::state::{LastExit, Running, ServiceState};
use crate::os;

/// What the job says of itself: what is nested deeper is about others (its coalitions have a
/// state as well).
fn own_lines(out: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut depth = 0_usize;
    out.lines().filter_map(move |line| {
        let line = line.trim();
        if line.ends_with('{') {
            depth += 1;
        } else if line == "}" {
            depth = depth.saturating_sub(1);
        }
        let (key, value) = line.split_once(" = ")?;
        (depth <= 1).then(|| (key, value.trim()))
    })
}

/// How it ended last. A line on the signal stands in place of that on the code, or beside it.
fn last_exit(value: impl Fn(&'static str) -> Option<String>) -> Option<LastExit> {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let signal = value("last terminating signal")
        .and_then(|text| number(text.rsplit(':').next().unwrap_or_default()));
    let code =
        value("last exit code").and_then(|text| number(text.split(':').next().unwrap_or_default()));
    (signal.is_some() || code.is_some()).then(|| LastExit {
        code: code.filter(|_| signal.is_none()),
        signal,
        was_stuck: false,
        at: None,
    })
}

/// How the job is: `out` is what `launchctl print` says, `disabled` the jobs that may not start,
/// `definition` the file of it that is there.
pub(super) fn read(
    level: Level,
    code: Option<i32>,
    out: &str,
    disabled: &str,
    definition: Option<String>,
) -> ServiceState {
    let value = |name: &'static str| {
        let found = own_lines(out).find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    };
    let is_loaded = code == Some(0);
    let running = match value("state").as_deref() {
        Some("running") if is_loaded => Running::Yes,
        Some("spawn scheduled" | "throttled") if is_loaded => Running::WaitsToRestart,
        _ => Running::No,
    };
    let account = value("username").unwrap_or_else(|| match level {
        Level::System => "root".to_owned(),
        Level::User => os::account_name(),
    });
    let is_disabled = disabled.lines().any(|line| {
        let is = line.trim().split_once(" => ");
        is.is_some_and(|(job, is)| {
            job.trim_matches('"') == NAME && ["disabled", "true"].contains(&is)
        })
    });
    let number = |name: &'static str| {
        let value = value(name).filter(|_| is_loaded)?;
        value.parse::<u64>().ok()
    };
    ServiceState {
        is_installed: is_loaded || definition.is_some(),
        running,
        starts_at_boot: definition.is_some() && !is_disabled,
        pid: number("pid"),
        account: is_loaded.then_some(account),
        last_exit: last_exit(value),
        restarts: number("runs").map(|runs| runs.saturating_sub(1)),
        definition,
        ..ServiceState::default()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// As launchd prints it; the coalitions have a state of their own.
    fn printed(own: &str) -> String {
        format!(
            "system/keepwatch = {{\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/keepwatch.plist\n{own}\n\tresource coalition = {{\n\t\tID = 7\n\t\tstate = active\n\t\tactive count = 1\n\t\tpid = 9\n\t}}\n}}\n"
        )
    }

    fn there() -> Option<String> {
        Some("/Library/LaunchDaemons/keepwatch.plist".to_owned())
    }

    #[test]
    fn a_job_is_read() {
        let text =
            printed("\tstate = running\n\truns = 4\n\tpid = 321\n\tlast exit code = 78: EX_CONFIG");
        let state = read(Level::System, Some(0), &text, "", there());
        assert_eq!((state.running, state.pid), (Running::Yes, Some(321)));
        assert_eq!(state.last_exit.unwrap().code, Some(78));
        assert_eq!(state.account.as_deref(), Some("root"));
        assert_eq!((state.restarts, state.starts_at_boot), (Some(3), true));
        let stopped = read(Level::System, Some(113), "", "", there());
        assert!(stopped.is_installed && stopped.running == Running::No);
        assert_eq!(
            read(Level::System, Some(113), "", "", None),
            ServiceState::default()
        );
    }

    #[test]
    fn each_way_that_a_job_has_ended_is_read() {
        for (own, running, code, signal) in [
            (
                "\tstate = not running\n\tlast exit code = 0",
                Running::No,
                Some(0),
                None,
            ),
            (
                "\tstate = spawn scheduled\n\tlast exit code = 1",
                Running::WaitsToRestart,
                Some(1),
                None,
            ),
            (
                "\tstate = throttled\n\tlast terminating signal = Segmentation fault: 11",
                Running::WaitsToRestart,
                None,
                Some(11),
            ),
            (
                "\tstate = running\n\tlast exit code = (never exited)\n\tlast terminating signal = Killed: 9",
                Running::Yes,
                None,
                Some(9),
            ),
        ] {
            let state = read(Level::System, Some(0), &printed(own), "", there());
            assert_eq!(state.running, running, "{own}");
            let exit = state.last_exit.unwrap();
            assert_eq!((exit.code, exit.signal), (code, signal), "{own}");
            assert_eq!(state.pid, None, "{own}");
        }
        let never = printed("\tstate = not running\n\tlast exit code = (never exited)");
        let never = read(Level::System, Some(0), &never, "", there());
        assert_eq!(never.last_exit, None);
    }

    /// Named after the danger: a job that launchd does not start any more looks installed.
    #[test]
    fn a_job_that_may_not_start_is_told_as_such() {
        for (line, starts) in [
            ("\"keepwatch\" => disabled", false),
            ("\"keepwatch\" => true", false),
            ("\"keepwatch\" => enabled", true),
            ("\"keepwatch.other\" => disabled", true),
        ] {
            let disabled = format!("\tdisabled services = {{\n\t\t{line}\n\t}}\n");
            let state = read(Level::System, Some(113), "", &disabled, there());
            assert_eq!(state.starts_at_boot, starts, "{line}");
        }
    }
}
