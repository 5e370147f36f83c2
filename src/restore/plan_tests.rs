//! Every plan, every question and every refusal, each with its reason.

use super::*;
use crate::history::Selector;
use crate::types::WallMs;
use crate::types::{ContentHash, ETag, RelKey, VersionId};

const LARGE: u64 = RANGE_BYTES + 1;

fn origin() -> Origin {
    Origin {
        bucket: "b".into(),
        prefix: String::new(),
    }
}

fn found(kind: Kind) -> Fingerprint {
    Fingerprint {
        kind,
        ..Fingerprint::UNSEEN
    }
}

fn meta(kind: Kind) -> ObjectMeta {
    ObjectMeta::of(&found(kind), Some(ContentHash::of(b"x")))
}

fn head(meta: Result<ObjectMeta, MetaRefused>) -> Head {
    Head {
        version_id: VersionId::new("v"),
        etag: "e".into(),
        stored_bytes: 1,
        gzip: false,
        meta,
        bytes_are: crate::s3::BytesAre::default(),
    }
}

fn file() -> Head {
    head(Ok(meta(Kind::File)))
}

fn chosen(name: Name, stored_bytes: u64) -> Chosen {
    Chosen {
        key: "a".into(),
        name,
        version_id: VersionId::new("v"),
        etag: ETag::default(),
        stored_bytes,
        modified_ms: WallMs(0),
        storage_class: String::new(),
    }
}

fn name(key: &str) -> Name {
    Name::Path(RelKey::parse(key).unwrap())
}

/// One object, what is known of it, and what is asked of the restore.
struct Case {
    chosen: Chosen,
    pass: Pass,
    is_fresh: bool,
    is_in_place: bool,
    facts: Facts,
}

impl Case {
    fn of(chosen: Chosen) -> Self {
        Self {
            chosen,
            pass: Pass::Files,
            is_fresh: false,
            is_in_place: false,
            facts: Facts::default(),
        }
    }

    fn small() -> Self {
        Self::of(chosen(name("a"), 1))
    }

    fn large() -> Self {
        Self::of(chosen(name("a"), LARGE))
    }

    fn fresh(self) -> Self {
        Self {
            is_fresh: true,
            ..self
        }
    }

    fn in_place(self) -> Self {
        Self {
            is_in_place: true,
            ..self
        }
    }

    fn last_pass(self) -> Self {
        Self {
            pass: Pass::LinksAndFolders,
            ..self
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.facts);
        self
    }

    fn occupied(self, is_occupied: bool) -> Self {
        self.with(|facts| facts.is_occupied = Some(is_occupied))
    }

    fn head(self, head: Head) -> Self {
        self.with(|facts| facts.head = Some(head))
    }

    fn body(self) -> Self {
        self.with(|facts| facts.has_body = true)
    }

    fn existing(self, existing: Existing) -> Self {
        self.with(|facts| facts.existing = Some(existing))
    }

    fn replaced(self, replaced: Replaced) -> Self {
        self.with(|facts| facts.replaced = Some(replaced))
    }

    fn next(&self) -> Result<Next, Fault> {
        let (origin, selector) = (origin(), Selector::everything());
        let policy = Policy {
            origin: &origin,
            selector: &selector,
            is_fresh: self.is_fresh,
            is_in_place: self.is_in_place,
        };
        next(&self.chosen, self.pass, policy, &self.facts)
    }
}

fn described(key: &str, kind: Kind) -> Described {
    Described {
        path: RelKey::parse(key).unwrap().path(),
        meta: meta(kind),
    }
}

/// What is asked, in the order of what it costs.
#[test]
fn nothing_is_asked_that_is_known_or_does_not_matter() {
    use Next::{Ask, Do};
    use Question::{
        Attributes, Existing as AskExisting, IsOccupied, Metadata, Replaced as AskReplaced,
    };
    let path = || described("a", Kind::File).path;
    let with_apart = ObjectMeta {
        attributes: Carried::Apart(ContentHash::of(b"acl")),
        ..meta(Kind::File)
    };
    let apart = || Described {
        path: path(),
        meta: with_apart.clone(),
    };
    let foreign_name = || chosen(Name::Foreign("no path".into()), 1);
    for (why, case, want) in [
        (
            "an empty target has nothing to look at",
            Case::small().fresh(),
            Do(Plan::FetchWhole),
        ),
        (
            "something may stand there",
            Case::small(),
            Ask(IsOccupied(path())),
        ),
        (
            "nothing stands there",
            Case::small().occupied(false),
            Do(Plan::FetchWhole),
        ),
        (
            "a download may be needless",
            Case::small().occupied(true),
            Ask(Metadata),
        ),
        (
            "a large one is asked in any case",
            Case::large().fresh(),
            Ask(Metadata),
        ),
        (
            "its metadata has the path",
            Case::of(chosen(Name::Shortened, 1)).fresh(),
            Ask(Metadata),
        ),
        (
            "it may claim to be ours",
            Case::of(foreign_name()).fresh(),
            Ask(Metadata),
        ),
        (
            "compared before anything is fetched",
            Case::small().head(file()),
            Ask(AskExisting(described("a", Kind::File))),
        ),
        (
            "and again when the body is at hand",
            Case::small().head(file()).body(),
            Ask(AskExisting(described("a", Kind::File))),
        ),
        (
            "its attributes are elsewhere",
            Case::small().head(head(Ok(with_apart.clone()))),
            Ask(Attributes(apart())),
        ),
        (
            "nothing may be lost in place",
            Case::small()
                .in_place()
                .head(file())
                .existing(Existing::Replaceable),
            Ask(AskReplaced(described("a", Kind::File))),
        ),
    ] {
        assert_eq!(case.next(), Ok(want), "{why}");
    }
}

#[test]
fn every_plan_has_its_reasons() {
    let a = || described("a", Kind::File);
    let at = |key: &str| chosen(name(key), 1);
    let foreign = || head(Err(MetaRefused::Foreign));
    let stored = Replaced::Stored(found(Kind::File));
    let same = Existing::Same { mode: 0o600 };
    let completed = ObjectMeta {
        mode: 0o640,
        ..meta(Kind::File)
    };
    let with_completed = {
        let meta = completed.clone();
        Case::small()
            .fresh()
            .head(file())
            .body()
            .with(|facts| facts.completed = Some(meta))
    };
    for (why, case, want) in [
        ("a folder waits", Case::of(at("a/")), Plan::PutOff),
        (
            "a link waits",
            Case::small().head(head(Ok(meta(Kind::Symlink)))),
            Plan::PutOff,
        ),
        (
            "a file had its turn",
            Case::small().last_pass().head(file()),
            Plan::Skip,
        ),
        (
            "another program's",
            Case::small().head(foreign()),
            Plan::LeaveForeign,
        ),
        (
            "another program's, and no path",
            Case::of(chosen(Name::Foreign("no path".into()), 1)).head(foreign()),
            Plan::LeaveForeign,
        ),
        (
            "it is there",
            Case::small().head(file()).existing(same),
            Plan::LeaveIdentical(a(), 0o600),
        ),
        (
            "it came while it was fetched",
            Case::small().head(file()).body().existing(same),
            Plan::LeaveIdentical(a(), 0o600),
        ),
        (
            "something else is there",
            Case::small().head(file()).existing(Existing::Different),
            Plan::KeepExisting(a().path),
        ),
        (
            "a name that differs in capital letters is there",
            Case::small().head(file()).existing(Existing::OtherName),
            Plan::KeepOtherName(a().path),
        ),
        (
            "its place is free",
            Case::small().head(file()).existing(Existing::Free),
            Plan::FetchWhole,
        ),
        (
            "what is there may go",
            Case::small().head(file()).existing(Existing::Replaceable),
            Plan::FetchWhole,
        ),
        (
            "it is large",
            Case::large().head(file()).existing(Existing::Free),
            Plan::FetchRanges(a()),
        ),
        (
            "in place, the content is right",
            Case::large()
                .in_place()
                .head(file())
                .existing(Existing::Replaceable)
                .replaced(Replaced::SameContent),
            Plan::CopyMetadata(a()),
        ),
        (
            "in place, the bucket has what is there",
            Case::small()
                .in_place()
                .head(file())
                .existing(Existing::Replaceable)
                .replaced(stored),
            Plan::FetchWhole,
        ),
        (
            "in place, nobody knows what is there",
            Case::large()
                .in_place()
                .head(file())
                .existing(Existing::Replaceable)
                .replaced(Replaced::Unknown),
            Plan::FetchRanges(a()),
        ),
        (
            "the body is here, the target was empty",
            Case::small().fresh().head(file()).body(),
            Plan::Write(a()),
        ),
        (
            "the body is here, the place is free",
            Case::small().head(file()).body().existing(Existing::Free),
            Plan::Write(a()),
        ),
        (
            "with the attributes that were fetched",
            with_completed,
            Plan::Write(Described {
                meta: completed,
                ..a()
            }),
        ),
        (
            "a folder's turn",
            Case::of(at("a/"))
                .last_pass()
                .fresh()
                .head(head(Ok(meta(Kind::Folder))))
                .body(),
            Plan::Write(described("a/", Kind::Folder)),
        ),
        (
            "a large link is fetched at once",
            Case::large()
                .last_pass()
                .head(head(Ok(meta(Kind::Symlink))))
                .existing(Existing::Free),
            Plan::FetchWhole,
        ),
    ] {
        assert_eq!(case.next(), Ok(Next::Do(want)), "{why}");
    }
}

#[test]
fn a_shortened_key_that_was_not_asked_for_is_skipped() {
    let long = format!("{}/{}", "d".repeat(200), "x".repeat(1200));
    let key = RelKey::parse_full(&long).unwrap().in_bucket("").key;
    let full = ObjectMeta {
        full_key: Some(crate::types::FullKey::Whole(long)),
        ..meta(Kind::File)
    };
    let facts = Facts {
        head: Some(head(Ok(full))),
        ..Facts::default()
    };
    let one = Chosen {
        key,
        ..chosen(Name::Shortened, 1)
    };
    let origin = origin();
    let typed = crate::history::Typed::new("other").unwrap();
    let other = Selector::of(&[(typed, crate::types::Reading::Name)]);
    let policy = Policy {
        origin: &origin,
        selector: &other,
        is_fresh: true,
        is_in_place: false,
    };
    let skipped = next(&one, Pass::Files, policy, &facts);
    assert_eq!(skipped, Ok(Next::Do(Plan::Skip)));
    let everything = Selector::everything();
    let policy = Policy {
        selector: &everything,
        ..policy
    };
    let asked = next(&one, Pass::Files, policy, &facts).unwrap();
    assert!(
        matches!(asked, Next::Ask(Question::Existing(_))),
        "{asked:?}"
    );
}

#[test]
fn what_is_not_believed_is_refused_and_never_fetched() {
    let foreign_name = || chosen(Name::Foreign("no path".into()), 1);
    for (why, case, words) in [
        (
            "it claims a key that no path has",
            Case::of(foreign_name()).head(file()),
            "its key cannot be used",
        ),
        (
            "of a newer version",
            Case::small().head(head(Err(MetaRefused::Newer(99)))),
            "newer",
        ),
        (
            "broken metadata",
            Case::small().head(head(Err(MetaRefused::Broken("kw-kind")))),
            "kw-kind",
        ),
        (
            "a folder's metadata at a file's key",
            Case::small().head(head(Ok(meta(Kind::Folder)))),
            "disagree",
        ),
        (
            "no path for a shortened key",
            Case::of(chosen(Name::Shortened, 1)).head(file()),
            "does not say the full path",
        ),
        (
            "a folder is in the way",
            Case::small()
                .head(file())
                .existing(Existing::FolderInTheWay),
            "a folder stands where the file was",
        ),
    ] {
        let fault = case.next().expect_err(why);
        assert!(fault.cause.contains(words), "{why}: {fault}");
    }
}

#[test]
fn what_came_meanwhile_is_left_as_it_is() {
    let path = described("a", Kind::File).path;
    for (existing, is_identical) in [
        (Existing::Same { mode: 0o600 }, true),
        (Existing::Different, false),
        (Existing::OtherName, false),
        (Existing::Replaceable, false),
        (Existing::Free, false),
    ] {
        match if_meanwhile(existing, &path).unwrap() {
            Outcome::Identical => assert!(is_identical, "{existing:?}"),
            Outcome::Kept(_) => assert!(!is_identical, "{existing:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(if_meanwhile(Existing::FolderInTheWay, &path).is_err());
}

#[test]
fn rights_that_a_file_has_here_already_are_kept_in_place() {
    let found = |mode, owner| Fingerprint {
        mode,
        owner,
        ..found(Kind::File)
    };
    let then = |mode, owner| ObjectMeta::of(&found(mode, owner), None);
    for (name, now, then, want) in [
        ("no such bits", found(0o755, None), then(0o755, None), true),
        (
            "the same bits",
            found(0o4755, None),
            then(0o4755, None),
            true,
        ),
        ("a new bit", found(0o755, None), then(0o4755, None), false),
        (
            "another owner",
            found(0o4755, Some((1, 1))),
            then(0o4755, Some((2, 2))),
            false,
        ),
        (
            "the same owner",
            found(0o4755, Some((1, 1))),
            then(0o4755, Some((1, 1))),
            true,
        ),
    ] {
        assert_eq!(has_all_rights(&now, &then), want, "{name}");
    }
}
