//! Which file of a crate imports which, as its source says: circles among files, and
//! files that no module declares.
//!
//! It reads paths alone (`use super::log::Log`, `crate::disk::read_at(`), in tests as in
//! the rest. A `mod` line imports nothing. A path ends at the file of the deepest module
//! that it names, so what a `mod.rs` passes on from a file below it is imported from that
//! `mod.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// A module's path from the crate's root.
type Module = Vec<String>;

/// Files of which each can be reached from each by imports.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    pub files: Vec<String>,
    /// Who imports whom among them, and one path that says so.
    pub imports: Vec<(String, String, String)>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a circle of {}:", self.files.join(", "))?;
        for (from, to, path) in &self.imports {
            write!(f, "\n  {from} imports {to}: {path}")?;
        }
        Ok(())
    }
}

/// The files of one crate.
pub struct Sources {
    /// By module; the names are from the crate's root folder.
    files: BTreeMap<Module, String>,
    /// The modules that files declare.
    declared: BTreeSet<Module>,
    /// For each file the files that it imports from, each with one path.
    imports: BTreeMap<String, BTreeMap<String, String>>,
}

impl Sources {
    /// Reads all files below `root`, which has `lib.rs`. Programs beside it (`main.rs`,
    /// `bin/`) import the library and are left out.
    pub fn read(root: &Path) -> Self {
        let mut texts = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    texts.push((path.strip_prefix(root).unwrap().to_owned(), text));
                }
            }
        }
        Self::of(texts)
    }

    /// The same of texts, by file name.
    pub fn of(texts: Vec<(PathBuf, String)>) -> Self {
        let mut texts: Vec<(Module, String, String)> = texts
            .into_iter()
            .filter_map(|(file, text)| {
                let name = file.to_str().unwrap().replace('\\', "/");
                Some((module_of(&file)?, name, text))
            })
            .collect();
        let mut elsewhere = BTreeMap::new();
        for (module, name, text) in &texts {
            let mut reader = Reader::new(module.clone(), text);
            reader.read();
            for (path, child) in reader.elsewhere {
                let file = Path::new(name).with_file_name(path);
                elsewhere.insert(file.to_str().unwrap().replace('\\', "/"), child);
            }
        }
        for (module, name, _) in &mut texts {
            if let Some(named) = elsewhere.remove(name) {
                *module = named;
            }
        }
        let files: BTreeMap<Module, String> = texts
            .iter()
            .map(|(module, name, _)| (module.clone(), name.clone()))
            .collect();
        let mut declared = BTreeSet::from([Module::new()]);
        let mut imports: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (module, name, text) in &texts {
            let mut reader = Reader::new(module.clone(), text);
            reader.read();
            declared.extend(reader.declared);
            let of_file = imports.entry(name.clone()).or_default();
            for (base, path) in reader.paths {
                if let Some(to) = file_of(&files, &base, &path)
                    && to != name
                {
                    of_file.entry(to.clone()).or_insert(path.join("::"));
                }
            }
        }
        Self {
            files,
            declared,
            imports,
        }
    }

    /// How many imports between files were recognised: a test that found none has
    /// looked at nothing.
    pub fn count(&self) -> usize {
        self.imports.values().map(BTreeMap::len).sum()
    }

    /// Every circle, with the files in it.
    pub fn circles(&self) -> Vec<Circle> {
        let names: Vec<&String> = self.files.values().collect();
        let reached: BTreeMap<&String, BTreeSet<&String>> = names
            .iter()
            .map(|name| (*name, self.reached_from(name)))
            .collect();
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            let files: Vec<String> = reached[name]
                .iter()
                .filter(|other| reached[**other].contains(name))
                .map(|other| (*other).clone())
                .collect();
            if files.len() < 2 || !seen.insert(files.clone()) {
                continue;
            }
            let imports = files
                .iter()
                .flat_map(|from| self.imports[from].iter().map(move |import| (from, import)))
                .filter(|(_, (to, _))| files.contains(to))
                .map(|(from, (to, path))| (from.clone(), to.clone(), path.clone()))
                .collect();
            circles.push(Circle { files, imports });
        }
        circles
    }

    /// The files that importing leads to, by however many steps.
    fn reached_from<'a>(&'a self, name: &str) -> BTreeSet<&'a String> {
        let mut reached = BTreeSet::new();
        let mut next = vec![name];
        while let Some(name) = next.pop() {
            for to in self.imports.get(name).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to) {
                    next.push(to);
                }
            }
        }
        reached
    }

    /// Files that no `mod` line of their parent declares: nobody compiles them.
    pub fn orphans(&self) -> Vec<String> {
        self.files
            .iter()
            .filter(|(module, _)| !self.declared.contains(*module))
            .map(|(_, name)| name.clone())
            .collect()
    }
}

/// The module that a file is; `None` for programs.
fn module_of(file: &Path) -> Option<Module> {
    let mut module: Module = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    match module.last().map(String::as_str) {
        Some("lib") if module.len() == 1 => module.clear(),
        Some("main") if module.len() == 1 => return None,
        Some("mod") => {
            module.pop();
        }
        _ => {}
    }
    (module.first().map(String::as_str) != Some("bin")).then_some(module)
}

/// The file that a path in the module `base` leads to; `None` for other crates.
fn file_of<'a>(
    files: &'a BTreeMap<Module, String>,
    base: &Module,
    path: &[String],
) -> Option<&'a String> {
    let mut module = base.clone();
    let mut rest = path.iter().map(String::as_str).peekable();
    match rest.peek() {
        Some(&"crate") => {
            module.clear();
            rest.next();
        }
        Some(&"self") => {
            rest.next();
        }
        Some(&"super") => {}
        Some(first) => {
            let mut child = module.clone();
            child.push((*first).to_owned());
            files.get(&child)?;
        }
        None => return None,
    }
    while rest.next_if_eq(&"super").is_some() {
        module.pop();
    }
    for name in rest {
        module.push(name.to_owned());
        if !files.contains_key(&module) {
            module.pop();
            break;
        }
    }
    // Up to the file that an inline module is in.
    while !files.contains_key(&module) {
        module.pop()?;
    }
    files.get(&module)
}

/// Collects what one file declares and names.
struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    /// The module that is read, with inline modules around the place.
    module: Module,
    /// For each open brace whether it is an inline module's.
    braces: Vec<bool>,
    declared: Vec<Module>,
    /// The files that `#[path]` names, from this one's folder, and what modules they are.
    elsewhere: Vec<(String, Module)>,
    /// The last `#[path]` whose `mod` is still to come.
    path: Option<String>,
    /// Each with the module that it stands in.
    paths: Vec<(Module, Vec<String>)>,
}

impl<'a> Reader<'a> {
    fn new(module: Module, text: &'a str) -> Self {
        Self {
            tokens: tokens(text),
            at: 0,
            module,
            braces: Vec::new(),
            declared: Vec::new(),
            elsewhere: Vec::new(),
            path: None,
            paths: Vec::new(),
        }
    }

    fn peek(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).copied().unwrap_or("")
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek(0);
        self.at += 1;
        token
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            match (self.peek(0), self.peek(1), self.peek(2)) {
                // Who may see something is no import.
                ("pub", "(", _) => while !matches!(self.next(), ")" | "") {},
                ("path", "=", file) if file.starts_with('"') => {
                    self.path = Some(file.trim_matches('"').to_owned());
                    self.at += 3;
                }
                ("mod", name, ";") => {
                    let mut child = self.module.clone();
                    child.push(name.to_owned());
                    if let Some(path) = self.path.take() {
                        self.elsewhere.push((path, child.clone()));
                    }
                    self.declared.push(child);
                    self.at += 3;
                }
                ("mod", name, "{") => {
                    self.module.push(name.to_owned());
                    self.braces.push(true);
                    self.at += 3;
                }
                ("{", _, _) => {
                    self.braces.push(false);
                    self.at += 1;
                }
                ("}", _, _) => {
                    if self.braces.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                // `impl Trait + use<'a>` imports nothing.
                ("use", "<", _) => self.at += 1,
                ("use", _, _) => {
                    self.at += 1;
                    self.read_use(&[]);
                }
                (name, "::", _) if is_name(name) => self.read_path(),
                _ => self.at += 1,
            }
        }
    }

    /// A path within code: `super::log::Log`.
    fn read_path(&mut self) {
        let mut path = vec![self.next().to_owned()];
        while self.peek(0) == "::" && is_name(self.peek(1)) {
            self.at += 1;
            path.push(self.next().to_owned());
        }
        // What comes behind `::<` or a macro's `::$` begins anew.
        if self.peek(0) == "::" {
            self.at += 1;
        }
        self.paths.push((self.module.clone(), path));
    }

    /// A tree of `use`, behind `prefix`, to its `;`, `,` or `}` (which is left there).
    fn read_use(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.peek(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | ";" | "") {
                        self.read_use(&path);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => self.at += 2,
                ";" | "," | "}" | "" => break,
                // `use a::{self}` is `a`.
                "self" if !path.is_empty() => self.at += 1,
                name if is_name(name) => path.push(self.next().to_owned()),
                _ => self.at += 1,
            }
        }
        if path.len() > prefix.len() || !prefix.is_empty() {
            self.paths.push((self.module.clone(), path));
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, single characters and plain strings, without comments and the rest.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            if first == '"' {
                tokens.push(&rest[..length]);
            }
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            tokens.push(&rest[..length]);
            length
        } else if rest.starts_with("::") {
            tokens.push("::");
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(&rest[..first.len_utf8()]);
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long a block comment is; they may stand in each other.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// How long a string or a character is that begins here.
fn literal(text: &str) -> Option<usize> {
    let raw = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix('r'))
        .map(|rest| rest.trim_start_matches('#'));
    if let Some(body) = raw.and_then(|rest| rest.strip_prefix('"')) {
        let start = text.len() - body.len();
        let hashes = text[..start].matches('#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            body.find(&end)
                .map_or(text.len(), |at| start + at + end.len()),
        );
    }
    let start = if text.starts_with('"') {
        1
    } else if text.starts_with("b\"") {
        2
    } else {
        return character(text);
    };
    Some(closed(text, start, b'"'))
}

/// A lifetime is none: it has no closing quote.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return Some(closed(text, 1, b'\''));
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..]
        .starts_with('\'')
        .then_some(2 + first.len_utf8())
}

/// Where what begins at `start` ends behind its closing `quote`.
fn closed(text: &str, start: usize, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[(&str, &str)]) -> Sources {
        let owned = texts
            .iter()
            .map(|(name, text)| (name.into(), (*text).to_owned()));
        Sources::of(owned.collect())
    }

    fn circles(texts: &[(&str, &str)]) -> Vec<Vec<String>> {
        let circles = sources(texts).circles();
        circles.into_iter().map(|circle| circle.files).collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        for (a, b) in [
            ("use super::b::B;", "use crate::a::A;"),
            (
                "use super::{c::C, b::{self, B}};",
                "fn f() { super::a::f() }",
            ),
            (
                "fn f() -> crate::b::B {}",
                "#[cfg(test)] mod tests { use super::super::a::A; }",
            ),
            (
                "macro_rules! m { () => { $crate::b::B } }",
                "use super::a as other;",
            ),
        ] {
            let found = circles(&[
                ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
                ("a.rs", a),
                ("b.rs", b),
                ("c.rs", "pub struct C;"),
            ]);
            assert_eq!(found, [["a.rs", "b.rs"]], "{a} {b}");
        }
    }

    #[test]
    fn a_face_that_passes_on_what_imports_from_it_is_in_a_circle() {
        let found = circles(&[
            ("lib.rs", "pub mod room;"),
            (
                "room/mod.rs",
                "mod inner; mod low; pub use inner::Inner; pub struct Face;",
            ),
            ("room/inner.rs", "use super::Face;"),
            ("room/low.rs", "pub struct Low;"),
        ]);
        assert_eq!(found, [["room/inner.rs", "room/mod.rs"]]);
        // The same with the file beside the folder, and by a long way round.
        let found = circles(&[
            ("lib.rs", "pub mod room; pub mod other;"),
            ("room.rs", "mod inner; fn f() { inner::f() }"),
            ("room/inner.rs", "use crate::other::Other;"),
            ("other.rs", "use crate::room;"),
        ]);
        assert_eq!(found, [["other.rs", "room.rs", "room/inner.rs"]]);
    }

    #[test]
    fn what_is_no_import_makes_no_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            (
                "a.rs",
                "use super::b::B; #[cfg(test)] mod tests { use super::*; }",
            ),
            (
                "b.rs",
                "// use super::a::A;\n/* crate::a::A /* */ */ const T: &str = \"super::a::A\";\n\
                 const R: &str = r#\"crate::a \" \"#; const C: char = '\"'; fn f<'a>(x: &'a str) {}\n\
                 pub(in crate::a) struct B; pub(super) mod inner { pub(crate) fn f() {} }",
            ),
            ("main.rs", "use keepwatch::a; mod a;"),
            ("c.rs", "fn f() -> impl Sized + use<> { g(); { h() } }"),
        ]);
        assert_eq!(found, Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_file_under_another_name_is_the_module_that_declares_it() {
        let texts = [
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "use super::b::B; #[cfg(test)] #[path = \"a_tests.rs\"] mod tests;",
            ),
            ("a_tests.rs", "use super::A; use super::super::b::B;"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(circles(&texts), Vec::<Vec<String>>::new());
        assert_eq!(sources(&texts).orphans(), Vec::<String>::new());
        assert_eq!(sources(&texts).count(), 3);
    }

    #[test]
    fn a_circle_says_who_imports_whom() {
        let found = sources(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use super::b::B;"),
            ("b.rs", "use super::a::{A, C};"),
        ]);
        assert_eq!(found.count(), 2);
        let told = found.circles()[0].to_string();
        assert_eq!(
            told,
            "a circle of a.rs, b.rs:\n  a.rs imports b.rs: super::b::B\n  b.rs imports a.rs: super::a::A"
        );
    }

    #[test]
    fn a_file_that_nobody_declares_is_an_orphan() {
        let found = sources(&[
            ("lib.rs", "mod a; #[cfg(test)] mod tests { mod inner {} }"),
            ("a/mod.rs", "pub(super) mod b;"),
            ("a/b.rs", ""),
            ("a/c.rs", ""),
            ("main.rs", ""),
        ]);
        assert_eq!(found.orphans(), ["a/c.rs"]);
    }
}
