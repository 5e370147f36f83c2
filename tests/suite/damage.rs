//! The damage matrix: every kind of damage to a bucket at every kind of place.
//! `verify` names it, with `--deep` where only that can see it, and a restore
//! gets the right bytes, says which file it could not restore, or (where the
//! bucket alone cannot know better) gives what the bucket now shows. One row of
//! a table for each case, so that what cannot be seen is written down as well.

mod acts;
mod command;
mod many;
mod matrix;
mod repair;
mod world;
