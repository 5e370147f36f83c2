//! Where an object lies.

/// One object's address, for messages and requests.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Bucket name.
    pub bucket: &'a str,
    /// Full key, prefix included.
    pub key: &'a str,
}

impl At<'_> {
    pub(super) fn subject(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}
