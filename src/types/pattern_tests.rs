//! What patterns mean and which are refused.

use super::*;
use proptest::prelude::*;

/// A source `/srv/office` (really `/data/disk1/office`) of anna's, in which `home`
/// and `plain` stand.
fn rule_in(folder: &str, text: &str) -> Result<String, PatternRefused> {
    let is_there = |path: &Path| {
        let path = path.to_str().unwrap();
        [
            "/srv",
            "/home",
            "/etc",
            "/data",
            "/link",
            "/srv/office/home",
            "/srv/office/plain",
            "/office/office",
        ]
        .contains(&path)
    };
    let real = |path: &Path| {
        let path = path.to_str().unwrap();
        let path = path.replacen("/link", "/data/disk1/office", 1);
        PathBuf::from(path.replacen("/srv/office", "/data/disk1/office", 1))
    };
    rule(
        text,
        &Ground {
            folder: Path::new(folder),
            home: Some(Path::new("/srv/office/anna [x]")),
            is_there: &is_there,
            real: &real,
        },
    )
}

fn ruled(text: &str) -> Result<String, PatternRefused> {
    rule_in("/srv/office", text)
}

#[cfg(unix)]
#[test]
fn full_paths_in_the_folder_are_paths_in_it() {
    for (text, want) in [
        ("/srv/office/private", "/private"),
        ("/srv/office/private/", "/private/"),
        ("!/srv/office/private/*.txt", "!/private/*.txt"),
        ("/srv/office/a/./b", "/a/b"),
        ("/srv/office/**/x", "/**/x"),
        // Its real path, and another link to it.
        ("/data/disk1/office/private", "/private"),
        ("/link/private/*.x", "/private/*.x"),
        ("~/private", r"/anna \[x\]/private"),
        ("./private", "/private"),
        ("././*.tmp", "/*.tmp"),
        ("!./keep", "!/keep"),
        // As gitignore has them.
        ("*.tmp", "*.tmp"),
        ("private", "private"),
        ("private/", "private/"),
        ("/Scans/", "/Scans/"),
        ("/Customers/Miller/old", "/Customers/Miller/old"),
        ("notes/**/old", "notes/**/old"),
        ("a/./b", "a/b"),
        ("~$*.docx", "~$*.docx"),
        (r"\#name", r"\#name"),
        (r"a\ ", r"a\ "),
        (r"\ a", r"\ a"),
        ("/etc", "/etc"),
        // In the folder there is something of that name as well.
        ("/home/anna", "/home/anna"),
        ("*/private", "*/private"),
        ("/*/x", "/*/x"),
    ] {
        assert_eq!(ruled(text), Ok(want.to_owned()), "{text}");
    }
    assert_eq!(rule_in("/", "/etc/x"), Ok("/etc/x".to_owned()));
    assert_eq!(rule_in("/office", "office/x"), Ok("office/x".to_owned()));
}

#[cfg(unix)]
#[test]
fn what_can_never_match_is_refused_with_a_proposal() {
    for (text, what, remedy) in [
        ("/etc/ssl/private", "not in /srv/office", "\"/private\""),
        (
            "/etc/ssl/private",
            "not in /srv/office",
            "\"etc/ssl/private\"",
        ),
        ("/home2/../home/x", "`..`", "/private/"),
        ("../x", "`..`", "/private/"),
        ("../office/x", "`..`", "\"/x\""),
        ("a/../b", "`..`", "\"/b\""),
        ("..", "`..`", "/private/"),
        ("/srv", "a folder around", "/private/"),
        ("/srv/office", "the whole folder", "[[source]]"),
        ("/srv/office/", "the whole folder", "[[source]]"),
        ("/link", "the whole folder", "[[source]]"),
        (".", "the whole folder", "[[source]]"),
        ("./", "the whole folder", "[[source]]"),
        ("/", "the whole folder", "[[source]]"),
        ("!/", "the whole folder", "[[source]]"),
        (
            "/office/private",
            "the name of the folder office",
            "\"/private\"",
        ),
        (
            "office/private/",
            "the name of the folder office",
            "\"/private/\"",
        ),
        ("a//b", "two /", "\"a/b\""),
        ("//a", "two /", "\"/a\""),
        ("", "empty", "*.tmp"),
        ("!", "empty", "*.tmp"),
        (" private", "a blank", "\"private\""),
        ("\tprivate", "a blank", "\"private\""),
        (r"Archiv\2024\x", "backslash", "\"Archiv/2024/x\""),
        (r"Users\.cache", "backslash", "\"Users/.cache\""),
        (r"tail\", "backslash", "\"tail/\""),
    ] {
        let refused = ruled(text).expect_err(text);
        assert!(refused.what.contains(what), "{text}: {refused:?}");
        assert!(refused.remedy.contains(remedy), "{text}: {refused:?}");
    }
    let elsewhere = Ground {
        folder: Path::new("/srv/office"),
        home: Some(Path::new("/home/anna")),
        is_there: &|_| false,
        real: &|path| path.to_owned(),
    };
    let refused = rule("~/private", &elsewhere).unwrap_err();
    assert!(refused.what.contains("/home/anna/private"), "{refused:?}");
    let homeless = Ground {
        home: None,
        ..elsewhere
    };
    assert!(rule("~/private", &homeless).is_err());
}

#[test]
fn a_rule_that_leaves_out_everything_is_known() {
    for (text, want) in [
        ("*", true),
        ("/*", true),
        ("**", true),
        ("/**", true),
        ("**/*", true),
        ("/**/*", true),
        ("?*", true),
        ("*/", false),
        ("*.*", false),
        ("??*", false),
        ("a", false),
        ("a/*", false),
        ("!*", false),
        ("", false),
        ("?", false),
    ] {
        assert_eq!(is_everything(text), want, "{text}");
    }
    assert_eq!(leaves_out_everything(&["*.tmp", "*"]), Some(1));
    assert_eq!(leaves_out_everything(&["/*", "!/Customers/"]), None);
    assert_eq!(leaves_out_everything(&["!x", "*"]), Some(1));
    assert_eq!(leaves_out_everything(&["*.tmp"]), None);
    assert_eq!(leaves_out_everything::<&str>(&[]), None);
}

proptest! {
    /// Whatever is typed, what is taken is a line that begins where the text does,
    /// or in the folder, and taking it again changes nothing.
    #[test]
    fn what_is_taken_stays_what_it_is(text in r"[!/.~\\ a*\[]{0,12}") {
        if let Ok(line) = ruled(&text) {
            prop_assert!(!line.contains("//") && !line.contains("/./"), "{}", line);
            prop_assert_eq!(ruled(&line), Ok(line.clone()));
            prop_assert_eq!(line.starts_with('!'), text.starts_with('!'));
        }
    }
}
