//! What S3 and SNS share: whose keys sign, how a server is reached, and what is
//! wrong with either, in plain words.
//!
//! `store` and `notice` build their clients with it. Keys are read again whenever a
//! server refuses them ([`Keys`]), proxies and certificates of the office count
//! ([`Https`]), and every error that is neither the bucket's nor the topic's becomes
//! an [`Explained`]. It never logs a key and never decides when something is tried
//! again.

mod chain;
mod client;
mod credential_source;
mod explained;
mod files;
mod keys;
mod office;
mod process;
mod program;
mod proxies;
mod refused;
mod tls;
mod trust;

pub use client::{Https, IDLE_CONNECTION_MAX};
pub use credential_source::CredentialSource;
pub use explained::{Explained, hide_keys};
pub use keys::Keys;
pub use proxies::PROXY_VARIABLES;
pub use refused::KeysRefused;
