//! How messages leave the house: an SNS topic, or a file where there is none.
//!
//! The digest task and the alerts call it with finished texts
//! (`digest::report`). It is the only aws-sdk-sns import. It never decides what
//! is worth a message, never keeps one for later (the caller's outbox does),
//! and never lets a credential into an error.

mod client;
mod digest_file;
mod fault;
mod topic;

pub use client::NoticeOptions;
pub use digest_file::write_digest;
pub use topic::{Notifier, TopicCheck};
