//! The order among the vault's files.

use crate::imports::Sources;
use std::path::Path;

/// A file that is read can be understood from the ones below it alone.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.count() > 50, "the imports were not found");
    let circles: Vec<String> = sources.circles().iter().map(ToString::to_string).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn every_file_is_compiled() {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert_eq!(sources.orphans(), Vec::<String>::new());
}
