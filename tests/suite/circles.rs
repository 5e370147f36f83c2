//! Files that import each other in a circle can only be understood together, and a file
//! that nobody declares is not compiled at all.

use crate::imports::Sources;
use std::path::Path;

/// Files that are in a circle today. The number may only fall, to 0.
const FILES_IN_CIRCLES_MAX: usize = 60;

fn sources() -> Sources {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.count() > 1_000, "the imports were not found");
    sources
}

#[test]
fn no_more_files_import_each_other_in_a_circle() {
    let circles = sources().circles();
    let count: usize = circles.iter().map(|circle| circle.files.len()).sum();
    let told: Vec<String> = circles.iter().map(ToString::to_string).collect();
    assert!(
        count <= FILES_IN_CIRCLES_MAX,
        "{count} files are in circles, not {FILES_IN_CIRCLES_MAX}:\n{}",
        told.join("\n")
    );
}

/// Named after the bug: a file of the index was compiled by nobody for months.
#[test]
fn every_file_is_compiled() {
    assert_eq!(sources().orphans(), Vec::<String>::new());
}
