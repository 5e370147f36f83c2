//! Command lines that are right, and ones that are not.

use super::*;
use std::path::Path;

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::from_arguments(std::iter::once("keepwatch").chain(line.iter().copied()))
}

fn restore(line: &[&str]) -> RestoreArgs {
    match parse(line).unwrap().command {
        Some(Command::Restore(args)) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_design_parses() {
    for line in [
        &[][..],
        &["--config", "office.toml"],
        &["--config", "office.toml", "--reconcile"],
        &["--reconcile", "--json", "--quiet"],
        &["--log-level", "debug"],
        &["try"],
        &["try", "folder", "--vault", "dir"],
        &["restore", "--to", "dir"],
        &["sources", "--bucket", "b", "--json"],
        &[
            "sources",
            "--vault",
            "dir",
            "--write-config",
            "f",
            "--below",
            "dir",
        ],
        &["--config", "office.toml", "moments", "--source", "database"],
        &[
            "restore",
            "a/b.txt",
            "*.csv",
            "--to",
            "dir",
            "--source",
            "database",
            "--at",
            "2026-11-20 14:30",
        ],
        &[
            "restore",
            "--to",
            "dir",
            "--config",
            "office.toml",
            "--overwrite",
            "--json",
        ],
        &["--config", "office.toml", "restore", "--to", "dir"],
        &[
            "restore",
            "--to",
            "dir",
            "--bucket",
            "b",
            "--prefix",
            "p",
            "--endpoint-url",
            "http://x",
        ],
        &[
            "restore",
            "--to",
            "dir",
            "--bucket",
            "b",
            "--region",
            "eu-central-1",
            "--profile",
            "backup",
        ],
        &["restore", "--to", "dir", "--vault", "v"],
        &[
            "restore",
            "--to",
            "dir",
            "--vault",
            "v",
            "--source",
            "documents",
        ],
        &[
            "restore", "--to", "dir", "--vault", "v", "--bucket", "b", "--prefix", "p",
        ],
        &["versions", "a/b.txt"],
        &["versions", "a/b.txt", "--json", "--source", "database"],
        &["versions", "a/b.txt", "--bucket", "b"],
        &["status"],
        &["status", "--json", "--config", "office.toml"],
        &["check"],
        &["digest"],
        &["digest", "--send", "--json"],
        &["completions", "bash"],
        &["completions", "powershell"],
        &["man", "dir"],
        &["vault", "serve", "--vault", "v", "--port", "0"],
        &["vault", "serve", "--vault", "v"],
    ] {
        assert!(
            parse(line).is_ok(),
            "{line:?}: {}",
            parse(line).unwrap_err()
        );
    }
}

#[test]
fn wrong_command_lines_exit_with_2() {
    for line in [
        &["restore"][..],
        &["restore", "--to"],
        &["restore", "--dry-run"],
        &["restore", "--in-place", "--overwrite"],
        &["restore", "--diff", "--dry-run"],
        &["restore", "--diff=yesterday", "--in-place"],
        &["restore", "--to", "dir", "--config", "c", "--bucket", "b"],
        &["--config", "c", "restore", "--to", "dir", "--bucket", "b"],
        &["--config", "c", "versions", "x", "--vault", "v"],
        &["restore", "--to", "dir", "--prefix", "p"],
        &["restore", "--to", "dir", "--endpoint-url", "http://x"],
        &[
            "restore",
            "--to",
            "dir",
            "--vault",
            "v",
            "--endpoint-url",
            "http://x",
        ],
        &[
            "restore", "--to", "dir", "--vault", "v", "--bucket", "b", "--region", "r",
        ],
        &["restore", "--to", "dir", "--bucket", "b", "--source", "s"],
        &["versions"],
        &["versions", "a", "b"],
        &["vouch"],
        &["stauts"],
        &["--reconcile", "status"],
        &["--reconcile", "restore", "--to", "dir"],
        &["--json"],
        &["try", "--json"],
        &["digest", "send"],
        &["completions"],
        &["completions", "tcsh"],
        &["completions", "bash", "--json"],
        &["vault"],
        &["vault", "serve"],
        &["vault", "serve", "--vault", "v", "--port", "70000"],
        &["--no-such-flag"],
    ] {
        let error = parse(line).expect_err(&format!("{line:?}"));
        assert_eq!(error.exit_code(), 2, "{line:?}: {error}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["restore", "--help"],
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line:?}");
    }
}

#[test]
fn common_options_count_on_either_side_of_the_command() {
    for line in [
        &[
            "--config",
            "c.toml",
            "--quiet",
            "--log-level",
            "warn",
            "status",
            "--json",
        ][..],
        &[
            "status",
            "--json",
            "-q",
            "--log-level",
            "warn",
            "--config",
            "c.toml",
        ],
    ] {
        let common = parse(line).unwrap().common;
        assert_eq!(
            common.config.as_deref(),
            Some(Path::new("c.toml")),
            "{line:?}"
        );
        assert_eq!(common.log_level.as_deref(), Some("warn"), "{line:?}");
        assert!(common.quiet && common.json, "{line:?}");
        assert!(!common.config_is_from_environment, "{line:?}");
    }
}

#[test]
fn a_place_is_one_of_three() {
    let to = ["restore", "--to", "dir"];
    let with = |more: &[&str]| restore(&[&to[..], more].concat()).place;
    assert_eq!(with(&[]).place(), Place::Configuration);
    assert_eq!(
        with(&["--bucket", "b", "--prefix", "p"]).place(),
        Place::Bucket {
            bucket: "b",
            prefix: "p"
        }
    );
    assert_eq!(
        with(&["--vault", "v"]).place(),
        Place::Vault {
            path: &PathBuf::from("v"),
            bucket: None,
            prefix: ""
        }
    );
}

#[test]
fn restore_keeps_what_was_asked_for_in_order() {
    let args = restore(&[
        "restore",
        "b",
        "a/**",
        "--to",
        "out",
        "--at",
        "2026-11-20",
        "--overwrite",
    ]);
    assert_eq!(args.what, ["b", "a/**"]);
    assert_eq!(args.to.as_deref(), Some(Path::new("out")));
    assert_eq!(args.at.as_deref(), Some("2026-11-20"));
    assert!(args.overwrite);
}

#[test]
fn hidden_commands_stay_out_of_the_help() {
    let help = Cli::command().render_long_help().to_string();
    assert!(
        !help.contains("vault serve") && !help.contains("directly"),
        "{help}"
    );
    for command in [
        "try",
        "restore",
        "versions",
        "status",
        "check",
        "digest",
        "--reconcile",
    ] {
        assert!(help.contains(command), "{command}");
    }
}

/// Every argument of every command, hidden ones too, with the command's name.
fn all_arguments(command: &clap::Command) -> Vec<(String, clap::Arg)> {
    let name = command.get_name().to_owned();
    let own = command.get_arguments().cloned();
    let own = own.map(|argument| (format!("{name} {}", argument.get_id()), argument));
    let below = command.get_subcommands().flat_map(all_arguments);
    own.chain(below).collect()
}

/// What the argument makes of a text; the error as it is printed.
fn taken_as<T: Clone + Send + Sync + 'static>(
    argument: &clap::Arg,
    text: &str,
) -> Result<T, String> {
    let alone = clap::Arg::new("it").value_parser(argument.get_value_parser().clone());
    let command = clap::Command::new("t").no_binary_name(true).arg(alone);
    let matches = command.try_get_matches_from([text]);
    let mut matches = matches.map_err(|error| error.to_string())?;
    Ok(matches.remove_one::<T>("it").unwrap())
}

/// Named after the class: a flag that takes `~` for a folder's name, as no shell expands
/// `--to=~/x`, and cmd and PowerShell expand nothing.
#[test]
fn every_path_on_the_command_line_may_begin_at_home() {
    let home = crate::os::home_dir().unwrap();
    let at_home = home.join("x");
    let (mut paths, mut names) = (0, 0);
    for (name, argument) in all_arguments(&Cli::command()) {
        let shown = argument.get_value_names().unwrap_or_default();
        let is_name = shown.iter().any(|word| word.starts_with("PATH"));
        if argument.get_value_hint() == clap::ValueHint::AnyPath {
            paths += 1;
            let taken = |text: &str| taken_as::<PathBuf>(&argument, text);
            assert_eq!(taken("~/x").as_ref(), Ok(&at_home), "{name}");
            assert_eq!(taken("~").as_ref(), Ok(&home), "{name}");
            assert_eq!(taken("./~/x"), Ok("./~/x".into()), "{name}");
            assert_eq!(taken("a/~"), Ok("a/~".into()), "{name}");
            let refused = taken("~anna/x").unwrap_err();
            assert!(refused.contains("another account"), "{name}: {refused}");
        } else if is_name {
            names += 1;
            let taken = |text: &str| taken_as::<String>(&argument, text);
            assert_eq!(
                taken("~/x").map(PathBuf::from).as_ref(),
                Ok(&at_home),
                "{name}"
            );
            for plain in ["~$offer.docx", "a/~", "./~/x", "*.csv"] {
                assert_eq!(taken(plain).as_deref(), Ok(plain), "{name}");
            }
        } else {
            let says_folder = ["DIR", "FILE", "FOLDER"];
            let is_missed = shown
                .iter()
                .any(|word| says_folder.contains(&word.as_str()));
            assert!(!is_missed, "{name} takes a path, and not by path_parser");
        }
    }
    // `--config` and `--vault` are there once for each command that has them.
    assert!(paths >= 12 && names == 3, "{paths} {names}");
}
