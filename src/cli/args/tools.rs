//! Commands beside backing up and restoring: their options.

use super::paths::path_parser;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `keepwatch digest`.
#[derive(Debug, Clone, Args)]
pub struct DigestArgs {
    /// Send it to the topic, too
    #[arg(long)]
    pub send: bool,
}

/// `keepwatch completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: ShellName,
}

/// A shell that can complete commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// Of most Linux systems.
    Bash,
    /// Of macOS.
    Zsh,
    /// fish.
    Fish,
    /// Of Windows.
    #[value(name = "powershell")]
    PowerShell,
}

/// `keepwatch man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The folder; it is made when it is not there
    #[arg(value_name = "DIR", value_parser = path_parser())]
    pub dir: PathBuf,
}

/// `keepwatch vault`.
#[derive(Debug, Clone, Args)]
pub struct VaultArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: VaultCommand,
}

/// The commands on a vault.
#[derive(Debug, Clone, Subcommand)]
pub enum VaultCommand {
    /// Serve a vault on this computer alone, for S3 tools; prints its address
    Serve(VaultServeArgs),
}

/// `keepwatch vault serve`.
#[derive(Debug, Clone, Args)]
pub struct VaultServeArgs {
    /// The vault's folder
    #[arg(long, value_name = "DIR", value_parser = path_parser())]
    pub vault: PathBuf,

    /// The port on the loopback address; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}
