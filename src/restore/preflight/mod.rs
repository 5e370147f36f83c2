//! Before a restore: how much there is to bring, what of it is cold, and whether the
//! disk has space for it.
//!
//! It reads only, and opens no object. In reading order: `summary` is what was found,
//! `scan` reads the listing, `replaced` asks about files that are to be replaced.

mod replaced;
pub(crate) mod scan;
pub(crate) mod summary;
