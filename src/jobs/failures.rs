//! What one job's failure means for the whole run. Pure.

use super::access::{Access, FIRST_JOBS, Trial};
use crate::types::{Class, Fault, Operation};

/// What to do after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing more can be had: end the run with this failure.
    EndRun(Box<Fault>),
    /// Ask whether the server is still there before going on.
    AskServer,
    /// Go on.
    GoOn,
}

/// Failures so far, as far as they decide whether to go on.
#[derive(Debug)]
pub(super) struct FailureStreak {
    /// Failures of the server, one after the other.
    in_a_row: u32,
    /// So many of them make the run ask whether the server is there at all.
    in_a_row_max: u32,
    /// Whether these keys may read anything at all.
    trial: Trial,
    /// Failures to note.
    noted: Vec<Fault>,
}

impl FailureStreak {
    pub(super) fn new(in_a_row_max: u32) -> Self {
        Self {
            in_a_row: 0,
            in_a_row_max,
            trial: Trial::of(FIRST_JOBS),
            noted: Vec::new(),
        }
    }

    /// The job that was begun as the `number`th, from 0 on, has done its work.
    pub(super) fn succeeded(&mut self, number: u64) {
        self.in_a_row = 0;
        self.noted.extend(self.trial.ended(number, Access::Granted));
    }

    /// It has failed.
    pub(super) fn failed(&mut self, number: u64, fault: Fault) -> Verdict {
        if fault.class.ends_reading() {
            return Verdict::EndRun(Box::new(fault));
        }
        // The disk says nothing about the server.
        let is_servers = fault.class.is_destination() && !fault.is_of_the_disk();
        let (access, noted) = match (fault.class, &fault.operation) {
            // What may not be thawed has been looked at before.
            (Class::Denied, Operation::Thaw) => (Access::Granted, Some(fault)),
            (Class::Denied, _) => (Access::Denied(fault), None),
            _ if is_servers || fault.is_of_the_disk() => (Access::Unknown, Some(fault)),
            _ => (Access::Granted, Some(fault)),
        };
        self.noted.extend(self.trial.ended(number, access));
        self.noted.extend(noted);
        if let Some(fault) = self.trial.denied_first().cloned() {
            // This one says it for all of them, also when the run is then broken off.
            drop(self.trial.released());
            return Verdict::EndRun(Box::new(fault));
        }
        self.in_a_row += u32::from(is_servers);
        if self.in_a_row < self.in_a_row_max {
            return Verdict::GoOn;
        }
        self.in_a_row = 0;
        Verdict::AskServer
    }

    /// No more jobs come: the failure that all of it was, if it was one.
    pub(super) fn over(&mut self) -> Result<(), Fault> {
        let denials = self.trial.over()?;
        self.noted.extend(denials);
        Ok(())
    }

    /// The run ends early, and what it has found so far is told.
    pub(super) fn broken_off(&mut self) {
        self.noted.extend(self.trial.released());
    }

    /// The failures to note since this was asked last.
    pub(super) fn take_noted(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FaultDetail;

    fn fault(class: Class) -> Fault {
        Fault::new(class, "download", "a", "x")
    }

    fn ends(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::EndRun(_))
    }

    #[test]
    fn each_failure_has_one_meaning_for_the_run() {
        let of_the_disk = fault(Class::Local).detail(FaultDetail::DiskRefuses);
        let may_not_thaw = Fault::new(Class::Denied, Operation::Thaw, "a", "x");
        // Whether it ends the run at once, and whether the run has failed when nothing follows.
        for (name, had_success, fault, at_once, as_a_whole) in [
            ("no bucket", true, fault(Class::NoBucket), true, false),
            ("the keys", false, fault(Class::Denied), false, true),
            (
                "one locked object",
                true,
                fault(Class::Denied),
                false,
                false,
            ),
            ("no right to thaw", false, may_not_thaw, false, false),
            (
                "one damaged object",
                false,
                fault(Class::Damaged),
                false,
                false,
            ),
            (
                "a moment's trouble",
                false,
                fault(Class::Transient),
                false,
                false,
            ),
            ("a full disk", false, of_the_disk, false, false),
        ] {
            let mut streak = FailureStreak::new(2);
            if had_success {
                streak.succeeded(0);
            }
            let verdict = streak.failed(1, fault.clone());
            assert_eq!(ends(&verdict), at_once, "{name}");
            assert_eq!(streak.over().is_err(), as_a_whole, "{name}");
            let noted = streak.take_noted();
            let is_noted = noted.contains(&fault);
            assert_eq!(is_noted, !at_once && !as_a_whole, "{name}");
        }
    }

    #[test]
    fn keys_that_may_read_nothing_end_the_run_after_so_many_objects() {
        let mut streak = FailureStreak::new(3);
        for number in 0..FIRST_JOBS {
            let verdict = streak.failed(number, fault(Class::Denied));
            assert_eq!(ends(&verdict), number == FIRST_JOBS - 1, "{number}");
        }
        streak.broken_off();
        assert!(streak.take_noted().is_empty(), "one failure says it");
    }

    /// Named after the bug: a folder that the keys may not read and that comes first in the
    /// list ended the restore of everything.
    #[test]
    fn a_locked_folder_that_comes_first_keeps_nothing_else_back() {
        let mut streak = FailureStreak::new(3);
        for number in 0..FIRST_JOBS - 1 {
            assert!(!ends(&streak.failed(number, fault(Class::Denied))));
        }
        streak.succeeded(FIRST_JOBS - 1);
        assert_eq!(streak.over(), Ok(()));
        assert_eq!(streak.take_noted().len() as u64, FIRST_JOBS - 1);
    }

    /// Named after the bug: the one object of a run was named as denied, and then once more as
    /// the failure that ended the run.
    #[test]
    fn a_run_in_which_all_was_denied_names_it_once() {
        let mut streak = FailureStreak::new(3);
        streak.failed(0, fault(Class::Denied));
        assert!(streak.over().is_err());
        streak.broken_off();
        assert!(streak.take_noted().is_empty());
    }

    #[test]
    fn a_run_that_is_broken_off_tells_what_was_denied_so_far() {
        let mut streak = FailureStreak::new(3);
        streak.failed(0, fault(Class::Denied));
        assert!(streak.take_noted().is_empty());
        streak.broken_off();
        assert_eq!(streak.take_noted().len(), 1);
    }

    #[test]
    fn the_server_is_asked_after_so_many_failures_in_a_row() {
        use Verdict::{AskServer, GoOn};
        let mut streak = FailureStreak::new(3);
        let mut failed = |class| streak.failed(0, fault(class));
        let outage = [(); 6].map(|()| failed(Class::Transient));
        assert_eq!(outage, [GoOn, GoOn, AskServer, GoOn, GoOn, AskServer]);
        // What is wrong with one object does not interrupt the row, a success does.
        let mixed = [Class::Transient, Class::Transient, Class::Damaged].map(&mut failed);
        assert_eq!(mixed, [GoOn, GoOn, GoOn]);
        streak.succeeded(0);
        assert_eq!(streak.failed(0, fault(Class::Transient)), GoOn);
        // The disk's failures are no word about the server's.
        let of_the_disk = fault(Class::Transient).detail(FaultDetail::DiskRefuses);
        let failed = [(); 5].map(|()| streak.failed(0, of_the_disk.clone()));
        assert_eq!(failed, [GoOn, GoOn, GoOn, GoOn, GoOn]);
    }
}
