//! Names as people and programs make them, the odd ones too.

use fastrand::Rng;

const PLAIN: &[&str] = &[
    "letter", "invoice", "offer", "plan", "photo", "minutes", "notes", "table", "draft", "scan",
];

const ENDINGS: &[&str] = &[".txt", ".csv", ".bin", ".docx", "", ".csv"];

/// Not UTF-8, control characters, what looks escaped, what shells and servers
/// trip over, one name in two Unicode forms, what looks like a shortened key.
const ODD: &[&[u8]] = &[
    b"caf\xe9.txt",
    b"\xff\xfe",
    b"two\nlines.csv",
    b"percent %41 sign",
    b"%41",
    b"100%",
    b"trailing space ",
    b" leading",
    b"trailing dot.",
    b"tab\there",
    b"plus+and&amp;",
    b"question?mark#hash",
    b"star*[a]{b}",
    b"quote'\"`$HOME",
    b"back\\slash",
    b"-rf",
    b"con.aux",
    b"...",
    b"bell\x07esc\x1b[31m",
    "Büro 日本.csv".as_bytes(),
    "cafe\u{301}".as_bytes(),
    "café".as_bytes(),
    "\u{202e}fdp.exe".as_bytes(),
    b"x~kw-0123456789abcdef0123456789abcdef",
];

/// A name for something new; mostly a plain one.
pub fn any(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(0..20) {
        0..=3 => ODD[rng.usize(..ODD.len())].to_vec(),
        4 => vec![b'l'; rng.usize(200..=255)],
        _ => format!(
            "{} {}{}",
            PLAIN[rng.usize(..PLAIN.len())],
            rng.u8(0..30),
            ENDINGS[rng.usize(..ENDINGS.len())]
        )
        .into_bytes(),
    }
}

pub fn csv(rng: &mut Rng) -> Vec<u8> {
    format!("export {}.csv", rng.u8(0..20)).into_bytes()
}

/// A name for a folder.
pub fn folder(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(0..8) {
        0 => ODD[rng.usize(..ODD.len())].to_vec(),
        // Some of these make paths over the 1,024 bytes of a key.
        1 => vec![b'f'; rng.usize(100..=250)],
        _ => format!("folder {}", rng.u8(0..12)).into_bytes(),
    }
}

/// A name as it can be printed in one line.
pub fn shown(path: &[u8]) -> String {
    let text = path.escape_ascii().to_string();
    match text.len() {
        0..=120 => text,
        _ => format!("{}…{}", &text[..60], &text[text.len() - 40..]),
    }
}
