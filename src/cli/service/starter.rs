//! `keepwatch service run`: the daemon for a service manager of Windows, which wants to be
//! answered before anything else is done.

use super::super::args::{Cli, Command, ServiceCommand};
use super::super::exit_code::COMPLETE;
use super::typed::typed;
use crate::os;
use crate::os::Ended;
use crate::service::{Level, NAME};
use crate::types::{Fatal, FatalKind, chain};

/// Who has started this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// The service manager.
    ServiceManager,
    /// The Task Scheduler, when an account logged on.
    TaskScheduler,
}

/// Who has started it, where that is one of them.
pub(crate) fn started_by(cli: &Cli) -> Option<Starter> {
    let Some(Command::Service(args)) = &cli.command else {
        return None;
    };
    match &args.command {
        ServiceCommand::Run(run) if run.at_logon => Some(Starter::TaskScheduler),
        ServiceCommand::Run(_) => Some(Starter::ServiceManager),
        _ => None,
    }
}

/// Do the work for who has started this process; its exit code.
///
/// # Errors
/// Nobody of the kind has started it.
pub(crate) fn run_for(
    starter: Starter,
    work: impl FnOnce() -> Result<u8, Fatal> + Send + 'static,
) -> Result<u8, Fatal> {
    if starter == Starter::TaskScheduler {
        os::leave_console();
        return work();
    }
    match os::run_as_service(NAME, Box::new(move || with_events(work))) {
        Ok(ended) => ended.map_err(|error| {
            Fatal::new(
                "work as a service",
                chain(&error),
                "look into the event log",
            )
        }),
        Err(_) => Err(Fatal::usage(
            "work as a service",
            "no service manager has started this",
            "this is what Windows' service manager starts. By hand it is the same command without `service run`",
        )),
    }
}

/// The event log has start, end and failure.
fn with_events(work: impl FnOnce() -> Result<u8, Fatal>) -> Ended {
    os::write_event(NAME, false, "Keepwatch starts.");
    match work() {
        Ok(code) => {
            let text = format!("Keepwatch has stopped (exit code {code}).");
            os::write_event(NAME, code != COMPLETE, &text);
            Ended {
                code,
                may_pass: code != COMPLETE,
            }
        }
        Err(fatal) => {
            let (ended, text) = failed(&fatal);
            os::write_event(NAME, true, &text);
            ended
        }
    }
}

/// How this counts, and the event of it. A wrong configuration does not become right by itself;
/// whatever else it was, another try may end better, as with systemd.
fn failed(fatal: &Fatal) -> (Ended, String) {
    let may_pass = fatal.kind != FatalKind::Usage;
    let next = match may_pass {
        true => {
            "Unless somebody has stopped it, it is started again by itself within half a minute."
                .to_owned()
        }
        false => {
            let start = typed(Level::System, "start");
            format!("It is NOT started again by itself: put that right, then {start}")
        }
    };
    let ended = Ended {
        code: fatal.exit_code(),
        may_pass,
    };
    (ended, format!("Keepwatch has failed: {fatal}\n{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_configuration_waits_for_a_person_and_all_else_is_tried_again() {
        let (wrong, text) = failed(&Fatal::usage("read it", "no such key", "mend it"));
        assert_eq!((wrong.code, wrong.may_pass), (2, false));
        assert!(
            text.contains("NOT started again") && text.contains("service start"),
            "{text}"
        );
        let (away, text) = failed(&Fatal::new("open the vault", "it is away", "plug it in"));
        assert_eq!((away.code, away.may_pass), (1, true));
        assert!(text.contains("started again by itself"), "{text}");
    }
}
