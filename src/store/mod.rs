//! (to come)
pub mod vault;
