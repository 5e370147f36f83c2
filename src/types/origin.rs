//! Where the copies of a source are.

/// Where a source's objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Bucket name.
    pub bucket: String,
    /// What keys begin with; empty or ending in `/`.
    pub prefix: String,
}
