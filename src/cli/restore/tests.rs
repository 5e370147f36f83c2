//! What goes where, and what counts as found.

use super::parts::texts_by_origin;
use super::*;
use crate::cli::origins::Named;
use crate::types::Origin;
use std::path::PathBuf;

fn named(name: &str, root: Option<&str>) -> Named {
    Named {
        name: name.into(),
        origin: Origin {
            bucket: name.into(),
            prefix: String::new(),
        },
        root: root.map(PathBuf::from),
    }
}

fn done(matched: &[&str], unmatched: &[&str]) -> PartResult {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    PartResult {
        part: Part {
            named: named("a", None),
            what: Vec::new(),
            to: PathBuf::new(),
            moment: None,
        },
        left_alone: None,
        result: Ok(Restored {
            matched: texts(matched),
            unmatched: texts(unmatched),
            ..Restored::default()
        }),
    }
}

#[test]
fn paths_go_to_the_sources_they_lie_in() {
    let origins = [
        named("db", Some("/srv/db")),
        named("docs", Some("/srv/docs")),
    ];
    let what = ["*.csv", "/srv/docs/Miller", "/srv/db"].map(str::to_owned);
    let texts = texts_by_origin(&origins, &what).unwrap();
    assert_eq!(texts, [vec!["*.csv", "."], vec!["*.csv", "Miller"]]);
    let fatal = texts_by_origin(&origins, &["/etc/passwd".to_owned()]).unwrap_err();
    assert!(fatal.exit_code() == 2 && fatal.hint.contains("/srv/docs"));
}

#[test]
fn only_what_no_source_has_is_missing() {
    let two = [done(&["c"], &["a", "b"]), done(&["a"], &["b", "c"])];
    assert_eq!(unmatched(&two), ["b"]);
    assert_eq!(unmatched(&two[..1]), ["a", "b"]);
    assert!(unmatched(&[]).is_empty());
}

#[tokio::test]
async fn work_that_ends_by_itself_is_not_stopped() {
    let (ask, asked) = watch::channel(false);
    let done = until_stopped(ask, async { Ok(7) }).await;
    assert_eq!(done, Ok(7));
    assert!(!*asked.borrow());
}
