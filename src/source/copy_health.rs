//! Whether a bucket's server can copy. A server that always fails to copy must not keep
//! files out of the backup that could be sent.
//!
//! A failed copy may be an outage. So after a few failures in a row one file is sent
//! instead. If that works, the outage may be over, and one more copy is tried. If that
//! copy fails and the next file can be sent, only copying is broken.

use crate::types::MonotonicMs;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

/// Failed copies in a row after which sending is tried.
const FAILURES_MAX: u32 = 3;

/// How long everything is sent then. A server is repaired within hours, and
/// finding out costs a few failed requests.
const OFF_MS: i64 = 60 * 60 * 1000;

/// What is known of one source's copies. Moments are by the monotonic clock.
#[derive(Debug, Default)]
pub struct CopyHealth {
    failures: AtomicU32,
    /// Sending has worked after copies failed: one more copy decides.
    suspect: AtomicBool,
    off_until_ms: AtomicI64,
}

impl CopyHealth {
    /// Whether a copy is worth a try.
    pub fn may_try(&self, now_ms: MonotonicMs) -> bool {
        self.failures.load(Ordering::Relaxed) < FAILURES_MAX
            && now_ms >= MonotonicMs(self.off_until_ms.load(Ordering::Relaxed))
    }

    /// The server has copied, or has said plainly that it does not.
    pub fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.suspect.store(false, Ordering::Relaxed);
    }

    /// A copy failed as if the server were not there.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Sending content ended. True when that shows that only copies fail.
    pub fn sent(&self, is_stored: bool, now_ms: MonotonicMs) -> bool {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures < FAILURES_MAX {
            return false;
        }
        if !is_stored {
            self.answered();
            return false;
        }
        if !self.suspect.swap(true, Ordering::Relaxed) {
            self.failures.store(FAILURES_MAX - 1, Ordering::Relaxed);
            return false;
        }
        self.answered();
        let until_ms = now_ms + OFF_MS;
        self.off_until_ms.store(until_ms.0, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Does {
        Fails,
        Copies,
        Sends(bool),
    }
    use Does::{Copies as Copied, Fails, Sends};

    #[test]
    fn only_copies_that_fail_while_sending_works_are_given_up_for_an_hour() {
        for (name, does, may_try, is_off) in [
            ("two fail", &[Fails, Fails, Sends(true)][..], true, false),
            ("three fail", &[Fails, Fails, Fails], false, false),
            (
                "an outage that is over when the next file is sent",
                &[Fails, Fails, Fails, Sends(true)],
                true,
                false,
            ),
            (
                "the copy that decides fails",
                &[Fails, Fails, Fails, Sends(true), Fails],
                false,
                false,
            ),
            (
                "copies fail and sending works",
                &[Fails, Fails, Fails, Sends(true), Fails, Sends(true)],
                false,
                true,
            ),
            (
                "the same with many at a time",
                &[
                    Fails,
                    Fails,
                    Fails,
                    Fails,
                    Sends(true),
                    Fails,
                    Fails,
                    Sends(true),
                ],
                false,
                true,
            ),
            (
                "the copy that decides works",
                &[Fails, Fails, Fails, Sends(true), Copied, Sends(true)],
                true,
                false,
            ),
            (
                "and a second outage is not taken for the first",
                &[
                    Fails,
                    Fails,
                    Fails,
                    Sends(true),
                    Copied,
                    Fails,
                    Fails,
                    Fails,
                    Sends(true),
                ],
                true,
                false,
            ),
            (
                "an outage, and copies are tried again",
                &[Fails, Fails, Fails, Sends(false)],
                true,
                false,
            ),
            (
                "the outage goes on",
                &[Fails, Fails, Fails, Sends(true), Fails, Sends(false)],
                true,
                false,
            ),
            (
                "an answer ends the row",
                &[Fails, Fails, Copied, Fails, Fails],
                true,
                false,
            ),
        ] {
            let copies = CopyHealth::default();
            let mut told = 0;
            for done in does {
                match done {
                    Fails => copies.failed(),
                    Copied => copies.answered(),
                    Sends(is_stored) => told += u32::from(copies.sent(*is_stored, MonotonicMs(5))),
                }
            }
            assert_eq!(told, u32::from(is_off), "{name}");
            assert_eq!(copies.may_try(MonotonicMs(5)), may_try, "{name}");
            assert!(!is_off || copies.may_try(MonotonicMs(5 + OFF_MS)), "{name}");
        }
    }
}
