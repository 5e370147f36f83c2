//! `keepwatch service`: its options.

use clap::{Args, Subcommand};

/// `keepwatch service`.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ServiceCommand,
}

/// What can be done with the service.
#[derive(Debug, Clone, Subcommand)]
pub enum ServiceCommand {
    /// Have Keepwatch start with the computer: account, folders, rights and definition are made
    Install(InstallArgs),
    /// Remove the service; configuration, state and logs stay
    Uninstall(ChangeArgs),
    /// Start it, and wait until it runs
    Start(LevelArgs),
    /// Stop it, and wait until it has stopped
    Stop(LevelArgs),
    /// Say whether it is installed, runs, starts with the computer, and how it ended last
    Status(LevelArgs),
    /// What a service manager starts
    #[command(hide = true)]
    Run(RunArgs),
}

/// Whose service it is.
#[derive(Debug, Clone, Default, Args)]
pub struct LevelArgs {
    /// The service of this account alone, which runs while it is logged on; needs no rights
    #[arg(long)]
    pub user: bool,
}

/// How a change is made.
#[derive(Debug, Clone, Default, Args)]
pub struct ChangeArgs {
    /// Whose service it is.
    #[command(flatten)]
    pub level: LevelArgs,

    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,

    /// Do it without asking
    #[arg(short, long)]
    pub yes: bool,
}

/// `keepwatch service install`.
#[derive(Debug, Clone, Default, Args)]
pub struct InstallArgs {
    /// How it is made.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Run it as this account [default: one of its own; on macOS and Windows the system's]
    #[arg(long, value_name = "NAME", conflicts_with = "user")]
    pub account: Option<String>,
}

/// `keepwatch service run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// The Task Scheduler has started it when the account logged on
    #[arg(long)]
    pub at_logon: bool,
}
