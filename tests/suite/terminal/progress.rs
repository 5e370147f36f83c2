//! What a person sees of a restore and a comparison, in windows of all widths.

use super::screen::Screen;
use crate::harness::finish;
use crate::restart::stop::{Scene, config, with_keys};

/// A file that takes a minute over the slow line, and a moment over the quick one.
const LARGE_BYTES: usize = 6 * 1024 * 1024;

/// Bytes a second of the slow line.
const SLOW: u64 = 100_000;

fn large() -> Vec<u8> {
    let mut bytes = vec![0; LARGE_BYTES];
    fastrand::Rng::with_seed(14).fill(&mut bytes);
    bytes
}

/// Names that are wide, long, or both.
const NAMES: [&str; 4] = [
    "日本語の見積書/請求書２０２６年.txt",
    "👩\u{200d}💻 notes/ü.txt",
    "a/very/long/path/that/goes/on/and/on/beyond/any/window/of/a/usual/width/and/then/some/more/until/it/is/over/one/hundred/and/twenty/columns.txt",
    "plain.txt",
];

/// A scene whose backup is complete, with a large file that the line can be slowed for.
async fn backed_up() -> (Scene, std::path::PathBuf) {
    let scene = Scene::new().await;
    for name in NAMES {
        scene.rig.write(name, "text");
    }
    scene.rig.write("z-large.bin", large());
    let file = config(&scene.rig, &scene.line.address, "");
    let stored = finish(&mut with_keys(&file, &["--reconcile"]));
    assert_eq!(stored.status.code(), Some(0), "{stored:?}");
    (scene, file)
}

/// Nothing of a bar is on the screen: its line begins with a spinner and has a share.
fn no_leftovers(text: &str) {
    for line in text.lines() {
        let is_bar = line.contains("% ") || line.contains("[=") || line.contains("/s) of");
        let has_spinner = line.starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c));
        assert!(
            !is_bar && !has_spinner,
            "{line:?} is left of a bar:\n{text}"
        );
    }
}

/// The share that the bar has, in percent.
fn share(text: &str) -> u64 {
    let (before, _) = text.rsplit_once("% ").unwrap();
    let (_, digits) = before.rsplit_once(|c: char| !c.is_ascii_digit()).unwrap();
    digits.parse().unwrap()
}

/// Lines as the program wrote them: the terminal has broken none within a word.
fn has_line(text: &str, columns: u16, words: &str) -> bool {
    let broken = text.replace('\n', " ");
    let one = broken.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.lines()
            .all(|line| line.chars().count() <= columns.into()),
        "{text}"
    );
    one.contains(words)
}

/// Also named after the bug: over a slow line nothing was said until a whole piece of 4 MiB
/// had come.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_says_how_far_it_is_and_leaves_nothing_but_the_result() {
    let (scene, file) = backed_up().await;
    for columns in [40, 80, 120, 300] {
        let to = scene.rig.dir.path().join(format!("back-{columns}"));
        scene.line.lets_through(SLOW);
        let command = with_keys(&file, &["restore", "--to", to.to_str().unwrap()]);
        let mut screen = Screen::start(columns, &command);
        screen.shows("% ").await;
        let text = screen.text();
        assert!(share(&text) < 20, "nothing was said before: {text}");
        assert!(
            has_line(
                &text,
                columns,
                "If this window is closed, the restore stops; run it again to go on."
            ),
            "{text}"
        );
        scene.line.lets_through(u64::MAX);
        assert_eq!(screen.end(), Some(0), "{}", screen.text());
        let text = screen.text();
        no_leftovers(&text);
        assert!(
            has_line(
                &text,
                columns,
                "All is well: everything that was asked for is there"
            ),
            "{text}"
        );
    }
}

/// Named after the class: what was drawn in a wider window stays in a narrower one.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_resized_in_the_middle_keeps_nothing_of_the_bar() {
    let (scene, file) = backed_up().await;
    for (before, after) in [(120, 60), (60, 160)] {
        let to = scene.rig.dir.path().join(format!("back-{before}"));
        scene.line.lets_through(SLOW);
        let command = with_keys(&file, &["restore", "--to", to.to_str().unwrap()]);
        let mut screen = Screen::start(before, &command);
        screen.shows("% ").await;
        screen.resize(after);
        // It is drawn again at the new width.
        let sent = screen.sent().len();
        crate::harness::until("it is drawn again", async || {
            screen.sent()[sent..].contains("% ")
        })
        .await;
        scene.line.lets_through(u64::MAX);
        assert_eq!(screen.end(), Some(0), "{}", screen.text());
        no_leftovers(&screen.text());
        let text = screen.text().replace('\n', " ");
        assert!(text.contains("All is well"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_wipes_the_bar_and_says_what_is_there() {
    let (scene, file) = backed_up().await;
    let to = scene.rig.dir.path().join("back");
    scene.line.lets_through(SLOW);
    let command = with_keys(&file, &["restore", "--to", to.to_str().unwrap()]);
    let mut screen = Screen::start(80, &command);
    screen.shows("% ").await;
    screen.press(b"\x03");
    screen.shows("stopping: ").await;
    screen.press(b"\x03");
    assert_eq!(screen.end(), Some(130), "{}", screen.text());
    let text = screen.text();
    no_leftovers(&text);
    assert!(
        text.contains("keepwatch: cannot restore everything: interrupted"),
        "{text}"
    );
    assert!(text.contains("run it again to go on"), "{text}");
}

/// Named after the bug: whoever drew the bar of a comparison went on drawing it below the
/// error.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_a_comparison_wipes_its_bar() {
    let scene = Scene::new().await;
    scene.rig.write("z-large.bin", large());
    let file = config(&scene.rig, &scene.line.address, "");
    scene.line.lets_through(SLOW);
    let mut screen = Screen::start(80, &with_keys(&file, &["--reconcile"]));
    screen.shows(" waiting, ").await;
    assert!(
        screen
            .text()
            .contains("If this window is closed, this stops"),
        "{}",
        screen.text()
    );
    screen.press(b"\x03");
    assert_eq!(screen.end(), Some(130), "{}", screen.text());
    let text = screen.text();
    no_leftovers(&text);
    assert!(!text.contains(" waiting, "), "{text}");
    assert!(
        text.contains("keepwatch: cannot reconcile: interrupted"),
        "{text}"
    );
}
