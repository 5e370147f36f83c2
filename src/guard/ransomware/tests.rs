//! What is an attack and what is ordinary work.

use super::*;
use crate::types::Look;

const T_MS: i64 = 1_795_000_000_500;

fn p(text: impl AsRef<str>) -> RelPath {
    RelPath::from_bytes(text.as_ref()).unwrap()
}

/// What a worker does with what it finds, and no more.
#[derive(Default)]
struct Source {
    window: Window,
    halves: Halves,
}

impl Source {
    fn store(&mut self, path: &str, old: Option<Look>, new: Look, at_ms: i64) -> bool {
        let (path, at_ms) = (p(path), WallMs(at_ms));
        let incident = match old {
            _ if !matches!(new, Noise | Blank) => None,
            Some(old) if old.was_plain(path.name()) && new == Blank => {
                self.window
                    .emptied(&mut self.halves, &path, at_ms, at_ms, 1000)
            }
            Some(old) if old.was_plain(path.name()) => {
                self.window
                    .rewritten(&path, WallMs(at_ms.0), WallMs(at_ms.0), 1000)
            }
            Some(_) => None,
            None => self
                .window
                .came(&mut self.halves, &path, new, at_ms, at_ms, 1000),
        };
        incident.is_some()
    }

    fn delete(&mut self, path: &str, old: Look, at_ms: i64) -> bool {
        let (path, at_ms) = (p(path), WallMs(at_ms));
        let was_plain = old.was_plain(path.name());
        was_plain
            && self
                .window
                .gone(&mut self.halves, &path, at_ms, at_ms, 1000)
                .is_some()
    }
}

use crate::types::Look::{Blank, Noise, Plain, Unknown};

/// (old name and look, new name and look) of each of many files.
type Step = (Option<(&'static str, Look)>, Option<(&'static str, Look)>);

#[test]
fn what_is_an_attack_and_what_is_not() {
    let cases: &[(&str, Step, bool)] = &[
        (
            "rewritten",
            (Some(("#.docx", Plain)), Some(("#.docx", Noise))),
            true,
        ),
        (
            "index of an earlier version",
            (Some(("#.docx", Unknown)), Some(("#.docx", Noise))),
            true,
        ),
        (
            "ending added",
            (Some(("#.docx", Plain)), Some(("#.docx.xyz", Noise))),
            true,
        ),
        (
            "ending replaced",
            (Some(("#.docx", Plain)), Some(("#.xyz", Noise))),
            true,
        ),
        (
            "mail address added",
            (
                Some(("#.docx", Plain)),
                Some(("#.docx.id-7.[a@b.example].xyz", Noise)),
            ),
            true,
        ),
        (
            "emptied",
            (Some(("#.docx", Plain)), Some(("#.docx", Blank))),
            true,
        ),
        (
            "emptied, ending added",
            (Some(("#.csv", Plain)), Some(("#.csv.xyz", Blank))),
            true,
        ),
        (
            "emptied, ending replaced",
            (Some(("#.docx", Plain)), Some(("#.xyz", Blank))),
            true,
        ),
        (
            "logs emptied",
            (Some(("#.log", Plain)), Some(("#.log", Blank))),
            false,
        ),
        (
            "tables emptied for the next export",
            (Some(("#.csv", Plain)), Some(("#.csv", Blank))),
            false,
        ),
        (
            "imported and said so",
            (Some(("#.csv", Plain)), Some(("#.csv.done", Blank))),
            false,
        ),
        (
            "empty files renamed",
            (Some(("#.txt", Blank)), Some(("#.txt.bak", Blank))),
            false,
        ),
        ("empty files made", (None, Some(("#.xyz", Blank))), false),
        (
            "an encrypted container",
            (Some(("#.hc", Noise)), Some(("#.hc", Noise))),
            false,
        ),
        (
            "a container, earlier version",
            (Some(("#.hc", Unknown)), Some(("#.hc", Noise))),
            false,
        ),
        (
            "a password safe",
            (Some(("#.kdbx", Noise)), Some(("#.kdbx", Noise))),
            false,
        ),
        ("photos imported", (None, Some(("#.jpg", Plain))), false),
        ("raw photos imported", (None, Some(("#.xyz", Noise))), false),
        ("an archive unzipped", (None, Some(("#.bin", Noise))), false),
        ("git gc", (Some((".git/objects/ab/#", Plain)), None), false),
        (
            "git gc, noise",
            (
                Some((".git/objects/ab/#", Noise)),
                Some((".git/objects/pack/#.pack", Plain)),
            ),
            false,
        ),
        (
            "videos rendered",
            (Some(("#.mov", Plain)), Some(("#.mp4", Plain))),
            false,
        ),
        (
            "jpeg to jpg",
            (Some(("#.jpeg", Plain)), Some(("#.jpg", Plain))),
            false,
        ),
        (
            "an export gzipped",
            (Some(("#.csv", Plain)), Some(("#.csv.gz", Plain))),
            false,
        ),
        (
            "text edited",
            (Some(("#.txt", Plain)), Some(("#.txt", Plain))),
            false,
        ),
        ("deleted", (Some(("#.docx", Plain)), None), false),
        (
            "noise renamed",
            (Some(("#.dat", Noise)), Some(("#.bin", Noise))),
            false,
        ),
        (
            "encrypted copies beside",
            (None, Some(("#.docx.gpg", Noise))),
            false,
        ),
        (
            "other names",
            (Some(("a#.docx", Plain)), Some(("b#.xyz", Noise))),
            false,
        ),
    ];
    for (what, (old, new), want) in cases {
        for new_first in [false, true] {
            let mut source = Source::default();
            let mut found = false;
            for n in 0..200 {
                let name = |text: &str| format!("d/{}", text.replace('#', &n.to_string()));
                let at_ms = T_MS + n * 100;
                let store = |source: &mut Source| {
                    let Some((path, look)) = *new else {
                        return false;
                    };
                    let before = old.filter(|(o, _)| *o == path).map(|(_, look)| look);
                    source.store(&name(path), before, look, at_ms)
                };
                if new_first {
                    found |= store(&mut source);
                }
                if let Some((path, look)) = *old
                    && new.is_none_or(|(new, _)| new != path)
                {
                    found |= source.delete(&name(path), look, at_ms);
                }
                if !new_first {
                    found |= store(&mut source);
                }
            }
            assert_eq!(found, *want, "{what}, new first: {new_first}");
            assert!(source.window.suspects.len() as u64 <= FILES);
            assert!(source.halves.gone.len() <= NAMES_MAX);
        }
    }
}

#[test]
fn an_incident_says_how_far_to_go_back_and_the_ending() {
    let mut source = Source::default();
    let mut incident = None;
    for n in 0..FILES {
        assert_eq!(incident, None, "{n}");
        let (old, new) = (p(format!("{n}.xls")), p(format!("{n}.xls.abc")));
        let at_ms = T_MS + i64::try_from(n).unwrap() * 1000;
        source
            .window
            .gone(&mut source.halves, &old, WallMs(at_ms), WallMs(at_ms), 1000);
        let (halves, now_ms) = (&mut source.halves, at_ms + 50);
        incident = source
            .window
            .came(halves, &new, Noise, WallMs(now_ms), WallMs(now_ms), 1000);
    }
    let want = Incident {
        before_ms: WallMs(T_MS - 2500),
        files: FILES,
        ending: Some(".abc".into()),
        is_emptied: false,
    };
    assert_eq!(incident, Some(want));
    source.window.forgive(&mut source.halves, ".abc");
    assert!(source.window.suspects.is_empty());
    let (old, new) = (p("z.xls"), p("z.xls.abc"));
    source
        .window
        .gone(&mut source.halves, &old, WallMs(T_MS), WallMs(T_MS), 8);
    source.window.came(
        &mut source.halves,
        &new,
        Noise,
        WallMs(T_MS),
        WallMs(T_MS),
        8,
    );
    assert!(
        source.window.suspects.is_empty(),
        "it is not looked for again"
    );
}

#[test]
fn slow_work_is_no_incident_and_small_sources_need_fewer() {
    let mut window = Window::default();
    for n in 0..1000 {
        let at_ms = T_MS + n * (WINDOW_MS / 15);
        assert_eq!(
            window.rewritten(&p(n.to_string()), WallMs(at_ms), WallMs(at_ms), 1000),
            None
        );
    }
    for (known, want) in [(0, 8), (15, 8), (20, 10), (40, 20), (1_000_000, 20)] {
        assert_eq!(threshold(known), want, "{known}");
    }
    let mut window = Window::default();
    for _ in 0..100 {
        let again = window.rewritten(&p("the same"), WallMs(T_MS), WallMs(T_MS), 1000);
        assert_eq!(again, None, "one file is one file");
    }
}

#[test]
fn a_clock_set_back_does_not_blind_the_window() {
    let mut window = Window::default();
    let day_ms = 24 * 60 * 60 * 1_000;
    window.rewritten(
        &p("before"),
        WallMs(T_MS + day_ms),
        WallMs(T_MS + day_ms),
        1000,
    );
    let found = (0..FILES).any(|n| {
        let path = p(n.to_string());
        window
            .rewritten(&path, WallMs(T_MS), WallMs(T_MS), 1000)
            .is_some()
    });
    assert!(found);
}

#[test]
fn texts_that_are_emptied_first_and_renamed_later_are_an_incident() {
    let mut source = Source::default();
    let mut found = false;
    for n in 0..FILES {
        let at_ms = T_MS + i64::try_from(n).unwrap() * 1000;
        let (old, new) = (format!("{n}.txt"), format!("{n}.txt.abc"));
        assert!(!source.store(&old, Some(Plain), Blank, at_ms));
        found |= source.store(&new, None, Blank, at_ms + 100);
    }
    assert!(found);
    // What was rotated away and is encrypted by its owner is not what was emptied.
    let mut source = Source::default();
    for n in 0..200 {
        let at_ms = T_MS + n * 100;
        source.store(&format!("{n}.log"), Some(Plain), Blank, at_ms);
        assert!(!source.store(&format!("{n}.log.1.gpg"), None, Noise, at_ms));
    }
}
