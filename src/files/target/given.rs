//! Attributes given back to what is restored.
//!
//! Invariant: nothing that is not kept is given, whatever a bucket says: a program with
//! `security.capability` runs with more rights than whoever starts it.

use super::looks::LeftOut;
use crate::model::Attributes;
use crate::model::attributes::{is_acl, is_kept};
use crate::platform::{self, Dir};
use std::fs::File;
use std::io;

/// Give `file` these attributes, save the lists that go with its mode.
pub(super) fn give(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    for (name, value) in attributes.iter() {
        if !is_kept(name) {
            left_out.withhold(&format!(
                "{name}: no bucket may give that to a file of this computer"
            ));
        } else if !is_acl(name) {
            left_out.note(name, platform::set_attribute(file, name, value));
        }
    }
}

/// Give it the lists of who may do what. They come after the mode, which would change
/// their mask.
pub(super) fn give_lists(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    for (name, value) in attributes.iter().filter(|(name, _)| is_acl(name)) {
        left_out.note(name, platform::set_attribute(file, name, value));
    }
}

/// Take what is kept of others away from `file`, which is to have exactly these.
pub(super) fn take_others(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    let wanted = |name: &str| attributes.iter().any(|(one, _)| one == name);
    let others = platform::attributes_of(file, |name| is_kept(name) && !wanted(name));
    for (name, _) in others.unwrap_or_default() {
        left_out.note(&name, platform::remove_attribute(file, &name));
    }
}

/// An open folder as a file, when it has attributes to be given.
pub(super) fn handle(dir: &Dir, attributes: &Attributes) -> Option<io::Result<File>> {
    (!attributes.is_empty()).then(|| dir.open_self())
}
