//! What the pages for people promise and lead to.

fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Named after the bug: the contents left out the three sections for emergencies.
#[test]
fn the_contents_of_operations_name_every_section() {
    let text = page("docs/OPERATIONS.md");
    let (contents, rest) = text.split_once("\n## ").unwrap();
    let sections = rest.split("\n## ").map(|part| part.lines().next().unwrap());
    let mut count = 0;
    for section in sections {
        let anchor: String = section
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let line = format!("- [{section}](#{anchor})");
        assert!(contents.contains(&line), "{line} is not in the contents");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// Named after the bug: the owner's page began with a compiler, and said that delta,
/// bandwidth limit and drill were not there.
#[test]
fn the_readme_is_the_owners_and_says_what_there_is() {
    let text = page("README.md");
    let (owners, technicians) = text.split_once("## For the technician").unwrap();
    assert!(!owners.contains("cargo "), "a compiler is the technician's");
    assert!(technicians.contains("cargo build --release"));
    let (there, missing) = owners.split_once("What is not there yet").unwrap();
    for thing in ["parts that changed", "[bandwidth]", "[drill]"] {
        assert!(there.contains(thing), "{thing}");
        assert!(!missing.contains(thing), "{thing}");
    }
    // The figures are those of the program.
    let limit = "versions_per_hour_max = 12";
    assert!(page("config/office.toml").contains(limit), "{limit}");
    assert!(there.contains("twelve an hour"), "{there}");
    assert!(!there.contains("once a minute"), "{there}");
}
