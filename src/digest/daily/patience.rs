//! How long a comparison waits through trouble: pure, told the time that passes
//! while the computer is awake.
//!
//! Invariant: trouble that comes and goes while nothing is stored wears patience
//! out like trouble that stays; whatever is stored renews it.

use std::time::Duration;

/// How long trouble may last before nobody waits for its end any more; and how
/// long all must be well before trouble counts as another.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same for an index that cannot be written to: it is opened again within
/// seconds, or somebody must make room.
const PATIENCE_INDEX: Duration = Duration::from_secs(10);

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// Nothing is in the way.
    Well,
    /// The bucket or the folder fails, and that may pass.
    MayPass,
    /// The index fails.
    Index,
    /// Only a person can end it.
    NeedsPerson,
}

/// What is remembered between looks.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    /// How long it lasts.
    time: Duration,
    /// What had been stored when it began.
    deeds: u64,
    /// How long all has been well since it was last seen.
    well: Duration,
}

impl Patience {
    /// Take in a look, so long after the last one; true when it is not worth to wait
    /// any longer. `deeds` grows with whatever is stored.
    pub(crate) fn is_over(&mut self, found: Found, deeds: u64, passed: Duration) -> bool {
        let stands = self.trouble.take();
        let stands = stands.filter(|trouble| deeds <= trouble.deeds && trouble.well < PATIENCE);
        if found == Found::Well {
            self.trouble = stands.map(|trouble| Trouble {
                time: trouble.time + passed,
                well: trouble.well + passed,
                ..trouble
            });
            return false;
        }
        let trouble = stands.map_or(
            Trouble {
                time: Duration::ZERO,
                deeds,
                well: Duration::ZERO,
            },
            |trouble| Trouble {
                time: trouble.time + passed,
                well: Duration::ZERO,
                ..trouble
            },
        );
        let time = trouble.time;
        self.trouble = Some(trouble);
        match found {
            Found::Well => false,
            Found::MayPass => time >= PATIENCE,
            Found::Index => time >= PATIENCE_INDEX,
            Found::NeedsPerson => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Look each two seconds; when it was over.
    fn over_after(found: impl Fn(u64) -> Found, deeds: impl Fn(u64) -> u64) -> Option<u64> {
        let (mut patience, step) = (Patience::default(), Duration::from_secs(2));
        let mut seconds = (0..7200).step_by(2);
        seconds.find(|second| patience.is_over(found(*second), deeds(*second), step))
    }

    #[test]
    fn lasting_trouble_wears_patience_out_and_a_persons_ends_it() {
        let nothing = |_| 0;
        assert_eq!(over_after(|_| Found::Well, nothing), None);
        assert_eq!(over_after(|_| Found::NeedsPerson, nothing), Some(0));
        assert_eq!(over_after(|_| Found::MayPass, nothing), Some(60));
        assert_eq!(over_after(|_| Found::Index, nothing), Some(10));
        let short = |second| match second % 100 {
            0..30 => Found::MayPass,
            _ => Found::Well,
        };
        assert_eq!(over_after(short, nothing), None, "all is well between");
    }

    /// Named after the bug: a disk that took small files between the large ones that
    /// it refused was waited for as long as there was a day.
    #[test]
    fn trouble_that_comes_and_goes_while_nothing_is_stored_is_one_trouble() {
        let flapping = |second| match second % 8 {
            0 | 2 => Found::MayPass,
            _ => Found::Well,
        };
        assert!(over_after(flapping, |_| 0).is_some_and(|second| second < 70));
        assert_eq!(over_after(flapping, |second| second / 10), None);
    }
}
