//! Decides which files a command is about. Pure.

use super::typed::{PATTERN_CHARACTERS, Typed, normalised, taken};
use crate::os;
use crate::types::{Bond, Reading, RelPath, Taken, companion, key_escape, older_form};
use globset::GlobMatcher;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// A listing is narrowed down by at most so many bytes of a key. A shortened key still
/// begins with that much of its path: S3 ends keys at 1,024 bytes, and mark and hash take
/// less than 50 of them.
pub(crate) const LISTING_PREFIX_BYTES_MAX: usize = 900;

/// What was asked for; empty means everything.
#[derive(Debug, Default)]
pub struct Selector {
    rules: Vec<Rule>,
    /// What was typed for the source itself.
    root: Vec<String>,
    taken: Vec<Taken>,
    near: Vec<RelPath>,
}

/// What was asked for and is in none of the sources where it could be, sorted: from what
/// matched and what did not in each of them.
pub fn in_none<'a>(
    each: impl IntoIterator<Item = (&'a Vec<String>, &'a Vec<String>)>,
) -> Vec<String> {
    let (mut there, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for (matched, unmatched) in each {
        there.extend(matched);
        missing.extend(unmatched);
    }
    missing
        .difference(&there)
        .map(|text| (*text).clone())
        .collect()
}

#[derive(Debug)]
struct Rule {
    /// As it was typed, for messages.
    text: String,
    means: Means,
    /// What every key that can match begins with.
    literal: String,
    /// Something matched.
    hit: AtomicBool,
}

#[derive(Debug)]
enum Means {
    /// This path, and all below it.
    Path(RelPath),
    /// What matches, and all below it.
    Pattern(GlobMatcher),
}

impl Selector {
    /// Everything there is.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Paths, folders (with all below them) and patterns, relative to the
    /// source, each with how it is taken. A pattern without `/` matches at any
    /// depth; upper and lower case are told apart. Nothing at all means everything.
    pub fn of(what: &[(Typed, Reading)]) -> Self {
        // The source itself, among whatever else, is everything.
        if what.iter().any(|(typed, _)| typed.exact.is_root()) {
            let root = what.iter().filter(|(typed, _)| typed.exact.is_root());
            return Self {
                root: root.map(|(typed, _)| typed.text.clone()).collect(),
                taken: taken(what),
                ..Self::default()
            };
        }
        Self {
            root: Vec::new(),
            taken: taken(what),
            near: what
                .iter()
                .flat_map(|(typed, _)| typed.misses().near.clone())
                .collect(),
            rules: what
                .iter()
                .map(|(typed, reading)| Rule::new(typed, *reading))
                .collect(),
        }
    }

    /// What exists with a name within a typing slip of what was typed and is not there.
    pub fn near(&self) -> &[RelPath] {
        &self.near
    }

    /// How ambiguous texts were understood.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// True when nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.rules.is_empty()
    }

    /// True when the file, link or folder at `path` was asked for, or its main file was: a
    /// database without its journal is an older database.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.names(path)
            || companion::main_of(path)
                .is_some_and(|(main, bond)| bond != Bond::Lock && self.names(&main))
    }

    fn names(&self, path: &RelPath) -> bool {
        let mut any = self.rules.is_empty();
        // Asks all of them, so that each knows whether it matched anything.
        for rule in &self.rules {
            if rule.matches(path) {
                rule.hit.store(true, Ordering::Relaxed);
                any = true;
            }
        }
        any
    }

    /// What was typed and has matched nothing so far.
    pub fn unmatched(&self) -> Vec<String> {
        self.texts(false)
    }

    /// What was typed and has matched something.
    pub fn matched(&self) -> Vec<String> {
        let mut there = self.texts(true);
        there.extend_from_slice(&self.root);
        there
    }

    fn texts(&self, is_hit: bool) -> Vec<String> {
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| rule.hit.load(Ordering::Relaxed) == is_hit);
        rules.map(|rule| rule.text.clone()).collect()
    }

    /// What to list: prefixes of bucket keys, none of which contains another,
    /// in key order.
    pub fn prefixes(&self, origin_prefix: &str) -> Vec<String> {
        if self.rules.is_empty() {
            return vec![origin_prefix.to_owned()];
        }
        let mut all: Vec<String> = self
            .rules
            .iter()
            // Earlier versions of Keepwatch stored it under another key.
            .flat_map(|rule| [Some(rule.literal.clone()), older_form(&rule.literal)])
            .flatten()
            .map(|literal| {
                let whole = format!("{origin_prefix}{literal}");
                let end = whole.floor_char_boundary(LISTING_PREFIX_BYTES_MAX);
                whole[..end].to_owned()
            })
            .collect();
        all.sort();
        // Sorted, a prefix stands right before what it contains.
        all.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
        all
    }
}

impl Rule {
    fn new(typed: &Typed, reading: Reading) -> Self {
        let path = |path: &RelPath| {
            (
                Means::Path(path.clone()),
                key_escape::encode(path.as_bytes()),
            )
        };
        let (means, literal) = match (reading, &typed.by_key, &typed.pattern) {
            (Reading::Key, Some(by_key), _) => path(by_key),
            (Reading::Pattern, _, Some(glob)) => {
                let plain = normalised(&typed.text);
                let at = plain.find(PATTERN_CHARACTERS).unwrap_or_default();
                // Whole folders only: within a name the next character can
                // change how this one is written in a key (`%` escapes).
                let folder = plain[..at].rfind('/').map_or("", |slash| &plain[..slash]);
                let mut literal = key_escape::encode(folder.as_bytes());
                if !literal.is_empty() {
                    literal.push('/');
                }
                (Means::Pattern(glob.clone()), literal)
            }
            _ => path(&typed.exact),
        };
        Self {
            text: typed.text.clone(),
            means,
            literal,
            hit: AtomicBool::new(false),
        }
    }

    fn matches(&self, path: &RelPath) -> bool {
        match &self.means {
            Means::Path(exact) => path.is_in(exact),
            // A pattern that names a folder means all below it, too.
            Means::Pattern(glob) => std::iter::successors(Some(path.clone()), RelPath::parent)
                .take_while(|path| !path.is_root())
                .any(|path| glob.is_match(os::path_for_patterns(path.as_bytes()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::typed::word_for;

    fn p(bytes: &[u8]) -> RelPath {
        RelPath::from_bytes(bytes).unwrap()
    }

    /// The selector where nothing has a name like the typed one.
    fn selector(what: &[&str]) -> Selector {
        let typed = Typed::all(what).unwrap().into_iter();
        Selector::of(
            &typed
                .map(|one| (one.clone(), one.otherwise()))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn what_a_rule_means() {
        for (rule, path, want) in [
            ("Customers/Miller", "Customers/Miller", true),
            ("Customers/Miller", "Customers/Miller/a/b.txt", true),
            ("Customers/Miller/", "Customers/Miller/a.txt", true),
            ("./Customers/./Miller", "Customers/Miller/a.txt", true),
            ("Customers/Miller", "Customers/Miller2/a.txt", false),
            ("Miller", "Customers/Miller/a.txt", false),
            ("customers", "Customers/a.txt", false),
            ("*.csv", "a.csv", true),
            ("*.csv", "deep/down/a.csv", true),
            ("*.csv", "a.csv.txt", false),
            ("*.csv", "old.csv/inside.txt", true),
            ("Customers/*", "Customers/Miller/a.txt", true),
            ("Customers/*.txt", "Customers/a.txt", true),
            ("Customers/*.txt", "Customers/Miller/a.txt", false),
            ("Customers/M*", "Customers/Miller/a.txt", true),
            ("Customers/M*/", "Customers/Miller/a.txt", true),
            ("Customers/**/*.txt", "Customers/a.txt", true),
            ("Customers/**/*.txt", "Customers/x/y/a.txt", true),
            ("Customers/**", "Customers/x/y/a.txt", true),
            ("**", "any/thing", true),
            ("{a,b}/c?", "b/c1", true),
            ("copy [1].pdf", "copy [1].pdf", false),
            ("copy [1].pdf", "copy 1.pdf", true),
            ("half[open", "half[open/x", true),
            ("100%41", "100%41", true),
            ("db/x.sqlite", "db/x.sqlite-wal", true),
            ("*.sqlite", "db/x.sqlite-journal", true),
            ("x.docx", "~$x.docx", false),
            ("db/x.sqlite-wal", "db/x.sqlite", false),
            ("db/x.sqlite", "db/x.sqlite-old", false),
            (".", "any", true),
            ("./", "any", true),
        ] {
            assert_eq!(
                selector(&[rule]).matches(&p(path.as_bytes())),
                want,
                "{rule}: {path}"
            );
        }
        assert!(selector(&["a/*"]).matches(&p(b"a/caf\xe9")) || cfg!(windows));
    }

    #[test]
    fn what_is_no_path_in_a_source() {
        for text in [
            "../x",
            "a/../b",
            "/etc/passwd",
            "/",
            "a//b",
            "a\0b",
            "",
            " ",
        ] {
            let fatal = Typed::new(text).unwrap_err();
            assert_eq!(fatal.exit_code(), 2, "{text}");
            assert!(!fatal.hint.is_empty(), "{text}");
        }
    }

    #[test]
    fn listings_are_narrowed_down_without_missing_anything() {
        let long = format!("{}/x", "d".repeat(2000));
        for (what, want) in [
            (vec![], vec!["pre/"]),
            (vec!["a/b"], vec!["pre/a/b"]),
            (vec!["a/b", "a/bc", "c"], vec!["pre/a/b", "pre/c"]),
            (vec!["*.csv", "a"], vec!["pre/"]),
            (vec!["a/b*/c"], vec!["pre/a/"]),
            (vec!["a/100%4*"], vec!["pre/a/"]),
            (vec!["a/100%41"], vec!["pre/a/100%2541"]),
            (vec!["Büro/x?"], vec!["pre/Büro/"]),
            (vec![".", "a"], vec!["pre/"]),
        ] {
            assert_eq!(selector(&what).prefixes("pre/"), want, "{what:?}");
        }
        let path = p(long.as_bytes());
        let bucket_key = crate::types::RelKey::of_file(&path).in_bucket("pre/").key;
        let prefixes = selector(&[long.as_str()]).prefixes("pre/");
        assert!(bucket_key.starts_with(&prefixes[0]), "{prefixes:?}");
    }

    #[test]
    fn a_name_that_exists_is_that_name_and_nothing_else() {
        for (text, path, other) in [
            ("copy [1].pdf", "copy [1].pdf", "copy 1.pdf"),
            ("a/[b]/*.txt", "a/[b]/*.txt", "a/b/x.txt"),
            ("x{1,2}?", "x{1,2}?", "x1y"),
            ("[!a]", "[!a]/in/it", "b"),
            ("*", "*", "a"),
            ("**/a\\[1]", "**/a\\[1]", "x/a\\1"),
        ] {
            if cfg!(windows) && text.contains('\\') {
                continue;
            }
            let typed = Typed::new(text).unwrap();
            assert!(typed.is_ambiguous(), "{text}");
            let name = Selector::of(&[(typed.clone(), Reading::Name)]);
            let pattern = Selector::of(&[(typed, Reading::Pattern)]);
            let matched = |selector: &Selector, path: &str| selector.matches(&p(path.as_bytes()));
            assert!(matched(&name, path) && !matched(&name, other), "{text}");
            assert!(matched(&pattern, other), "{text}");
            assert_eq!(name.taken()[0].reading, Reading::Name);
            assert_ne!(name.taken()[0].words(), pattern.taken()[0].words());
        }
        for text in ["a", "half[open", "100%", "a!b", "100%41"] {
            assert!(!Typed::new(text).unwrap().is_ambiguous(), "{text}");
        }
    }

    #[test]
    fn a_word_for_a_path_is_read_as_that_path() {
        for (path, want) in [
            (&b"a/b.csv"[..], "a/b.csv"),
            (b"Rechnung [2].docx", "'Rechnung [2].docx'"),
            (b"it's $HOME", r"'it'\''s $HOME'"),
            (b"-rf", "./-rf"),
            (b"--to", "./--to"),
            (b"caf\xe9", "'caf%E9'"),
            (b"a\nb", "'a%0Ab'"),
            (b" ", "'%20'"),
            (b"~", "'./~'"),
            (b"~/a", "'./~/a'"),
            ("bill\u{202e}fdp.exe".as_bytes(), "'bill%E2%80%AEfdp.exe'"),
            ("a%\u{200f}b\n".as_bytes(), "'a%%E2%80%8Fb%0A'"),
            ("x%41\u{200e}".as_bytes(), "'x%2541%E2%80%8E'"),
        ] {
            let word = word_for(&p(path));
            if !cfg!(windows) {
                assert_eq!(word, want);
            }
            let text = match cfg!(windows) {
                true => word.trim_matches('"').to_owned(),
                false => word.trim_matches('\'').replace(r"'\''", "'"),
            };
            let typed = Typed::new(&text).unwrap();
            assert!(typed.names().any(|(_, name)| *name == p(path)), "{word}");
        }
    }

    /// Named after the bug: what only one of two sources was asked for, and does not have,
    /// counted as found.
    #[test]
    fn what_no_source_has_is_missing_whoever_was_asked_for_it() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        for (sources, want) in [
            (&[][..], &[][..]),
            (&[(&[][..], &["b", "a"][..])], &["a", "b"]),
            (&[(&["c"], &["a", "b"]), (&["a"], &["b", "c"])], &["b"]),
            (&[(&["x"], &["only here"]), (&["x"], &[])], &["only here"]),
        ] {
            let sources: Vec<(Vec<String>, Vec<String>)> = sources
                .iter()
                .map(|(matched, unmatched)| (texts(matched), texts(unmatched)))
                .collect();
            let found = in_none(sources.iter().map(|(there, missing)| (there, missing)));
            assert_eq!(found, want);
        }
    }

    #[test]
    fn what_matched_nothing_is_known() {
        let selector = selector(&["a", "*.csv", "b"]);
        assert!(selector.matches(&p(b"a/x.csv")));
        assert!(!selector.matches(&p(b"c")));
        assert_eq!(selector.unmatched(), ["b"]);
        assert!(Selector::everything().matches(&p(b"x")));
        assert!(Selector::everything().unmatched().is_empty());
    }

    /// Named after the bug: whoever named a source's own folder got all of it, and was told
    /// that it is not in the backup, since another source does not have it.
    #[test]
    fn the_source_itself_is_there() {
        let root = Typed::new("Docs").unwrap().meant(RelPath::root());
        let selector = Selector::of(&[(root, Reading::Alike)]);
        assert!(selector.is_everything());
        assert_eq!(selector.matched(), ["Docs"]);
        let words = selector.taken()[0].words();
        assert!(words.contains("the source's own folder"), "{words}");
    }
}
