//! The loops that make up a running Keepwatch.
//!
//! `watch` hears of changes, `collect` lets them settle, `scan` finds what
//! nobody heard of, `upload` makes it so, `tend` retries and raises alarms,
//! `digest` runs once a day,
//! `line` keeps to the limits of the line. They never import each other: what they share is
//! the [`Context`], and `daemon` connects them. All of them end when the
//! context's queue is closed and their stop signal fires.

pub mod announce;
pub mod answering;
pub mod audit;
pub mod brake;
pub mod clock;
pub mod collect;
pub mod command;
pub mod commits;
pub mod comparison;
pub mod context;
pub mod copies;
pub mod costs;
pub mod destination;
pub mod digest;
pub mod drill;
pub mod gates;
pub mod late;
pub mod leftovers;
pub mod line;
pub mod links;
pub mod manifest;
pub mod marker;
pub mod moves;
pub mod pacing;
pub mod post;
pub mod scan;
pub mod scan_book;
pub mod tend;
pub mod unsettled;
pub mod upload;
pub mod watch;

pub use context::{Context, Hint, Source};
