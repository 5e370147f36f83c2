//! Any text as a quoted value of TOML.

/// A TOML basic string.
pub(super) fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        for (text, want) in [
            ("a b", "\"a b\""),
            ("C:\\Office", "\"C:\\\\Office\""),
            ("x\"\n[s3]", "\"x\\\"\\u000A[s3]\""),
            ("\u{7f}ü", "\"\\u007Fü\""),
        ] {
            assert_eq!(toml_string(text), want);
            let parsed: toml_edit::ImDocument<String> =
                format!("k = {}", toml_string(text)).parse().unwrap();
            assert_eq!(parsed["k"].as_str(), Some(text));
        }
    }
}
