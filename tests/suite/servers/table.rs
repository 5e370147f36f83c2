//! What each server can do. docs/OPERATIONS.md has the same table for people.

use crate::needs::Need;
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rgw,
    Moto,
    Rclone,
    Vault,
}

impl Kind {
    /// Whether this machine has it, or can install it.
    pub fn can_be_had(self) -> bool {
        self != Self::Rgw || Need::Ceph.is_met()
    }
}

/// What Keepwatch can do on a server, as the suite finds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Old versions stay, deletions are marked, and everything can be had back as
    /// of a moment. Else Keepwatch says so, marks nothing, and restores and verifies
    /// what is current alone.
    pub keeps_versions: bool,
    /// Files that are sent in parts are stored. Else each is named as unprotected.
    pub takes_large_files: bool,
    /// A file that was renamed is not sent again.
    pub copies: bool,
    /// Of a large file that was edited, what did not change is not sent again.
    pub copies_parts: bool,
    /// A large upload that was killed goes on with what is there.
    pub lists_parts: bool,
}

/// Everything, as AWS does it.
const ALL: Abilities = Abilities {
    keeps_versions: true,
    takes_large_files: true,
    copies: true,
    copies_parts: true,
    lists_parts: true,
};

/// Each server by its name in the documentation.
pub const TABLE: [(Kind, &str, Abilities); 4] = [
    (Kind::Rgw, "Ceph RGW 16.2", ALL),
    (Kind::Moto, "moto 5.2", ALL),
    (
        Kind::Rclone,
        "rclone `serve s3` 1.75",
        Abilities {
            keeps_versions: false,
            takes_large_files: true,
            // Nothing tells a content from what takes its path a moment later.
            copies: false,
            copies_parts: false,
            lists_parts: false,
        },
    ),
    (Kind::Vault, "the vault", ALL),
];

impl Kind {
    pub fn abilities(self) -> Abilities {
        let (_, _, can) = TABLE.into_iter().find(|(kind, ..)| *kind == self).unwrap();
        can
    }
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_documentation_has_this_table() {
    let (operations, readme) = (page("docs/OPERATIONS.md"), page("README.md"));
    for (_, name, can) in TABLE {
        let row = operations
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")))
            .unwrap_or_else(|| panic!("docs/OPERATIONS.md has no row for {name}"));
        let cells: Vec<bool> = row
            .split('|')
            .skip(2)
            .take(5)
            .map(|cell| cell.trim().starts_with("yes"))
            .collect();
        let want = [
            can.keeps_versions,
            can.takes_large_files,
            can.copies,
            can.copies_parts,
            can.lists_parts,
        ];
        assert_eq!(cells, want, "{row}");
        // The README says who passes the whole suite, and who a part of it.
        let passes = readme.split_once("four servers").unwrap().1;
        let (whole, part) = passes
            .split_once("pass the whole conformance suite")
            .unwrap();
        let part = part.split_once("passes the part").unwrap().0;
        let told = if can.keeps_versions { whole } else { part };
        let name = name.replace("the vault", "the vault over HTTP");
        assert!(
            told.contains(&name),
            "the README does not name {name}: {told}"
        );
    }
}
