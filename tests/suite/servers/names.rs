//! Names that servers trip over, and more of them than one page of a list holds.

use super::Site;
use crate::harness::tree::assert_same_tree;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

/// Bytes that are no UTF-8, what looks encoded, what a decoder takes for something
/// else, what XML, paths and shells cannot carry, what is long.
const ODD: &[&[u8]] = &[
    b"caf\xe9 latin-1",
    b"\xff\xfe",
    b"%FF",
    b"%20",
    b"%2520",
    b"%2F",
    b"100%",
    b"%",
    b"a+b",
    b"a b",
    b"a%2Bb",
    b"two\nlines",
    b"tab\tbell\x07",
    b"trailing spaces  ",
    b" leading",
    b" ",
    b"dot.",
    b"...",
    b"amp&amp;<b>\"quoted\"",
    b"question?mark#hash=;:@,$!*'()[]{}|^~`",
    b"back\\slash",
    "Büro 日本.csv".as_bytes(),
    "cafe\u{301}".as_bytes(),
    "café".as_bytes(),
    "above the BMP \u{1f4e6}\u{20bb7}".as_bytes(),
    "\u{ffff}".as_bytes(),
    "\u{202e}fdp.exe".as_bytes(),
    b"x~kw-0123456789abcdef0123456789abcdef",
];

/// Files whose name's bytes are these, each in a folder of the same name too.
fn put_all(site: &Site, content: &str) {
    let long = vec![b'l'; 255];
    for name in ODD.iter().copied().chain([&long[..]]) {
        let name = OsStr::from_bytes(name);
        let folder = site.rig.root().join("in").join(name);
        fs::create_dir_all(&folder).unwrap();
        for path in [site.rig.root().join(name), folder.join(name)] {
            fs::write(path, [content.as_bytes(), name.as_bytes()].concat()).unwrap();
        }
    }
}

pub async fn odd(site: Site) {
    let root = site.rig.root();
    put_all(&site, "one");
    site.reconcile();
    site.has_everything().await;
    site.sends_nothing();
    if !site.can.keeps_versions {
        return all_but_twins(&site);
    }
    site.comes_back("back", &[], &root);
    // Each gets a second version, and those in the folder another name.
    put_all(&site, "two");
    fs::rename(root.join("in"), root.join("in + %41\u{e9}")).unwrap();
    site.reconcile();
    site.has_everything().await;
    site.comes_back("back again", &[], &root);
    site.run(&["verify", "--deep", "--all-versions"])
        .check(0, &["All is well"]);
}

/// Its lists have one of two names that differ in how an accent is composed
/// (`Differs::ListsOneOfTwins`): all others come back.
fn all_but_twins(site: &Site) {
    const TWINS: [&str; 2] = ["cafe\u{301}", "café"];
    let (ran, back) = site.restore("back", &[]);
    ran.check(0, &["All is well"]);
    let want = site.copy("without twins");
    let is_there = TWINS.map(|twin| back.join(twin).exists());
    assert!(is_there.contains(&true), "one of them is there");
    for folder in [&back, &want] {
        for twin in TWINS {
            // Either may be missing in what came back.
            let _ = fs::remove_file(folder.join(twin));
            let _ = fs::remove_dir_all(folder.join("in").join(twin));
        }
    }
    assert_same_tree(&back, &want);
}

/// More than a page of keys, and a further page of versions, all below one folder
/// whose name is no UTF-8, so that every page ends in it.
pub async fn pages(site: Site) {
    const FILES: usize = 1_050;
    const VERSIONS: usize = 1_200;
    let root = site.rig.root();
    let folder = root.join(OsStr::from_bytes(b"B\xfcro +%41"));
    fs::create_dir(&folder).unwrap();
    // Names at which pages end: encoded, they sort otherwise.
    let name = |number: usize| match number % 3 {
        0 => format!("{number:04}+"),
        1 => format!("{number:04} %FF"),
        _ => format!("{number:04}é"),
    };
    for number in 0..FILES {
        fs::write(folder.join(name(number)), format!("{number}")).unwrap();
    }
    site.reconcile();
    for number in 0..VERSIONS - FILES {
        fs::write(folder.join(name(number * 7)), "a second state").unwrap();
    }
    site.reconcile();
    // What the list says is what a computer without an index goes by.
    site.rig.lose_state();
    site.sends_nothing();
    site.comes_back("back", &[], &root);
    if !site.can.keeps_versions {
        return;
    }
    let listed = site.count_versions().await;
    assert!(listed >= VERSIONS, "{listed} versions");
    let verified = site.run(&["verify", "--all-versions"]);
    verified.check(0, &["All is well"]);
    let counts = verified.text.lines().find_map(|line| {
        let (count, _) = line.trim().split_once(" versions")?;
        line.contains("looked at")
            .then(|| count.replace(',', "").parse::<usize>().unwrap())
    });
    let looked = counts.unwrap();
    assert!(looked >= VERSIONS, "{}", verified.text);
}
