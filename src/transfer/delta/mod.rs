//! Which pieces of a large file are sent, and which the server copies.
//!
//! `chunker` says where a file may be cut, `assemble` puts parts together.

pub(crate) mod assemble;
pub(crate) mod chunker;
