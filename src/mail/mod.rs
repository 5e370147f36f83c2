//! mail.
mod layout;
mod message;
mod outbox;

pub(crate) use layout::{List, Page, Section};
pub use message::{BODY_BYTES_MAX, FailureLine, Message, SUBJECT_CHARS_MAX};
pub(crate) use message::{
    COMPUTER_CHARS_MAX, by_need, count_of, elapsed_ms, failures, fit, list_remedies, names,
    push_remedy, short_names, subject,
};
pub use outbox::{Delivery, Post};
