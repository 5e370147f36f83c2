//! The place that copies go to: it must keep versions, and say so again and again.

mod owner;
mod versions;
