//! Files that programs keep beside a main file under its name, and how they belong to it.
//!
//! Pure. A database and its journal are one state: a journal that is combined with a database
//! of another moment is played back over it, and shows old rows or damages it. Nothing in a
//! folder says which files belong together, and names alone mislead (`plan.txt` is no part of
//! `plan`). So this is a list of names, each of which a program will use for ever. Any other
//! file stands alone. A name that is on the list by chance costs a few requests and no content:
//! it is stored together with the file that it is named after, and restored with it.

use super::rel_path::RelPath;

/// How a file belongs to the one that it is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// Both are one state: what one lacks is in the other.
    State,
    /// Made anew by the program from the others when it opens them; it changes
    /// without a word, and torn it harms nobody.
    Scratch,
    /// It says that somebody has the file open, and nothing else.
    Lock,
}

/// Behind the file's whole name.
const SUFFIXES: [(&[u8], Bond); 6] = [
    // SQLite: what was committed and is not in the database yet; what is to be
    // taken back when a transaction was cut off; the index of the first.
    (b"-wal", Bond::State),
    (b"-journal", Bond::State),
    (b"-shm", Bond::Scratch),
    // DuckDB.
    (b".wal", Bond::State),
    // LMDB; dBase, Paradox, HSQLDB and others.
    (b"-lock", Bond::Lock),
    (b".lck", Bond::Lock),
];

/// Around the file's whole name.
const AROUND: [(&[u8], &[u8]); 2] = [
    // Microsoft Office; it leaves out the first letters of longer names, and then
    // nobody knows whose it is.
    (b"~$", b""),
    // LibreOffice.
    (b".~lock.", b"#"),
];

/// In place of the file's ending: Microsoft Access.
const ENDINGS: [(&[u8], &[u8]); 2] = [(b".accdb", b".laccdb"), (b".mdb", b".ldb")];

/// The file that `path` belongs to, if there is one of that name; `None` for what
/// is named like a file of its own.
pub fn main_of(path: &RelPath) -> Option<(RelPath, Bond)> {
    let (name, bond) = main_name(path.name())?;
    // A companion has none of its own: whoever follows this comes to an end.
    if main_name(&name).is_some() {
        return None;
    }
    let main = path.parent()?.join(&name).ok()?;
    Some((main, bond))
}

fn main_name(name: &[u8]) -> Option<(Vec<u8>, Bond)> {
    for (suffix, bond) in SUFFIXES {
        if let Some(main) = cut(name.strip_suffix(suffix)) {
            return Some((main.to_vec(), bond));
        }
    }
    for (before, behind) in AROUND {
        let main = name.strip_prefix(before);
        if let Some(main) = cut(main.and_then(|rest| rest.strip_suffix(behind))) {
            return Some((main.to_vec(), Bond::Lock));
        }
    }
    for (ending, instead) in ENDINGS {
        if let Some(stem) = cut(name.strip_suffix(instead)) {
            return Some(([stem, ending].concat(), Bond::Lock));
        }
    }
    None
}

/// Something must be left of the name.
fn cut(rest: Option<&[u8]>) -> Option<&[u8]> {
    rest.filter(|rest| !rest.is_empty())
}

/// What may belong to the file at `path`, whether it is there or not.
pub fn companions_of(path: &RelPath) -> Vec<(RelPath, Bond)> {
    let name = path.name();
    let Some(folder) = path.parent().filter(|_| main_name(name).is_none()) else {
        return Vec::new();
    };
    let suffixes = SUFFIXES.map(|(suffix, bond)| ([name, suffix].concat(), bond));
    let around = AROUND.map(|(before, behind)| ([before, name, behind].concat(), Bond::Lock));
    let endings = ENDINGS.iter().filter_map(|(ending, instead)| {
        let stem = cut(name.strip_suffix(*ending))?;
        Some(([stem, *instead].concat(), Bond::Lock))
    });
    let names = suffixes.into_iter().chain(around).chain(endings);
    names
        .filter_map(|(name, bond)| Some((folder.join(&name).ok()?, bond)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[test]
    fn whose_a_name_is() {
        for (name, want) in [
            ("db/x.sqlite-wal", Some(("db/x.sqlite", Bond::State))),
            ("x-journal", Some(("x", Bond::State))),
            ("x.db-shm", Some(("x.db", Bond::Scratch))),
            ("sales.duckdb.wal", Some(("sales.duckdb", Bond::State))),
            ("a/~$letter.docx", Some(("a/letter.docx", Bond::Lock))),
            ("a/.~lock.list.ods#", Some(("a/list.ods", Bond::Lock))),
            ("stock.laccdb", Some(("stock.accdb", Bond::Lock))),
            ("stock.ldb", Some(("stock.mdb", Bond::Lock))),
            ("data.mdb-lock", Some(("data.mdb", Bond::Lock))),
            ("-wal", None),
            ("a/-journal", None),
            ("plan.txt", None),
            ("Cargo.lock", None),
            // Of a companion.
            ("x-wal-wal", None),
            ("~$x.db-wal", None),
            ("", None),
        ] {
            let got = main_of(&p(name));
            assert_eq!(got, want.map(|(main, bond)| (p(main), bond)), "{name}");
        }
    }

    #[test]
    fn there_and_back_again() {
        for name in ["x.db", "deep/er/x", "stock.accdb", "stock.mdb", "list.ods"] {
            let all = companions_of(&p(name));
            let has_ending = name.ends_with("db") && name.starts_with("stock");
            assert_eq!(all.len(), 8 + usize::from(has_ending), "{name}");
            for (companion, bond) in all {
                assert_eq!(main_of(&companion), Some((p(name), bond)), "{companion}");
            }
        }
        for name in ["x.db-wal", "~$letter.docx", ""] {
            assert_eq!(companions_of(&p(name)), [], "{name}");
        }
    }
}
