//! What one job's failure means for the whole run. Pure.

use crate::types::{Class, Fault};

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing more can be had: end the run with this failure.
    EndRun,
    /// Note it, then ask whether the server is still there before going on.
    AskServer,
    /// Note it and go on.
    GoOn,
}

/// Failures so far, as far as they decide whether to go on.
#[derive(Debug)]
pub(super) struct FailureStreak {
    /// Failures of the server, one after the other.
    in_a_row: u32,
    /// So many of them make the run ask whether the server is there at all.
    in_a_row_max: u32,
    /// The credentials have worked for something.
    any_success: bool,
}

impl FailureStreak {
    pub(super) fn new(in_a_row_max: u32) -> Self {
        Self {
            in_a_row: 0,
            in_a_row_max,
            any_success: false,
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
        self.any_success = true;
    }

    pub(super) fn failed(&mut self, fault: &Fault) -> Verdict {
        match fault.class {
            class if class.ends_reading() => return Verdict::EndRun,
            // Some single objects may be locked away; if all are, it is the key.
            Class::Denied if !self.any_success => return Verdict::EndRun,
            // The disk says nothing about the server.
            _ if fault.is_of_the_disk() => {}
            class if class.is_destination() => self.in_a_row += 1,
            _ => self.any_success = true,
        }
        if self.in_a_row < self.in_a_row_max {
            return Verdict::GoOn;
        }
        self.in_a_row = 0;
        Verdict::AskServer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FaultDetail;

    fn fault(class: Class) -> Fault {
        Fault::new(class, "download", "a", "x")
    }

    #[test]
    fn each_failure_has_one_meaning_for_the_run() {
        let of_the_disk = fault(Class::Local).detail(FaultDetail::DiskRefuses);
        for (name, had_success, fault, want) in [
            ("no bucket", true, fault(Class::NoBucket), Verdict::EndRun),
            (
                "the keys, at once",
                false,
                fault(Class::Denied),
                Verdict::EndRun,
            ),
            (
                "one locked object",
                true,
                fault(Class::Denied),
                Verdict::GoOn,
            ),
            (
                "one damaged object",
                false,
                fault(Class::Damaged),
                Verdict::GoOn,
            ),
            (
                "a moment's trouble",
                false,
                fault(Class::Transient),
                Verdict::GoOn,
            ),
            ("a full disk", false, of_the_disk, Verdict::GoOn),
        ] {
            let mut streak = FailureStreak::new(2);
            if had_success {
                streak.succeeded();
            }
            assert_eq!(streak.failed(&fault), want, "{name}");
        }
    }

    #[test]
    fn the_server_is_asked_after_so_many_failures_in_a_row() {
        use Verdict::{AskServer, GoOn};
        let mut streak = FailureStreak::new(3);
        let mut failed = |class| streak.failed(&fault(class));
        let outage = [(); 6].map(|()| failed(Class::Transient));
        assert_eq!(outage, [GoOn, GoOn, AskServer, GoOn, GoOn, AskServer]);
        // What is wrong with one object does not interrupt the row, a success does.
        let mixed = [Class::Transient, Class::Transient, Class::Damaged].map(&mut failed);
        assert_eq!(mixed, [GoOn, GoOn, GoOn]);
        streak.succeeded();
        assert_eq!(streak.failed(&fault(Class::Transient)), GoOn);
        // The disk's failures are no word about the server's.
        let of_the_disk = fault(Class::Transient).detail(FaultDetail::DiskRefuses);
        assert_eq!([(); 5].map(|()| streak.failed(&of_the_disk)), [GoOn; 5]);
    }
}
