//! Links that can be clicked: where a terminal has them, and nowhere else.

use super::screen::Screen;
use super::tools::said;
use crate::harness::{BUCKET, Rig, finish, program, write_config};
use std::path::Path;
use std::process::Command;

/// How a link begins, whatever it leads to.
const LINK: &str = "\u{1b}]8;;file://";

/// What tells programs of the terminal that they run in.
const OF_TERMINALS: [&str; 9] = [
    "TERM_PROGRAM",
    "VTE_VERSION",
    "COLORTERM",
    "WT_SESSION",
    "KONSOLE_VERSION",
    "DOMTERM",
    "FORCE_HYPERLINK",
    "NO_COLOR",
    "CLICOLOR_FORCE",
];

fn keepwatch(config: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("--config").arg(config).args(arguments);
    for name in OF_TERMINALS {
        command.env_remove(name);
    }
    command
}

/// What was sent to a terminal that says this of itself, and what stands on it.
fn on_terminal(mut command: Command, environment: &[(&str, &str)]) -> (String, String) {
    command.envs(environment.iter().copied());
    let mut screen = Screen::start(300, &command);
    screen.end();
    (screen.sent(), screen.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_has_links_gets_them_and_the_words_stay() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let (_, plain) = on_terminal(keepwatch(&config, &["check"]), &[]);
    let wezterm = ("TERM_PROGRAM", "WezTerm");
    for (more, environment, want) in [
        (&[][..], &[][..], false),
        (&[], &[wezterm], true),
        (&[], &[("FORCE_HYPERLINK", "1")], true),
        (&[], &[wezterm, ("FORCE_HYPERLINK", "0")], false),
        (&[], &[wezterm, ("NO_COLOR", "1")], false),
        (&[], &[wezterm, ("TERM", "dumb")], false),
        (&["--color", "never"], &[wezterm], false),
        (&["--json"], &[wezterm], false),
    ] {
        let arguments = [&["check"], more].concat();
        let (sent, shown) = on_terminal(keepwatch(&config, &arguments), environment);
        assert_eq!(
            sent.contains(LINK),
            want,
            "{more:?} {environment:?}: {sent:?}"
        );
        if more != ["--json"] {
            assert_eq!(shown, plain, "{more:?} {environment:?}");
        }
    }
    // Nobody clicks in a pipe.
    let mut piped = keepwatch(&config, &["check"]);
    piped.envs([wezterm]);
    assert!(!said(&finish(&mut piped)).contains('\u{1b}'));
}

/// Named after the class: a name that ends the link, and begins one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_name_is_an_escape_sequence_stays_within_its_link() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let output = finish(&mut keepwatch(&config, &["--reconcile", "--quiet"]));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let name = "b \u{1b}\\\u{1b}]8;;http://evil/\u{7}c";
    let to = rig.dir.path().join(name);
    let restore = |config: &Path| {
        let mut command = keepwatch(config, &["restore", "--source", BUCKET, "--to"]);
        command.arg(&to);
        command
    };
    let (sent, with) = on_terminal(restore(&config), &[("TERM_PROGRAM", "WezTerm")]);
    assert!(to.join("a.txt").exists(), "{with}");
    assert!(sent.contains(LINK), "{sent:?}");
    assert!(
        sent.contains("/b%20%1B%5C%1B%5D8%3B%3Bhttp%3A/evil/%07c"),
        "{sent:?}"
    );
    assert!(!sent.contains("\u{1b}]8;;http"), "{sent:?}");
    std::fs::remove_dir_all(rig.dir.path().join("b \u{1b}\\\u{1b}]8;;http:")).unwrap();
    let (sent, without) = on_terminal(restore(&config), &[]);
    assert!(!sent.contains("]8;;file"), "{sent:?}");
    assert_eq!(with, without);
}
