//! `keepwatch completions SHELL`: the script that completes commands and options there.

use super::args::{Cli, CompletionsArgs, ShellName};
use super::exit_code::COMPLETE;
use crate::types::{Fatal, chain};
use clap_complete::{Shell, generate};

/// Print it.
pub(super) fn run(args: &CompletionsArgs) -> Result<u8, Fatal> {
    let script = String::from_utf8(script(args.shell))
        .map_err(|e| Fatal::new("print the completions", chain(&e), ""))?;
    print_whole!("{}", script.trim_end());
    Ok(COMPLETE)
}

fn script(shell: ShellName) -> Vec<u8> {
    let shell = match shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
        ShellName::PowerShell => Shell::PowerShell,
    };
    let mut command = Cli::visible();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_is_told_every_command_that_is_not_hidden() {
        for shell in ShellName::value_variants() {
            let text = String::from_utf8(script(*shell)).unwrap();
            for command in Cli::visible().get_subcommands() {
                let name = command.get_name();
                assert!(text.contains(name), "{shell:?}: {name}");
            }
            assert!(text.contains("write-config"), "{shell:?}");
            for hidden in ["Serve a vault", "Work on a vault", "Write the manual pages"] {
                assert!(!text.contains(hidden), "{shell:?}: {hidden}");
            }
        }
    }
}
