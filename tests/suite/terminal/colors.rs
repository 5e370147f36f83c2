//! Colours: where a terminal wants them, and nowhere else.

use super::screen::Screen;
use super::tools::said;
use crate::harness::{Rig, finish, program, write_config};
use std::path::Path;
use std::process::Command;

fn check(config: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("--config").arg(config).arg("check").args(more);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    command
}

fn is_colored(text: &str) -> bool {
    text.contains("\u{1b}[")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_colours_and_they_add_nothing_to_the_words() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let plain = said(&finish(&mut check(&config, &[])));
    assert!(plain.contains("WARNING") && !is_colored(&plain), "{plain}");
    for (more, environment, want) in [
        (&[][..], ("LANG", "C"), true),
        (&["--color", "never"], ("LANG", "C"), false),
        (&[], ("NO_COLOR", "1"), false),
        (&["--color", "always"], ("NO_COLOR", "1"), true),
        (&[], ("TERM", "dumb"), false),
    ] {
        let mut command = check(&config, more);
        command.env(environment.0, environment.1);
        let mut screen = Screen::start(300, &command);
        screen.end();
        let sent = screen.sent();
        assert_eq!(
            sent.contains("\u{1b}[1m\u{1b}[33mWARNING"),
            want,
            "{more:?} {environment:?}: {sent:?}"
        );
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let shown = words(&screen.text());
        assert!(shown.contains(&"WARNING".to_owned()), "{shown:?}");
    }
}

#[test]
fn a_pipe_has_none_unless_somebody_says_so() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    for (more, environment, want) in [
        (&[][..], None, false),
        (&["--color=always"], None, true),
        (&[], Some(("CLICOLOR_FORCE", "1")), true),
        (&["--color=never"], Some(("CLICOLOR_FORCE", "1")), false),
        (&["--json", "--color=always"], None, false),
    ] {
        let mut command = check(&config, more);
        command.envs(environment);
        let output = finish(&mut command);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(is_colored(&text), want, "{more:?} {environment:?}: {text}");
    }
    // Help, and what is wrong with a command line, follow the same word.
    for (words, want) in [
        (&["--color=always", "--help"][..], true),
        (&["--help"], false),
        (&["--color", "always", "stauts"], true),
        (&["stauts", "--color=never"], false),
    ] {
        let mut command = program();
        command
            .args(words)
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        assert_eq!(is_colored(&said(&finish(&mut command))), want, "{words:?}");
    }
}
