//! Links and folders that wait until all files are restored.
//!
//! The list is bounded. What does not fit is found again by reading the listing a
//! second time.

use super::plan::LINK_TARGET_BYTES_MAX;
use crate::history::{Chosen, Name};

/// Links and folders that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct PutOff {
    pub(crate) known: Vec<Chosen>,
    /// From this key on, the listing is read again.
    pub(crate) beyond: Option<String>,
    /// One was larger than any link: another program's, over a link of ours.
    pub(crate) any_size: bool,
}

impl PutOff {
    pub(crate) fn put_off(&mut self, chosen: Chosen, known_max: usize) {
        self.any_size |= !may_be_put_off(&chosen);
        let is_beyond = self.beyond.as_ref().is_some_and(|from| chosen.key >= *from);
        if is_beyond {
            return;
        }
        if self.known.len() < known_max {
            self.known.push(chosen);
            return;
        }
        // Workers finish in any order: what was put off and comes after this
        // one is found again with it.
        self.known.retain(|known| known.key < chosen.key);
        self.beyond = Some(chosen.key);
    }
}

/// Whether it may be a link or a folder. A surely plain file is not asked again.
pub(crate) fn may_be_put_off(chosen: &Chosen) -> bool {
    match &chosen.name {
        Name::Foreign(_) => false,
        Name::Path(key) | Name::Older(key) if key.is_folder() => true,
        Name::Path(_) | Name::Older(_) | Name::Shortened => {
            chosen.stored_bytes <= LINK_TARGET_BYTES_MAX
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RelKey;
    use crate::types::WallMs;
    use crate::types::{ETag, VersionId};

    fn chosen(key: &str, stored_bytes: u64) -> Chosen {
        Chosen {
            key: key.to_owned(),
            name: Name::Path(RelKey::parse(key).unwrap()),
            version_id: VersionId::new("v"),
            etag: ETag::default(),
            stored_bytes,
            modified_ms: WallMs(0),
            storage_class: String::new(),
        }
    }

    #[test]
    fn what_is_put_off_is_bounded_and_nothing_is_lost() {
        let keys = ["e", "b", "g", "a", "f", "c", "d"];
        for known_max in 0..=keys.len() {
            let mut later = PutOff::default();
            for key in keys {
                later.put_off(chosen(key, 1), known_max);
                assert!(later.known.len() <= known_max);
            }
            let second_time = |key: &str| later.beyond.as_ref().is_some_and(|b| key >= b.as_str());
            for key in keys {
                let first_time = later.known.iter().any(|known| known.key == key);
                assert!(first_time != second_time(key), "{key} with {known_max}");
            }
        }
    }

    #[test]
    fn only_what_may_be_a_link_or_a_folder_is_asked_again() {
        for (key, stored_bytes, want) in [
            ("a", 10, true),
            ("a", LINK_TARGET_BYTES_MAX + 1, false),
            ("a/", 0, true),
        ] {
            assert_eq!(may_be_put_off(&chosen(key, stored_bytes)), want, "{key}");
        }
    }
}
