//! Keepwatch's memory: what the bucket holds, what is still unprotected, what
//! the next digest will say, and what is under way. The only sled import.
//!
//! Everything above floor 3 may call it. It is a cache: lost or
//! damaged, it is set aside and rebuilt from the bucket, and nothing is
//! uploaded again. Every call blocks (use `spawn_blocking`), none retries. It
//! must never be the only place that knows something of a backed-up file, never
//! say that a path is protected before S3 has, and never take the process down:
//! whatever sled does becomes a [`Fault`].
//!
//! | file | what it is for |
//! |---|---|
//! | `types` | the values that callers give and get |
//! | `keys`, `bytes`, `packing`, `codec` | layout on disk |
//! | `worker` | a thread under a watchdog |
//! | `engine`, `refusal` | every sled call, caught, and what its failures mean |
//! | `ledger` | exact numbers in memory, and the check that they add up |
//! | `entries`, `record_change` | what all readers and writers of entries share |
//! | `carried_over` | what a fresh database takes over from the one before |
//! | `opening`, `private` | lock, generations, setting aside; owner only |
//! | `handle` | the [`Index`] itself, and opening it again |
//! | `records`, `parts`, `contents`, `pending`, `multiparts`, `attempts`, `outbox`, `sources` | what callers do with it |

mod attempts;
mod bytes;
mod carried_over;
mod codec;
mod contents;
mod engine;
mod entries;
mod handle;
mod keys;
mod ledger;
mod multiparts;
mod opening;
mod outbox;
mod packing;
mod parts;
mod pending;
mod private;
mod record_change;
mod records;
mod refusal;
mod sources;
mod types;
mod worker;

// For the fuzz target and its corpus alone: everybody else asks the index.
#[doc(hidden)]
pub use codec::{decode as decode_record, encode as encode_record};
pub use contents::{COPY_FROM_BYTES, Elsewhere, PAST_MS};
pub use handle::Index;
pub use opening::SCHEMA_VERSION;
pub use outbox::{OUTBOX_BODY_BYTES_MAX, OUTBOX_MAX};
#[doc(hidden)]
pub use parts::{decode as decode_parts, encode as encode_parts};
pub use pending::FAILURES_MAX;
pub use records::Records;
pub use types::{
    AcknowledgedPart, Activity, ActivityDelta, Change, Commit, Counts, Failure, Failures,
    Multipart, Oldest, Opened, OutboxMessage, Resume, SourceId, Unprotected,
};

#[cfg(test)]
mod tests;
