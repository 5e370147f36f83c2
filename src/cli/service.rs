//! `keepwatch service`: has Keepwatch start with the computer, and says how that service is.

mod request;
mod show;
mod starter;
mod typed;

pub(super) use starter::{run_for, started_by};

use super::args::{ChangeArgs, CommonArgs, InstallArgs, LevelArgs, ServiceArgs, ServiceCommand};
use super::exit_code::{COMPLETE, FAILED};
use super::{run, setup};
use crate::config::{Config, Needs};
use crate::os;
use crate::service::{
    Account, Level, Manager, Plan, Request, Running, ServiceState, Step, Wanted, carry_out,
    has_password, pending, reach,
};
use crate::types::{Fatal, chain};
use console::Term;
use std::time::Duration;
use typed::{as_administrator, typed};

/// Do what is asked.
pub(super) async fn run(common: &CommonArgs, args: &ServiceArgs) -> Result<u8, Fatal> {
    match &args.command {
        ServiceCommand::Install(args) => install_it(common, args).await,
        ServiceCommand::Uninstall(args) => uninstall_it(common, args).await,
        ServiceCommand::Start(args) => start_or_stop(args, Wanted::Start).await,
        ServiceCommand::Stop(args) => start_or_stop(args, Wanted::Stop).await,
        ServiceCommand::Status(args) => status(common, args).await,
        ServiceCommand::Run(_) => run::run(common).await,
    }
}

fn level(args: &LevelArgs) -> Level {
    match args.user {
        true => Level::User,
        false => Level::System,
    }
}

/// The computer's service takes the right to change it.
fn need_rights(level: Level, verb: &str) -> Result<(), Fatal> {
    if level == Level::User || os::may_change_services() {
        return Ok(());
    }
    Err(Fatal::usage(
        format!("{verb} the computer's service"),
        "this account may not",
        format!(
            "{}; or, for this account alone and as long as it is logged on: {}",
            os::with_rights(&typed(Level::System, verb)),
            typed(Level::User, verb)
        ),
    ))
}

async fn install_it(common: &CommonArgs, args: &InstallArgs) -> Result<u8, Fatal> {
    let level = level(&args.change.level);
    if !args.change.dry_run {
        // No rights help where there is no manager.
        Manager::of_this_computer(level)?;
        need_rights(level, "install")?;
    }
    let config = match level {
        Level::User => setup::config(common, Needs::Nothing)?,
        Level::System => setup::config_for_another(common)?,
    };
    let manager = Manager::of_this_computer(level)?;
    let request = request::of(common, &config, level, args.account.as_deref())?;
    let now = manager.state().await?;
    let mut plan = manager.install(&request, &now);
    plan.notes.extend(request::notes(&request));
    let steps = pending(&plan.steps).await?;
    if steps.is_empty() {
        println!("The service is installed just so already: there is nothing to do.");
    } else {
        let what = match now.is_installed {
            true => "To bring the service up to date",
            false => "To install the service",
        };
        if !agreed(
            what,
            &Plan {
                steps: steps.clone(),
                ..plan.clone()
            },
            &args.change,
        )? {
            return Ok(not_done(&args.change));
        }
        let password = password_of(&request, &steps)?;
        carry_out(&steps, password.as_deref(), |trouble| {
            eprintln!("{trouble}")
        })
        .await?;
        println!("\nThe service is installed.");
    }
    if now.running == Running::No {
        println!("  what to do: start it: {}", typed(level, "start"));
    }
    Ok(COMPLETE)
}

async fn uninstall_it(common: &CommonArgs, args: &ChangeArgs) -> Result<u8, Fatal> {
    let level = level(&args.level);
    let manager = Manager::of_this_computer(level)?;
    if !args.dry_run {
        need_rights(level, "uninstall")?;
    }
    let now = manager.state().await?;
    let mut plan = manager.uninstall(&now);
    let steps = pending(&plan.steps).await?;
    if steps.is_empty() {
        println!("The service is not installed: there is nothing to do.");
        return Ok(COMPLETE);
    }
    if now.running != Running::No {
        plan.notes
            .push("Nothing is backed up from then on.".to_owned());
    }
    // What stays is named where it is known.
    if let Ok(config) = setup::config(common, Needs::Nothing) {
        plan.notes.extend(stays(&config, &now));
    }
    let plan = Plan { steps, ..plan };
    if !agreed("To remove the service", &plan, args)? {
        return Ok(not_done(args));
    }
    carry_out(&plan.steps, None, |trouble| eprintln!("{trouble}")).await?;
    println!("\nThe service is removed. What it has backed up is untouched.");
    Ok(COMPLETE)
}

/// What an uninstallation leaves.
fn stays(config: &Config, now: &ServiceState) -> Vec<String> {
    let file = config.file.as_ref();
    let file = file.map_or_else(String::new, |file| format!("{}, ", file.display()));
    let mut notes = vec![format!(
        "These stay: {file}{}, {} and the markers in the folders.",
        config.state_dir.display(),
        config.log.dir.display()
    )];
    if now.account.as_deref() == Some(crate::service::OWN_ACCOUNT) {
        notes.push(format!(
            "So does the account {}, which they belong to.",
            crate::service::OWN_ACCOUNT
        ));
    }
    notes
}

/// Windows starts a service as an account with that account's password, which it keeps.
///
/// # Errors
/// Nobody can be asked.
fn password_of(request: &Request, steps: &[Step]) -> Result<Option<String>, Fatal> {
    let Account::Named(name) = &request.account else {
        return Ok(None);
    };
    let is_registered = steps
        .iter()
        .any(|step| matches!(step, Step::Register { .. }));
    if !is_registered || !has_password(name) {
        return Ok(None);
    }
    let term = Term::stderr();
    let asked = term
        .write_str(&format!(
            "Password of the account {name} (Windows keeps it): "
        ))
        .and_then(|()| term.read_secure_line());
    asked.map(Some).map_err(|error| {
        Fatal::new(
            format!("ask for the password of {name}"),
            chain(&error),
            "give the command in a terminal",
        )
    })
}

fn not_done(args: &ChangeArgs) -> u8 {
    match args.dry_run {
        true => COMPLETE,
        false => {
            println!("Nothing was done.");
            FAILED
        }
    }
}

/// Show what will be done, and ask.
///
/// # Errors
/// Nobody can be asked.
fn agreed(what: &str, plan: &Plan, args: &ChangeArgs) -> Result<bool, Fatal> {
    show::plan(what, plan, args.dry_run);
    if args.dry_run || args.yes {
        return Ok(args.yes);
    }
    let term = Term::stderr();
    if !console::user_attended() || !term.is_term() {
        return Err(Fatal::usage(
            "ask whether this should be done",
            "there is no terminal to ask at",
            "give the same command with --yes to have it done, or with --dry-run to see it only",
        ));
    }
    let asked = term
        .write_str("\nDo this? [y/N] ")
        .and_then(|()| term.read_line());
    let answer = asked.map_err(|error| {
        Fatal::new(
            "ask whether this should be done",
            chain(&error),
            "give --yes",
        )
    })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

async fn start_or_stop(args: &LevelArgs, wanted: Wanted) -> Result<u8, Fatal> {
    let level = level(args);
    let manager = Manager::of_this_computer(level)?;
    let verb = match wanted {
        Wanted::Start => "start",
        Wanted::Stop => "stop",
    };
    need_rights(level, verb)?;
    reach(manager, wanted).await?;
    match wanted {
        Wanted::Start => println!("The service runs."),
        Wanted::Stop => {
            println!("The service has stopped: nothing is backed up right now.");
            println!("  what to do: to start it again: {}", typed(level, "start"));
        }
    }
    Ok(COMPLETE)
}

async fn status(common: &CommonArgs, args: &LevelArgs) -> Result<u8, Fatal> {
    let level = level(args);
    let manager = Manager::of_this_computer(level)?;
    let mut state = manager.state().await?;
    if state.is_installed && state.last_exit.is_none() {
        state.last_exit = manager.last_failure().await;
    }
    let last_error = match state.running {
        _ if !state.is_installed => None,
        Running::No | Running::WaitsToRestart => manager.last_error().await,
        Running::Starting | Running::Yes | Running::Stopping => None,
    };
    // Where the log is, as far as this account may know.
    let config = setup::config(common, Needs::Nothing).ok();
    let log_dir = config.map(|config| config.log.dir);
    let log = show::Log {
        dir: log_dir.as_deref(),
        last_error: last_error.as_deref(),
    };
    show::state(common, level, &state, &log)?;
    Ok(match state.running {
        Running::Yes => COMPLETE,
        _ => FAILED,
    })
}

/// What installs the service: `program` is the command line up to the command, with the
/// configuration. `None` on a computer whose service manager Keepwatch does not know.
pub(super) fn install_command(common: &CommonArgs, program: &str) -> Option<String> {
    Manager::of_this_computer(Level::System).ok()?;
    let is_fit = setup::config_for_another(common).is_ok();
    Some(install_line(program, is_fit))
}

/// The computer's service has another account as a rule, for which the configuration has to
/// be fit; else there is this account's own.
pub(super) fn install_line(program: &str, is_fit: bool) -> String {
    match is_fit {
        true => os::with_rights(&format!("{program} service install")),
        false => format!("{program} service install --user"),
    }
}

/// How long `status` waits for a service manager, which is not what it was asked about.
const HINT_MAX: Duration = Duration::from_secs(3);

/// One line on the computer's service (or this account's) for `status`, when no daemon answers:
/// it is installed and does not run. Nothing where the managers do not say so soon.
pub(super) async fn hint() -> Option<String> {
    tokio::time::timeout(HINT_MAX, installed_and_down())
        .await
        .ok()
        .flatten()
}

async fn installed_and_down() -> Option<String> {
    for level in [Level::System, Level::User] {
        let Ok(manager) = Manager::of_this_computer(level) else {
            continue;
        };
        let Ok(state) = manager.state().await else {
            continue;
        };
        if state.is_installed && state.running != Running::Yes {
            let start = as_administrator(level, "start");
            return Some(format!(
                "  the service is installed and {}; start it: {start}",
                show::in_words(state.running)
            ));
        }
    }
    None
}
