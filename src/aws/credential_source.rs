//! Where keys come from.

use std::path::PathBuf;

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// The standard AWS chain.
    Chain {
        /// Profile of the AWS configuration files; theirs when `None`.
        profile: Option<String>,
    },
    /// One file of profiles, and nowhere else.
    File {
        /// Profile in it; the environment's or `default` when `None`.
        profile: Option<String>,
        /// The file.
        path: PathBuf,
    },
}
