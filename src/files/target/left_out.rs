//! What of mode, time, owner and attributes a disk did not accept.

use crate::os;
use crate::types::{Class, Fault, Kind, RelPath, chain};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;

/// Set-user-id and set-group-id: only kept together with the owner they meant,
/// or a file of one account would run with the rights of another.
pub const MODE_SET_ID: u32 = 0o6000;

/// The coarsest grain of a disk's times (FAT).
const TIME_GRAIN_NS: i128 = 2_000_000_000;

/// Up to 2038, when signed seconds of 32 bits end: no disk refuses these for
/// being too far.
const YEARS_OF_ALL_NS: i128 = (1 << 31) * 1_000_000_000;

/// The year of a time, for people; far from now it is an estimate.
fn year(ns: i128) -> String {
    const YEAR_NS: i128 = 31_556_952_000_000_000;
    format!("a time in the year {}", 1970 + ns.div_euclid(YEAR_NS))
}

/// What a file has beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    Name,
    Mode,
    SetUserId,
    Owner,
    Time,
    Attributes,
}

impl Aspect {
    fn words(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Mode => "mode",
            Self::SetUserId => "set-user-id bit",
            Self::Owner => "owner",
            Self::Time => "time",
            Self::Attributes => "attributes",
        }
    }
}

/// What a disk would not take of a file's metadata.
#[derive(Default)]
pub(super) struct LeftOut {
    aspects: BTreeSet<Aspect>,
    /// What happened to what, one after the other.
    what: Vec<(String, String)>,
    /// The disk holds something else now than what was asked for.
    is_other: bool,
}

impl LeftOut {
    pub(super) fn note(&mut self, aspect: Aspect, done: io::Result<()>) {
        if let Err(error) = done {
            self.add(&[aspect], aspect.words(), chain(&error));
        }
    }

    /// The same for one attribute.
    pub(super) fn note_attribute(&mut self, name: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.add(&[Aspect::Attributes], name, chain(&error));
        }
    }

    /// Something was not given, and why.
    pub(super) fn withhold(&mut self, aspect: Aspect, what: &str) {
        self.is_other = true;
        self.add(&[aspect], aspect.words(), what.to_owned());
    }

    fn add(&mut self, aspects: &[Aspect], of: &str, what: String) {
        self.aspects.extend(aspects);
        self.what.push((of.to_owned(), what));
    }

    /// What is at `rel` in the backup has another name here, where this system does not
    /// take its own.
    pub(super) fn note_name(&mut self, rel: &RelPath) {
        let here = os::storable_path(rel);
        if *here != *rel {
            let what = format!("this system does not take it, so it is here as {here}");
            self.withhold(Aspect::Name, &what);
        }
    }

    /// Notes how setting the time ended. `with` is what the same call has set as well. A disk's
    /// times end at some year; beyond it many disks hold their last time without an error, so
    /// the disk is asked what it holds now.
    pub(super) fn note_time(
        &mut self,
        with: &[Aspect],
        wanted_ns: i128,
        done: io::Result<()>,
        now: impl FnOnce() -> io::Result<i128>,
    ) {
        let is_far = !(0..YEARS_OF_ALL_NS).contains(&wanted_ns);
        match done {
            Err(error) => {
                self.is_other |= is_far;
                self.note_with_time(with, &error);
            }
            Ok(()) => match now() {
                Ok(now_ns) if (now_ns - wanted_ns).abs() > TIME_GRAIN_NS => {
                    self.is_other = true;
                    let (wanted, now) = (year(wanted_ns), year(now_ns));
                    let what = format!("this disk cannot hold {wanted}; it holds {now} now");
                    self.add(&[Aspect::Time], Aspect::Time.words(), what);
                }
                Ok(_) => {}
                Err(error) => self.note_with_time(&[], &error),
            },
        }
    }

    fn note_with_time(&mut self, with: &[Aspect], error: &io::Error) {
        let aspects: Vec<Aspect> = with.iter().copied().chain([Aspect::Time]).collect();
        let words: Vec<&str> = aspects.iter().map(|aspect| aspect.words()).collect();
        self.add(&aspects, &words.join(" and "), chain(error));
    }

    /// Set the time of the open file.
    pub(super) fn time_of(&mut self, file: &File, mtime_ns: i128) {
        let done = file.set_modified(os::time_of_ns(mtime_ns));
        let now = || Ok(os::fingerprint_of(file)?.mtime_ns);
        self.note_time(&[], mtime_ns, done, now);
    }

    /// The mode to give after the owner was, or was not, given: without it, no
    /// bits that would let others run with its rights.
    pub(super) fn mode_after(
        &mut self,
        owned: Option<io::Result<bool>>,
        mode: u32,
        kind: Kind,
    ) -> u32 {
        let is_owned = match owned {
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                self.note(Aspect::Owner, Err(error));
                false
            }
            None => false,
        };
        if is_owned || mode & MODE_SET_ID == 0 || !os::HAS_MODES {
            return mode;
        }
        // A folder's group is inherited, and lends nobody's rights to a program.
        if kind == Kind::File {
            let what = "it comes back only together with its owner";
            self.withhold(Aspect::SetUserId, what);
        }
        mode & !MODE_SET_ID
    }

    pub(super) fn committed(self, subject: String) -> Committed {
        let left_out = self.fault(subject);
        Committed::Written { left_out }
    }

    pub(super) fn fault(self, subject: String) -> Option<Fault> {
        let class = match self.is_other {
            true => Class::Unstorable,
            false => Class::Local,
        };
        let words: Vec<&str> = self.aspects.iter().map(|aspect| aspect.words()).collect();
        let (last, others) = words.split_last()?;
        let kept = match others {
            [] => format!("keep its {last}"),
            others => format!("keep its {} and {last}", others.join(", ")),
        };
        let hint = match self.aspects.contains(&Aspect::Name) {
            true => {
                "the content is complete; restore on a system that takes the name if it matters"
            }
            false => {
                "the content is complete; restore to a disk with another file system if it matters"
            }
        };
        let cause = match self.what.as_slice() {
            // It has just been named.
            [(of, what)] if of == last => what.clone(),
            all => {
                let all: Vec<String> = all
                    .iter()
                    .map(|(of, what)| format!("{of}: {what}"))
                    .collect();
                all.join("; ")
            }
        };
        Some(Fault::new(class, kept, subject, cause).hint(hint))
    }
}

/// How a restored name ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is there now.
    Written {
        /// What of mode, owner, time or attributes the disk would not take (FAT, network
        /// disks); the content is whole all the same.
        left_out: Option<Fault>,
    },
    /// Something had the name and was left as it is.
    AlreadyThere,
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_NS: i128 = 31_556_952_000_000_000;

    /// What is said when `wanted` was set with this result and `now` is there.
    fn said(wanted: i128, done: io::Result<()>, now: i128) -> Option<Fault> {
        let mut left_out = LeftOut::default();
        left_out.note_time(&[], wanted, done, || Ok(now));
        left_out.fault("f".to_owned())
    }

    #[test]
    fn a_disk_that_holds_another_time_without_a_word_is_found_out() {
        let far = 500 * YEAR_NS;
        // ext4 ends in 2446 and keeps its last second.
        let fault = said(far, Ok(()), 15_032_385_535_000_000_000).unwrap();
        assert_eq!(fault.class, Class::Unstorable);
        for year in ["2470", "2446"] {
            assert!(fault.cause.contains(year), "{fault}");
        }
        // The grain of a disk is no other time.
        for now in [far, far + 1_999_999_999, far - 2_000_000_000] {
            assert_eq!(said(far, Ok(()), now), None);
        }
        let refused = || Err(io::Error::from(io::ErrorKind::InvalidInput));
        assert_eq!(said(-1, refused(), 0).unwrap().class, Class::Unstorable);
        assert_eq!(said(far, refused(), 0).unwrap().class, Class::Unstorable);
        // A disk that takes no times at all (a network drive) has its own words.
        assert_eq!(said(YEAR_NS, refused(), 0).unwrap().class, Class::Local);
    }

    /// Named after the bug: "cannot keep name, mode, owner, time and attributes: name: …" of a
    /// file that lost its name alone.
    #[test]
    fn only_what_was_not_kept_is_said_not_to_be_kept() {
        use Aspect::{Attributes, Mode, Name, Owner, SetUserId, Time};
        let refused = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
        for (lost, want) in [
            (&[Name][..], "keep its name"),
            (&[Mode], "keep its mode"),
            (&[Owner, Mode, Owner], "keep its mode and owner"),
            (
                &[Attributes, Name, Time],
                "keep its name, time and attributes",
            ),
            (&[SetUserId], "keep its set-user-id bit"),
        ] {
            let mut left_out = LeftOut::default();
            for aspect in lost {
                left_out.note(*aspect, refused());
            }
            left_out.note(Aspect::Time, Ok(()));
            let fault = left_out.fault("f".to_owned()).unwrap();
            assert_eq!(fault.operation.words(), want);
        }
        let mut left_out = LeftOut::default();
        left_out.note_time(&[Mode], 0, refused(), || Ok(0));
        left_out.note_attribute("user.author", refused());
        let fault = left_out.fault("f".to_owned()).unwrap();
        assert_eq!(
            fault.operation.words(),
            "keep its mode, time and attributes"
        );
        assert!(fault.cause.starts_with("mode and time: "), "{fault}");
        assert!(fault.cause.contains("; user.author: "), "{fault}");
        assert_eq!(LeftOut::default().fault("f".to_owned()), None);
    }

    #[test]
    fn set_user_id_without_its_owner_is_named_for_files() {
        for (owned, mode, kind, want, is_named) in [
            (Some(Ok(true)), 0o4755, Kind::File, 0o4755, false),
            (Some(Ok(false)), 0o4755, Kind::File, 0o755, true),
            (None, 0o2755, Kind::File, 0o755, true),
            (None, 0o2775, Kind::Folder, 0o775, false),
            (None, 0o1755, Kind::File, 0o1755, false),
        ] {
            let mut left_out = LeftOut::default();
            // Where files have no such bits nothing is taken from them.
            let want = if os::HAS_MODES { want } else { mode };
            assert_eq!(left_out.mode_after(owned, mode, kind), want);
            let fault = left_out.fault("f".to_owned());
            let class = fault.map(|fault| fault.class);
            let is_named = is_named && os::HAS_MODES;
            assert_eq!(class, is_named.then_some(Class::Unstorable), "{mode:o}");
        }
    }
}
