//! Before a restore: how much there is to bring, what of it is cold, and whether the
//! disk has space for it.
//!
//! It reads only, and opens no object. In reading order: `summary` is what was found,
//! `look` reads the listing, `replaced` asks about files that are to be replaced.

pub(crate) mod look;
mod replaced;
pub(crate) mod summary;
