//! The manifest: what the bucket has, written into the bucket after each full
//! comparison that came to its end, unless the last one says the same already.
//!
//! It is drawn from the index into a file in the state folder, page by page,
//! and sent from there like any other file, in parts when it is large: the
//! drawing waits for no line, and takes seconds. Invariants: memory does not
//! grow with the source of paths; what is stored or deleted while it is drawn
//! is said (see [`Trailer::quiet`]); a manifest that cannot be written is told,
//! and nothing else depends on it.
//!
//! | file | what is in it |
//! |---|---|
//! | `write` | each source's manifest, after a full comparison |
//! | `draw`, `header` | the file in the state folder (`local_file`) |
//! | `send` | that file on its way to the bucket |
//! | `thin` | old manifests that a later one stands for |

mod draw;
mod header;
mod local_file;
mod send;
mod thin;
mod write;

pub use write::ManifestWriter;
