//! The kinds of trouble that one path or one request can meet.

use serde::{Deserialize, Serialize};

/// What kind of trouble one path or one request met. Decides retry and remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The network or the server is failing for now: time-out, reset, 5xx.
    Transient,
    /// The server asks for fewer requests (503 SlowDown, 429).
    SlowDown,
    /// Credentials are missing, wrong or expired.
    Credentials,
    /// The credentials are good but not allowed to do this.
    Denied,
    /// Whoever answers cannot prove to be the server: its certificate is not trusted,
    /// or no encryption can be agreed on.
    Untrusted,
    /// The bucket does not exist.
    NoBucket,
    /// The destination has no room left (a full disk, a quota): small things may
    /// still fit.
    Full,
    /// The key, version or upload does not exist in the bucket.
    NotFound,
    /// The server refused the request as such (400, 501): it will not pass by itself.
    Refused,
    /// The file was there and is gone.
    Vanished,
    /// The file changed while it was read.
    Changed,
    /// The operating system does not let us read the file.
    Unreadable,
    /// The file cannot be represented in the bucket (path too long).
    Unstorable,
    /// What came back is not what was stored (hash differs, metadata broken).
    Damaged,
    /// This computer fails: disk full, index broken.
    Local,
}

impl Class {
    /// True when trying again later, with nobody doing anything, can succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Class::Transient | Class::SlowDown | Class::Changed | Class::Local
        )
    }

    /// True when the trouble is the destination's (bucket, credentials,
    /// network) and will meet every other path in the same way.
    pub fn is_destination(self) -> bool {
        matches!(
            self,
            Class::Transient
                | Class::SlowDown
                | Class::Credentials
                | Class::Denied
                | Class::Untrusted
                | Class::NoBucket
                | Class::Full
        )
    }

    /// True when whoever only reads can stop at once: no other object is to be had
    /// either, and waiting mends nothing.
    pub fn ends_reading(self) -> bool {
        matches!(
            self,
            Class::Credentials | Class::NoBucket | Class::Untrusted
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_trouble_is_told_from_trouble_with_one_file() {
        for class in [
            Class::Transient,
            Class::Credentials,
            Class::Untrusted,
            Class::NoBucket,
        ] {
            assert!(class.is_destination(), "{class:?}");
        }
        for class in [
            Class::Unreadable,
            Class::Changed,
            Class::Refused,
            Class::Local,
        ] {
            assert!(!class.is_destination(), "{class:?}");
        }
    }
}
