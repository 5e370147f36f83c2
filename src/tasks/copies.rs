//! Whether a bucket's server can copy: one that always fails at that must not
//! keep files out of the backup that could be sent.
//!
//! Copies that fail like an outage may be one. So after a few in a row one file
//! is sent instead: if that works, it is the copying that does not.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Failed copies in a row after which sending is tried.
const FAILURES_MAX: u32 = 3;

/// How long everything is sent then. A server is repaired within hours, and
/// finding out costs a few failed requests.
const OFF_MS: i64 = 60 * 60 * 1000;

/// What is known of one source's copies. Moments are by the steady clock.
#[derive(Debug, Default)]
pub struct Copies {
    failures: AtomicU32,
    off_until_ms: AtomicI64,
}

impl Copies {
    /// Whether a copy is worth a try.
    pub fn may_try(&self, now_ms: i64) -> bool {
        self.failures.load(Ordering::Relaxed) < FAILURES_MAX
            && now_ms >= self.off_until_ms.load(Ordering::Relaxed)
    }

    /// The server has copied, or has said plainly that it does not.
    pub fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A copy failed as if the server were not there.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Sending content ended. True when that shows that only copies fail.
    pub fn sent(&self, is_stored: bool, now_ms: i64) -> bool {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures < FAILURES_MAX {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        if is_stored {
            let until_ms = now_ms.saturating_add(OFF_MS);
            self.off_until_ms.store(until_ms, Ordering::Relaxed);
        }
        is_stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(times: u32) -> Copies {
        let copies = Copies::default();
        (0..times).for_each(|_| copies.failed());
        copies
    }

    #[test]
    fn only_copies_that_fail_while_sending_works_are_given_up_for_an_hour() {
        for (failures, is_stored, is_off) in [
            (2, true, false),
            (3, true, true),
            (9, true, true),
            // An outage: nothing works, and copies are tried again.
            (3, false, false),
        ] {
            let copies = failed(failures);
            assert_eq!(copies.may_try(5), failures < FAILURES_MAX);
            assert_eq!(copies.sent(is_stored, 5), is_off);
            assert_eq!(copies.may_try(5), !is_off, "{failures} {is_stored}");
            assert!(copies.may_try(5 + OFF_MS));
        }
    }

    #[test]
    fn an_answer_ends_the_row() {
        let copies = failed(2);
        copies.answered();
        copies.failed();
        assert!(copies.may_try(0));
    }
}
