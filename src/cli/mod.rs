//! The command line: clap types and one file per command.
//!
//! The only room that prints. It calls `daemon` and the rooms below it; nobody
//! calls it but `main`. Data goes to standard output, everything else to
//! standard error.

// First: its macros are what the other modules print with.
#[macro_use]
mod out;

mod args;
mod check;
mod completions;
mod digest;
mod exit_code;
mod link;
mod logging;
mod man;
mod moments;
mod origins;
mod paint;
mod progress_line;
mod reconcile;
mod restore;
mod run;
mod sample;
mod service;
mod setup;
mod show;
mod sources;
mod stamp;
mod status;
#[cfg(test)]
mod testing;
mod trial;
mod vault;
mod verify;
mod versions;
mod wrap;

pub use args::Cli;

use crate::control::Words;
use crate::types::{Fatal, chain, command};
use args::{Command, VaultCommand};
use exit_code::{COMPLETE, DIFFERENT, FAILED};
use paint::Tone;
use std::ffi::OsString;
use std::time::Duration;

/// Threads for network work. Uploads wait more than they compute, and what
/// computes runs on the blocking threads.
const ASYNC_THREADS: usize = 2;

/// Threads for disk, hashing and compression. A large upload and a scan each
/// hold one while they wait for memory or the queue, and the others must never
/// run out because of that: tokio's own default; idle threads end.
const BLOCKING_THREADS_MAX: usize = 512;

/// How long abandoned blocking work may hold the exit up.
const EXIT_WAIT: Duration = Duration::from_secs(2);

/// The whole program; returns the exit code (docs/OPERATIONS.md lists them).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    run_to_end(Cli::from_arguments(arguments))
}

/// Not generic, so that the commands' futures, which are deep, are laid out once.
fn run_to_end(cli: Result<Cli, clap::Error>) -> u8 {
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            out::note(error.print());
            return exit_code_of(code);
        }
    };
    command::set(origins::reader(&cli));
    let started_by = service::started_by(&cli);
    let ended = match started_by {
        None => in_runtime(cli),
        Some(starter) => service::run_for(starter, move || in_runtime(cli)),
    };
    exit_code_of(ended.unwrap_or_else(|fatal| {
        eprintln!("{} {fatal}", Tone::Bad.paint("keepwatch:"));
        fatal.exit_code()
    }))
}

fn in_runtime(cli: Cli) -> Result<u8, Fatal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ASYNC_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(|error| Fatal::new("start", chain(&error), ""))?;
    let result = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(EXIT_WAIT);
    result
}

/// The exit code of a command that would end with `code`: not with one that says
/// "read what I printed" when that could not be printed.
fn exit_code_of(code: u8) -> u8 {
    let Some(error) = out::trouble() else {
        return code;
    };
    eprintln!(
        "{} cannot print the result: {}",
        Tone::Bad.paint("keepwatch:"),
        chain(&error)
    );
    match code {
        COMPLETE | DIFFERENT => FAILED,
        worse => worse,
    }
}

async fn dispatch(cli: Cli) -> Result<u8, Fatal> {
    let common = cli.common;
    match cli.command {
        None if cli.reconcile => {
            let words = Words {
                confirm_deletions: cli.confirm_deletions,
                take_over: cli.take_over,
            };
            reconcile::run(&common, words).await
        }
        None => run::run(&common).await,
        Some(Command::Try(args)) => trial::run(&common, &args).await,
        Some(Command::Restore(args)) => restore::run(&common, &args).await,
        Some(Command::Versions(args)) => versions::run(&common, &args).await,
        Some(Command::Sources(args)) => sources::run(&common, &args).await,
        Some(Command::Moments(args)) => moments::run(&common, &args).await,
        Some(Command::Verify(args)) => verify::run(&common, &args).await,
        Some(Command::Status) => status::run(&common).await,
        Some(Command::Check) => check::run(&common).await,
        Some(Command::Digest(args)) => digest::run(&common, &args).await,
        Some(Command::Service(args)) => service::run(&common, &args).await,
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Man(args)) => man::run(&args),
        Some(Command::Vault(args)) => match args.command {
            VaultCommand::Serve(args) => vault::serve(&args).await,
        },
    }
}
