//! The command line without what is hidden: for completions and manual pages.

use super::Cli;
use clap::{Command, CommandFactory as _};

impl Cli {
    /// The command tree that people are shown. clap_complete offers hidden commands as
    /// well, and clap cannot take one out of a tree, so the tree is copied.
    pub(crate) fn visible() -> Command {
        copied(&Self::command())
    }
}

fn copied(command: &Command) -> Command {
    let mut copy = Command::new(command.get_name().to_owned())
        .disable_help_subcommand(true)
        .subcommand_help_heading("COMMANDS")
        .subcommand_value_name("COMMAND")
        .subcommand_required(command.is_subcommand_required_set())
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()))
        .subcommands(
            command
                .get_subcommands()
                .filter(|below| !below.is_hide_set())
                .map(copied),
        );
    for (text, set) in [
        (command.get_about(), Command::about as fn(_, _) -> _),
        (command.get_long_about(), Command::long_about),
        (command.get_after_help(), Command::after_help),
        (command.get_after_long_help(), Command::after_long_help),
    ] {
        if let Some(text) = text {
            copy = set(copy, text.clone());
        }
    }
    if let Some(version) = command.get_version() {
        copy = copy.version(version.to_owned());
    }
    copy
}
