//! The words of messages: what is said of a count agrees with it.

use std::path::PathBuf;

/// Verbs that go with several things alone.
const OF_SEVERAL: [&str; 12] = [
    "are", "were", "have", "stay", "differ", "fail", "belong", "need", "do", "wait", "come",
    "match",
];

/// Literals in which a number stands that is never one, or whose placeholder is no number.
const NEVER_ONE: [(&str, &str); 7] = [
    (
        "src/cli/restore/summary.rs",
        "{} were there already and are the same",
    ),
    ("src/scan/scanning.rs", "{} names belong to files that have"),
    ("src/config/problems.rs", "{} things are wrong"),
    ("src/guard/report.rs", "of {source} in {folder} have been"),
    ("src/verify/judge.rs", "{then} were stored"),
    (
        "src/backup/manifest/draw.rs",
        "attributes and access control lists of {} are not kept",
    ),
    ("src/destination/policy.rs", "deleted files of {whose} are"),
];

/// Texts in quotation marks of a file, tests left out, with their lines.
fn literals(text: &str) -> Vec<(usize, String)> {
    let product = text.split("#[cfg(test)]\nmod").next().unwrap();
    let mut found = Vec::new();
    let mut letters = product.chars().peekable();
    let (mut line, mut inside): (usize, Option<(usize, String)>) = (1, None);
    let mut is_comment = false;
    let mut before = ' ';
    while let Some(c) = letters.next() {
        if c == '\n' {
            line += 1;
            is_comment = false;
        }
        match &mut inside {
            Some((_, text)) if c == '\\' => {
                text.push(c);
                text.extend(letters.next());
            }
            Some(_) if c == '"' => found.extend(inside.take()),
            Some((_, text)) => text.push(c),
            None if c == '/' && letters.peek() == Some(&'/') => is_comment = true,
            None if c == '"' && !is_comment && before != '\'' => {
                inside = Some((line, String::new()))
            }
            None => {}
        }
        before = c;
    }
    found
}

/// Whether a placeholder is followed by a verb of several: `{} are`, `{} files are`.
fn speaks_of_several(literal: &str) -> bool {
    literal.split('{').skip(1).any(|part| {
        let Some((name, rest)) = part.split_once('}') else {
            return false;
        };
        let is_escaped = name.is_empty() && part.starts_with("}}");
        let mut words = rest.strip_prefix(' ').unwrap_or_default().split(' ');
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let is_noun = first.ends_with('s') && first.chars().all(char::is_alphabetic);
        // A constant has its own number.
        let is_constant = name.chars().any(char::is_uppercase);
        !is_escaped
            && !is_constant
            && (OF_SEVERAL.contains(&first) || (is_noun && OF_SEVERAL.contains(&second)))
    })
}

/// Named after the bug: "1 special file are left out", "1 file are whole".
#[test]
fn a_count_agrees_with_its_verb() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let (mut wrong, mut seen) = (Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            if name.contains("tests") || !name.ends_with(".rs") {
                continue;
            }
            for (line, literal) in literals(&std::fs::read_to_string(&path).unwrap()) {
                seen += 1;
                let is_known = NEVER_ONE
                    .iter()
                    .any(|(file, text)| *file == name && literal.contains(text));
                if speaks_of_several(&literal) && !is_known {
                    wrong.push(format!("{name}:{line}: {literal}"));
                }
            }
        }
    }
    assert!(seen > 3_000, "{seen} texts are not all");
    assert!(
        wrong.is_empty(),
        "use types::counted, which chooses the verb:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_verb_of_several_behind_a_count_is_seen() {
    for (literal, is_wrong) in [
        ("{} are left out", true),
        ("{count} files are whole", true),
        ("{} of them were", false),
        ("{} is whole", false),
        ("it has {}", false),
        ("{{}} are", false),
        ("{ITEMS_MAX} items wait", false),
    ] {
        assert_eq!(speaks_of_several(literal), is_wrong, "{literal}");
    }
    let text = "x(\"a {} b\"); // \"{} are\"\ny('\"', \"c\\\"d\");";
    let found: Vec<String> = literals(text).into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, ["a {} b", "c\\\"d"]);
}
