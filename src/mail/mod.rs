//! What every message to the owner is made of, and how it gets there.
//!
//! [`Message`] is a subject and a body within what SNS takes; [`OutboxSender`] puts it into
//! the durable outbox and sends it. What a message says stands with the feature that sends
//! it. A message must never be lost between the outbox and the acknowledgement of SNS.
//!
//! Read `message`, `layout`, then `outbox`; `commands` names the commands that a message
//! proposes so that its reader can run them.

pub(crate) mod commands;
mod layout;
mod message;
mod outbox;

pub use commands::reader;
pub(crate) use layout::{List, Page, Section};
pub use message::{BODY_BYTES_MAX, FailureLine, Message, SUBJECT_CHARS_MAX};
pub(crate) use message::{
    COMPUTER_CHARS_MAX, by_need, count_of, failures, fit, list_remedies, names, push_remedy,
    short_names, subject,
};
pub use outbox::{Delivery, OutboxSender};

#[cfg(test)]
pub(crate) mod testing;
