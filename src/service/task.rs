//! Windows' Task Scheduler: Keepwatch for one account, from its log-on on.

use super::plan::Plan;
use super::request::Request;
use super::state::{LastExit, Running, ServiceState};
use super::step::{Call, Step};
use crate::types::text::xml;
use std::path::Path;

/// The task's name.
const TASK: &str = "Keepwatch";

/// `SCHED_S_TASK_RUNNING`, the last result of a task that runs.
const RUNS: i64 = 0x41301;

/// `SCHED_S_TASK_HAS_NOT_RUN`.
const NEVER_RAN: i64 = 0x41303;

/// `ERROR_CONTROL_C_EXIT` and `SCHED_S_TASK_TERMINATED`, of a task that was ended.
const ENDED: [i64; 2] = [0xC000_013A, 0x41306];

/// `SCHED_S_TASK_READY`, `SCHED_S_TASK_DISABLED` and `SCHED_S_TASK_NO_MORE_RUNS`: nothing that a
/// run has ended with.
const NO_RESULT: [i64; 3] = [0x41300, 0x41302, 0x41304];

/// The column of the last result, in what `schtasks` prints: its words are in the language of
/// the computer, its columns are not.
const RESULT_COLUMN: usize = 6;

/// The task. Without an encoding in its first line it is read as UTF-8.
pub(super) fn definition(request: &Request) -> String {
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let arguments = format!(
        "--config {} service run --at-logon",
        quoted(&request.config)
    );
    format!(
        r#"<?xml version="1.0"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Keepwatch, continuous backup of this account's folders</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{account}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{account}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"#,
        account = xml(&crate::os::account_with_domain()),
        program = xml(&quoted(&request.program)),
        arguments = xml(&arguments),
    )
}

fn schtasks(words: &[&str]) -> Call {
    Call::new("schtasks", words.iter().copied())
}

/// What installs it.
pub(super) fn install(request: &Request, now: &ServiceState) -> Plan {
    let file = request.state_dir.join("task.xml");
    let name = file.display().to_string();
    let write = Step::Write {
        path: file,
        content: definition(request),
        mode: 0o600,
    };
    let create = Step::Run {
        call: schtasks(&["/Create", "/TN", TASK, "/XML", &name, "/F"]),
        what: "have it start when this account logs on",
        after_change: now.is_installed,
        may_fail: false,
    };
    Plan {
        steps: vec![write, create],
        notes: vec!["It runs while this account is logged on.".to_owned()],
    }
}

/// What removes it.
pub(super) fn uninstall(now: &ServiceState) -> Plan {
    let run = |words: &[&str], what, may_fail| Step::Run {
        call: schtasks(words),
        what,
        after_change: false,
        may_fail,
    };
    let mut steps = Vec::new();
    if now.is_installed {
        steps.push(run(&["/End", "/TN", TASK], "stop it", true));
        steps.push(run(
            &["/Delete", "/TN", TASK, "/F"],
            "have it start no more",
            false,
        ));
    }
    Plan {
        steps,
        notes: Vec::new(),
    }
}

/// Has it start.
pub(super) fn start() -> Call {
    schtasks(&["/Run", "/TN", TASK])
}

/// Has it stop. It is ended at once, like by a power cut: the next start takes up the rest.
pub(super) fn stop() -> Call {
    schtasks(&["/End", "/TN", TASK])
}

/// Asks how it is.
pub(super) fn ask() -> Call {
    schtasks(&["/Query", "/TN", TASK, "/V", "/FO", "CSV", "/NH"])
}

/// Asks what it is: whether it may start does not stand in the columns in a language that is
/// known.
pub(super) fn ask_definition() -> Call {
    schtasks(&["/Query", "/TN", TASK, "/XML"])
}

/// How it is, from what was printed; it fails where there is no task.
pub(super) fn parse(code: Option<i32>, out: &str, definition: &str) -> ServiceState {
    if code != Some(0) {
        return ServiceState::default();
    }
    let row = out.trim().trim_matches('"');
    let result = row.split("\",\"").nth(RESULT_COLUMN);
    // Either of both ways to write it.
    let result = result.and_then(|text| match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse::<i64>().ok(),
    });
    let result = result.map(|code| code & 0xFFFF_FFFF);
    let is_an_end = |code: &i64| ![RUNS, NEVER_RAN].contains(code) && !NO_RESULT.contains(code);
    // The whole task, or its one trigger.
    let is_disabled = definition.contains("<Enabled>false</Enabled>");
    ServiceState {
        is_installed: true,
        running: match result {
            Some(RUNS) => Running::Yes,
            _ => Running::No,
        },
        starts_at_boot: !is_disabled,
        account: Some(crate::os::account_name()),
        last_exit: result.filter(is_an_end).map(|code| LastExit {
            code: (!ENDED.contains(&code)).then_some(code),
            signal: None,
            was_stuck: false,
            at: None,
        }),
        definition: Some(format!("the task {TASK} of the Task Scheduler")),
        ..ServiceState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_program_and_configuration_as_xml_takes_them() {
        let request = Request {
            program: r"C:\Tools & more\keepwatch.exe".into(),
            config: r"C:\Users\anna\keepwatch.toml".into(),
            ..Request::packaged()
        };
        let text = definition(&request);
        for part in [
            r"<Command>&quot;C:\Tools &amp; more\keepwatch.exe&quot;</Command>",
            "service run --at-logon</Arguments>",
            "<LogonTrigger>",
            "<ExecutionTimeLimit>PT0S<",
            "<Count>999<",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_task_is_read_by_its_columns() {
        let row = |result: &str| {
            format!(
                "\"PC\",\"\\Keepwatch\",\"N/A\",\"Bereit\",\"Nur interaktiv\",\"30.11.2026 09:00:00\",\"{result}\",\"anna\",\"...\"\r\n"
            )
        };
        let parse = |result: &str| parse(Some(0), &row(result), "");
        assert_eq!(parse("267009").running, Running::Yes);
        assert_eq!(parse("267011").last_exit, None);
        assert_eq!(parse("2").last_exit.unwrap().code, Some(2));
        assert_eq!(parse("-1073741510").last_exit.unwrap().code, None);
        assert_eq!(parse("267014").last_exit.unwrap().code, None);
        assert_eq!(parse("0x41302").last_exit, None);
        assert_eq!(super::parse(Some(1), "", ""), ServiceState::default());
    }

    /// Named after the danger: somebody has switched the task off, and it looks installed.
    #[test]
    fn a_task_that_may_not_start_is_told_as_such() {
        let text = definition(&Request::packaged());
        assert!(parse(Some(0), "", &text).starts_at_boot);
        let off = text.replace("<Settings>", "<Settings>\n    <Enabled>false</Enabled>");
        assert!(!parse(Some(0), "", &off).starts_at_boot);
        let no_trigger = text.replace("<Enabled>true", "<Enabled>false");
        assert!(!parse(Some(0), "", &no_trigger).starts_at_boot);
    }
}
