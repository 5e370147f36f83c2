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

/// Named after the bug: the way on began with a compiler on every system.
#[test]
fn the_readme_installs_by_package_first_and_leads_each_system_on_its_way() {
    let text = page("README.md");
    let (owners, technicians) = text.split_once("## For the technician").unwrap();
    let (install, _) = owners.split_once("## See it work").unwrap();
    for package in [
        "keepwatch_VERSION-1_amd64.deb",
        "keepwatch-VERSION-1.x86_64.rpm",
        "keepwatch-VERSION-x64.msi",
        "keepwatch-VERSION-x86_64-linux.tar.gz",
        "keepwatch-VERSION-x86_64-windows.zip",
        "Homebrew",
    ] {
        assert!(install.contains(package), "{package}");
    }
    for words in ["no public place", "tested\nunder wine", "type-checked only"] {
        let there = owners.contains(words) || owners.contains(&words.replace('\n', " "));
        assert!(there, "it is not said honestly: {words}");
    }
    assert!(technicians.contains("packaging/build"));
    for system in ["linux", "windows", "macos"] {
        assert!(
            install.contains(&format!("(docs/OPERATIONS.md#on-{system})")),
            "{system}"
        );
    }
}

/// Each system's section has all that somebody on it looks for, and only its own places.
#[test]
fn every_system_finds_its_own_way_through_operations() {
    let text = page("docs/OPERATIONS.md");
    let section = |title: &str| {
        let (_, rest) = text.split_once(&format!("\n## {title}\n")).unwrap();
        rest.split("\n## ").next().unwrap().to_owned()
    };
    for (title, places, of_others) in [
        (
            "On Linux",
            [
                "/etc/keepwatch/keepwatch.toml",
                "/var/lib/keepwatch",
                "/var/log/keepwatch",
            ],
            ["ProgramData", "/Library/"],
        ),
        (
            "On Windows",
            [
                "C:\\ProgramData\\Keepwatch\\keepwatch.toml",
                "%LOCALAPPDATA%",
                "event log",
            ],
            ["sudo", "/etc/"],
        ),
        (
            "On macOS",
            [
                "/Library/Application Support/Keepwatch/keepwatch.toml",
                "/Library/Logs/Keepwatch",
                "Full Disk Access",
            ],
            ["journalctl", "ProgramData"],
        ),
    ] {
        let section = section(title);
        for row in ["| install |", "| configuration |", "| keys |", "| shell |"] {
            assert!(section.contains(row), "{title}: {row}");
        }
        for command in [
            "keepwatch check",
            "service install",
            "service start",
            "service status",
            "keepwatch status",
        ] {
            assert!(section.contains(command), "{title}: {command}");
        }
        for place in places {
            assert!(section.contains(place), "{title}: {place}");
        }
        for other in of_others {
            assert!(!section.contains(other), "{title}: {other}");
        }
    }
}
