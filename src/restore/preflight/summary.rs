//! What a restore has before it, and whether the disk has space for it. Pure.

use crate::history::Chosen;
use crate::restore::disk_space::RESERVE_BYTES;
use crate::types::{Cold, Fatal, Fault, WallMs, text};

/// Objects of one cold class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdShare {
    /// Which.
    pub class: Cold,
    /// How many objects.
    pub objects: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// What a restore has before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preflight {
    /// Objects that were current.
    pub objects: u64,
    /// Bytes of them as stored.
    pub stored_bytes: u64,
    /// Those in cold storage, by class; classes without any are left out.
    pub cold: Vec<ColdShare>,
    /// Bytes that the disk needs at least, less what is there already.
    pub needed_bytes: u64,
    /// Bytes that the disk has; `None` when it does not say.
    pub free_bytes: Option<u64>,
    /// When the earliest version that was seen was stored.
    pub(crate) first_ms: Option<WallMs>,
    /// What became of files that belong to others.
    pub(crate) remarks: Vec<Fault>,
    /// All that was named, when that is few enough and in order.
    pub(crate) kept: Option<Vec<Chosen>>,
    pub(crate) is_fresh: bool,
}

impl Preflight {
    /// That what several restores into one disk need fits there, as far as it
    /// can be known.
    ///
    /// # Errors
    /// [`Fatal`] with the numbers when it cannot.
    pub fn fits(all: &[Self], to: &std::path::Path) -> Result<(), Fatal> {
        let each = all.iter().map(|seen| seen.needed_bytes);
        let needed = each.fold(0, u64::saturating_add);
        let free = all.iter().filter_map(|seen| seen.free_bytes).min();
        let wanted = match needed {
            0 => 0,
            needed => needed.saturating_add(RESERVE_BYTES),
        };
        match free {
            Some(free) if wanted > free => Err(Fatal::new(
                format!("restore into {}", to.display()),
                format!(
                    "it needs at least {}, and {} beside that always stay free for other programs; the disk has {} left",
                    text::size(needed),
                    text::size(RESERVE_BYTES),
                    text::size(free)
                ),
                format!(
                    "free {}, restore to another disk with --to, or restore less at a time; --ignore-space tries all the same (for disks that compress)",
                    text::size(wanted - free)
                ),
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn note_cold(cold: &mut Vec<ColdShare>, class: Cold, bytes: u64) {
    let place = cold.iter().position(|share| share.class == class);
    let place = place.unwrap_or_else(|| {
        cold.push(ColdShare {
            class,
            objects: 0,
            bytes: 0,
        });
        cold.len() - 1
    });
    cold[place].objects += 1;
    cold[place].bytes += bytes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const R: u64 = RESERVE_BYTES;

    #[test]
    fn room_is_said_with_numbers_and_only_where_it_is_known_to_lack() {
        let need = |needed_bytes, free_bytes| Preflight {
            needed_bytes,
            free_bytes,
            ..Preflight::default()
        };
        for (all, want) in [
            (vec![need(10, Some(R + 10))], true),
            (vec![need(11, Some(R + 10))], false),
            // Nothing to write needs no room.
            (vec![need(0, Some(0))], true),
            (vec![need(u64::MAX / 4, None)], true),
            // Two into one disk.
            (vec![need(6, Some(R + 10)), need(6, Some(R + 10))], false),
            (vec![need(u64::MAX, Some(R)), need(1, Some(R))], false),
            (vec![], true),
        ] {
            assert_eq!(
                Preflight::fits(&all, Path::new("/to")).is_ok(),
                want,
                "{all:?}"
            );
        }
        let all = [need(5_000_000_000, Some(2_000_000_000))];
        let fatal = Preflight::fits(&all, Path::new("/to"))
            .unwrap_err()
            .to_string();
        for words in [
            "at least 5.0 GB",
            "has 2.0 GB",
            "free 3.0 GB",
            "16.8 MB beside that always stay free",
            "--to",
        ] {
            assert!(fatal.contains(words), "{fatal}");
        }
    }

    #[test]
    fn cold_objects_are_summed_by_class() {
        let mut cold = Vec::new();
        for (class, bytes) in [
            (Cold::Glacier, 5),
            (Cold::DeepArchive, 7),
            (Cold::Glacier, 6),
        ] {
            note_cold(&mut cold, class, bytes);
        }
        let seen: Vec<_> = cold.iter().map(|c| (c.class, c.objects, c.bytes)).collect();
        assert_eq!(seen, [(Cold::Glacier, 2, 11), (Cold::DeepArchive, 1, 7)]);
    }
}
