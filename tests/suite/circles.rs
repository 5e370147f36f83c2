//! Files that import each other in a circle can only be understood together, and a file
//! that nobody declares is not compiled at all.

use crate::imports::Sources;
use std::path::Path;

fn sources() -> Sources {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.count() > 1_000, "the imports were not found");
    sources
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = sources().circles();
    let told: Vec<String> = circles.iter().map(ToString::to_string).collect();
    assert!(circles.is_empty(), "{}", told.join("\n"));
}

/// Named after the bug: a file of the index was compiled by nobody for months.
#[test]
fn every_file_is_compiled() {
    assert_eq!(sources().orphans(), Vec::<String>::new());
}
