//! Carries plans out: answers what they ask, does what they say, writes the index.
//!
//! Invariants: the index learns of a version only after S3 has acknowledged it, and one
//! commit ends each plan. Nothing here decides what a function of `backup::plan` could.
//!
//! | file | what is in it |
//! |---|---|
//! | `executor` | what all of it takes |
//! | `path` | one turn of a path: its steps, one after the other (`beginning`: the first look) |
//! | `together` | a file and its companions, read at one moment (`moment`) |
//! | `changed` | whether a path changed meanwhile |
//! | `object`, `run` | one object: plan, carry out, until it is done with |
//! | `ask`, `content` | answers to what a plan asks |
//! | `send`, `copy`, `delete` | what changes the bucket |
//! | `attributes` | extended attributes beside the content |
//! | `commit`, `part_layout` | what the index learns |

mod ask;
mod attributes;
mod beginning;
mod changed;
mod commit;
mod content;
mod copy;
mod delete;
mod executor;
mod moment;
mod object;
mod part_layout;
mod path;
mod run;
mod send;
mod together;

pub use executor::Executor;
pub(crate) use path::{PathDone, work};
