//! delta.
pub(crate) mod assemble;
pub(crate) mod chunker;
