//! What a copy is made of.

use crate::s3::{BytesAre, CopyFrom};

/// A version that holds the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    /// Where it is, in the job's bucket.
    pub from: CopyFrom<'a>,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// It is stored compressed.
    pub gzip: bool,
    /// What the server says that its bytes are, where it was asked.
    pub bytes_are: BytesAre,
}
