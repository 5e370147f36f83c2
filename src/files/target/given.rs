//! Gives a restored file its attributes.
//!
//! Invariant: only attributes of the kept kinds are set, whatever a bucket says: a program
//! with `security.capability` runs with more rights than the person who starts it.

use super::left_out::{Aspect, LeftOut};
use crate::os;
use crate::os::Dir;
use crate::types::{Attributes, is_acl, is_kept};
use std::fs::File;
use std::io;

/// Give `file` these attributes, save the lists that go with its mode.
pub(super) fn give(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    for (name, value) in attributes.iter() {
        if !is_kept(name) {
            let what = format!("no bucket may give {name} to a file of this computer");
            left_out.withhold(Aspect::Attributes, &what);
        } else if !os::knows_attribute(name) {
            left_out.note_attribute(name, Err(of_another_system()));
        } else if !is_acl(name) {
            left_out.note_attribute(name, os::set_attribute(file, name, value));
        }
    }
}

fn of_another_system() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "it is of another operating system",
    )
}

/// Give it the lists of who may do what. They come after the mode, which would change
/// their mask.
pub(super) fn give_lists(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    let lists = attributes.iter().filter(|(name, _)| is_acl(name));
    for (name, value) in lists.filter(|(name, _)| os::knows_attribute(name)) {
        left_out.note_attribute(name, os::set_attribute(file, name, value));
    }
}

/// Take what is kept of others away from `file`, which is to have exactly these: also
/// from one just made, which has the lists that its folder gives to all that is new.
pub(super) fn take_others(file: &File, attributes: &Attributes, left_out: &mut LeftOut) {
    let wanted = |name: &str| attributes.iter().any(|(one, _)| one == name);
    let names = match os::attribute_names(file) {
        Ok(names) => names.unwrap_or_default(),
        Err(error) => return left_out.note(Aspect::Attributes, Err(error)),
    };
    for name in names {
        if is_kept(&name) && !wanted(&name) {
            left_out.note_attribute(&name, os::remove_attribute(file, &name));
        }
    }
}

/// An open folder as a file, when attributes are to be given to it, or those taken away
/// that a new one got from the folder that it is in.
pub(super) fn handle(dir: &Dir, attributes: &Attributes, is_new: bool) -> Option<io::Result<File>> {
    let may_have_got_some = is_new && os::KEEPS_ATTRIBUTES;
    (may_have_got_some || !attributes.is_empty()).then(|| dir.open_self())
}
