//! The command line as types, and nothing else: no command is carried out here.
//!
//! What clap cannot say by itself (which options exclude each other across
//! levels) is checked in [`Cli::from_arguments`], so that a wrong command line
//! is always a usage error with exit code 2.

mod help;
mod paths;
mod place;
mod service;
mod tools;
mod visible;

pub(super) use help::VERSION;
pub use place::{Place, PlaceArgs};
pub use service::{ChangeArgs, InstallArgs, LevelArgs, ServiceArgs, ServiceCommand};
pub use tools::{
    CompletionsArgs, DigestArgs, ManArgs, ShellName, VaultArgs, VaultCommand, VaultServeArgs,
};

use super::paint;
use super::paint::Color;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use help::{AFTER_HELP, COMPLETIONS_HELP, RESTORE_HELP, VERIFY_HELP};
use paths::{name_parser, path_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// Everything on the command line.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "keepwatch",
    version = VERSION,
    about = "Backs up folders into S3 as they change, and proves every day that the backup is whole",
    long_about = "Backs up folders into S3 as they change, and proves every day that the backup is whole.\n\nWithout a command it backs up in the foreground until it is stopped.",
    after_long_help = AFTER_HELP,
    disable_help_subcommand = true,
    styles = super::paint::STYLES
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Bring the backup up to date once, then exit
    #[arg(long)]
    pub reconcile: bool,

    /// Mark as deleted what is missing, even if that is most of the files
    #[arg(long, requires = "reconcile")]
    pub confirm_deletions: bool,

    /// This computer takes the place of the one that the destination belongs to
    #[arg(long, requires = "reconcile")]
    pub take_over: bool,

    /// The command; none means the daemon.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command knows.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// The configuration file [default: keepwatch.toml in the account's or the system's configuration folder]
    #[arg(long, global = true, value_name = "FILE", env = "KEEPWATCH_CONFIG", value_parser = path_parser())]
    pub config: Option<PathBuf>,

    /// Print the result as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,

    /// Print nothing but the result and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// How much to log: error, warn, info, debug or trace [default: as configured]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// Colours: auto (where a terminal wants them), always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,

    /// True when `config` came from `KEEPWATCH_CONFIG` and not from a flag.
    #[arg(skip)]
    pub config_is_from_environment: bool,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// See it work: back up a folder into a vault on this computer, nothing to set up
    Try(TryArgs),
    /// Bring files back, as they are now or as they were at any moment
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// List every version of one file
    Versions(VersionsArgs),
    /// Say what is backed up in a bucket, and write a configuration to go on with it
    Sources(SourcesArgs),
    /// List the moments to go back to
    Moments(MomentsArgs),
    /// Compare what is known here with the bucket, object by object, and name what is damaged
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Say what is protected, what is waiting and what fails
    Status,
    /// Check configuration, credentials, buckets and topic, changing nothing
    Check,
    /// Show the digest of the last day
    Digest(DigestArgs),
    /// Have it run by itself: install, start, stop or remove the service, or say how it is
    Service(ServiceArgs),
    /// Print what completes commands and options in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Work on a vault directly
    #[command(hide = true)]
    Vault(VaultArgs),
    /// Write the manual pages into a folder, for packages
    #[command(hide = true)]
    Man(ManArgs),
}

/// `keepwatch try`.
#[derive(Debug, Clone, Args)]
pub struct TryArgs {
    /// The folder to back up [default: a small sample office that is made for it]
    #[arg(value_name = "FOLDER", value_parser = path_parser())]
    pub folder: Option<PathBuf>,

    /// Where the copies go [default: Keepwatch's data folder]
    #[arg(long, value_name = "DIR", value_parser = path_parser())]
    pub vault: Option<PathBuf>,
}

/// `keepwatch restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// Which files: paths in the source, folders, or patterns like "*.csv" [default: all]
    #[arg(value_name = "PATH|GLOB", value_parser = name_parser())]
    pub what: Vec<String>,

    /// The folder to write to; it is made when it is not there
    #[arg(long, value_name = "DIR", value_parser = path_parser(), required_unless_present_any = ["in_place", "diff"])]
    pub to: Option<PathBuf>,

    /// Restore this source only [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// As everything was at this moment, like "2026-11-20 14:30" [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,

    /// Replace files that are there already
    #[arg(long)]
    pub overwrite: bool,

    /// Into the source's own folder (or --to): only what differs, and what is replaced is kept beside it unless the bucket has it
    #[arg(long, conflicts_with = "overwrite")]
    pub in_place: bool,

    /// Say what would be written, replaced and left, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Say what differs between the moment and the folder of today, or another moment; write paths before it
    #[arg(long, value_name = "TIME", num_args = 0..=1, conflicts_with_all = ["in_place", "dry_run", "overwrite"])]
    pub diff: Option<Option<String>>,

    /// Have what is in cold storage (Glacier) thawed: =standard, =bulk (cheaper, slower) or =expedited
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "standard", value_parser = ["standard", "bulk", "expedited"])]
    pub thaw: Option<String>,

    /// How many days what is thawed can be read
    #[arg(long, value_name = "DAYS", requires = "thaw", default_value_t = crate::types::THAW_DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub thaw_days: u32,

    /// Wait until it is thawed, and restore it then, instead of ending
    #[arg(long, requires = "thaw")]
    pub wait: bool,

    /// Begin even if the disk seems too small
    #[arg(long)]
    pub ignore_space: bool,

    /// Give programs their set-user-id and set-group-id bits back (as root): only when all that can write to the bucket is yours
    #[arg(long)]
    pub keep_set_user_id: bool,

    /// Where the copies are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `keepwatch verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which files: paths in the source, folders, or patterns like "*.csv" [default: all]
    #[arg(value_name = "PATH|GLOB", value_parser = name_parser())]
    pub what: Vec<String>,

    /// Verify this source only [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// Download contents, and compare them with their hashes
    #[arg(long)]
    pub deep: bool,

    /// Download only some of them, at random: "5%", "200" files or "2 GB"
    #[arg(long, value_name = "HOW MANY", requires = "deep")]
    pub sample: Option<String>,

    /// Repeat the sample of another run
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    pub seed: Option<u64>,

    /// Older versions as well, not only the current ones
    #[arg(long)]
    pub all_versions: bool,

    /// Upload again what is damaged and still on this computer
    #[arg(long, conflicts_with_all = ["bucket", "vault"])]
    pub repair: bool,

    /// Where the copies are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `keepwatch versions`.
#[derive(Debug, Clone, Args)]
pub struct VersionsArgs {
    /// The file: its path on this computer, or its path in the source
    #[arg(value_name = "PATH", value_parser = name_parser())]
    pub path: String,

    /// In which source, when the path is in several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// Only those stored before this moment: the way on where there are many
    #[arg(long, value_name = "TIME")]
    pub before: Option<String>,

    /// Where the copies are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `keepwatch sources`.
#[derive(Debug, Clone, Args)]
pub struct SourcesArgs {
    /// Write a configuration with which this computer goes on as the old one
    #[arg(long, value_name = "FILE", value_parser = path_parser())]
    pub write_config: Option<PathBuf>,

    /// The folders in it are below this one, as `restore --to` puts them [default: where they were]
    #[arg(long, value_name = "DIR", value_parser = path_parser(), requires = "write_config")]
    pub below: Option<PathBuf>,

    /// Where the copies are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `keepwatch moments`.
#[derive(Debug, Clone, Args)]
pub struct MomentsArgs {
    /// Of this source only [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// Where the copies are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

impl Cli {
    /// Parse arguments, the program's name first.
    ///
    /// # Errors
    /// clap's own error, which prints itself and knows its exit code: 2 for a
    /// wrong command line, 0 for `--help` and `--version`.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let color = Color::said(&arguments);
        paint::choose(color);
        let command = || Self::command().color(color.of_clap());
        let matches = command().try_get_matches_from(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.common.config_is_from_environment =
            source_of_config(&matches) == Some(ValueSource::EnvVariable);
        match cli.contradiction() {
            None => Ok(cli),
            Some(words) => Err(command().error(ErrorKind::ArgumentConflict, words)),
        }
    }

    /// What clap's own rules do not cover.
    fn contradiction(&self) -> Option<&'static str> {
        let (place, source) = match &self.command {
            Some(Command::Restore(args)) => (Some(&args.place), args.source.as_ref()),
            Some(Command::Versions(args)) => (Some(&args.place), args.source.as_ref()),
            Some(Command::Sources(args)) => (Some(&args.place), None),
            Some(Command::Moments(args)) => (Some(&args.place), args.source.as_ref()),
            Some(Command::Verify(args)) => (Some(&args.place), args.source.as_ref()),
            _ => (None, None),
        };
        let config_flag = self.common.config.is_some() && !self.common.config_is_from_environment;
        let place = place.filter(|place| place.place() != Place::Configuration);
        let bucket_named = place.is_some_and(|place| place.bucket.is_some());
        let no_data = match &self.command {
            None => !self.reconcile,
            Some(Command::Service(args)) => !matches!(args.command, ServiceCommand::Status(_)),
            Some(Command::Try(_) | Command::Completions(_) | Command::Man(_)) => true,
            Some(_) => false,
        };
        if self.reconcile && self.command.is_some() {
            Some("--reconcile goes without a command")
        } else if config_flag && place.is_some() {
            Some(
                "--config says where the copies are, and so does --bucket or --vault: give one of them",
            )
        } else if source.is_some() && bucket_named {
            Some(
                "--source names a source of a configuration; with --bucket the bucket and its --prefix say which files are meant",
            )
        } else if self.common.json && no_data {
            Some("--json goes with a command that prints a result")
        } else {
            None
        }
    }
}

/// Where `--config` came from, at whatever level it was given.
fn source_of_config(matches: &ArgMatches) -> Option<ValueSource> {
    let below = matches
        .subcommand()
        .and_then(|(_, matches)| source_of_config(matches));
    let here = matches
        .try_contains_id("config")
        .is_ok()
        .then(|| matches.value_source("config"))
        .flatten();
    // A flag beats the environment, whichever side of the command it stands on.
    [below, here]
        .into_iter()
        .flatten()
        .max_by_key(|source| *source == ValueSource::CommandLine)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
