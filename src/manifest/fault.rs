//! What is wrong with a manifest, in words.

use crate::types::{Class, Fault, shown};

pub(crate) fn subject(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", shown(key))
}

pub(crate) fn damaged(bucket: &str, key: &str, why: &str) -> Fault {
    Fault::new(
        Class::Damaged,
        "use the manifest",
        subject(bucket, key),
        why,
    )
    .hint("an older one is used instead, or none: files are restored and checked without")
}
