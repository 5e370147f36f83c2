//! Scans compare the disk with the index and, once a day or when the index is new, both
//! with the bucket.
//!
//! Invariants: the scan is the truth, the watcher only makes it quick; a scan never marks
//! anything as deleted, it sends a worker to look; what cannot be read is unknown, not
//! gone; memory is bounded, whatever the source holds.
//!
//! `scanning` is the loop of one source, with what `scanner` holds. `merge` goes through
//! disk, index and bucket in one pass: `merge_join` walks the three, fed by `read_ahead` (disk),
//! `listing` and `bucket`; `compare` decides about a key, with what `listing_view` believes
//! of the bucket, and `unverified` writes down what nobody knows. `gone` and `decide` are
//! about what is missing, `shortened` and `out_of_order` about long keys, `known` about what
//! a manifest knows when the index is new.

mod bucket;
mod compare;
mod decide;
mod gone;
mod known;
mod listing;
mod listing_view;
mod merge;
mod merge_join;
mod out_of_order;
mod read_ahead;
mod scanner;
mod scanning;
mod shortened;
mod unverified;

pub use scanner::Scanner;
