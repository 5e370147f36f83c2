//! One version to check, and how that ended.

use super::findings::Finding;
use super::judge::{Expect, Wrong};
use crate::s3::ListedVersion;
use crate::types::RelKey;

/// One version to check.
#[derive(Debug, Clone)]
pub(crate) struct VersionCheck {
    /// Its key without the prefix; `None` for a shortened one.
    pub(crate) rel: Option<RelKey>,
    pub(crate) listed: ListedVersion,
    pub(crate) expect: Expect,
    /// What the listing shows to be wrong already.
    pub(crate) wrong: Option<Wrong>,
    pub(crate) is_older: bool,
    /// Download and hash it.
    pub(crate) deep: bool,
}

impl VersionCheck {
    /// The check of a current version.
    pub(crate) fn of(rel: Option<RelKey>, listed: ListedVersion, expect: Expect) -> Self {
        Self {
            rel,
            listed,
            expect,
            wrong: None,
            is_older: false,
            deep: false,
        }
    }
}

/// How the check of one version ended.
#[derive(Debug)]
pub(crate) enum CheckOutcome {
    /// As it should be; bytes of the file, when it was hashed.
    Fine(Option<u64>),
    /// In cold storage, and it was to be downloaded.
    Cold,
    /// Another program's.
    Foreign,
    /// Its path is known only now, and the index has a record of it: the run checks it by
    /// that record.
    ByRecord,
    /// It changed meanwhile.
    Moving,
    /// It seems wrong, and may be a worker's doing that is not written down yet: to be
    /// confirmed after a pause.
    Unconfirmed(Box<(VersionCheck, Wrong)>),
    /// This is wrong.
    Wrong(Box<Finding>),
}
