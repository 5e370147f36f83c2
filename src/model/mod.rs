//! Pure, synchronous decisions and the words the rest of the house speaks in.
//!
//! Everyone above uses it. It never touches disk, network, clock or threads:
//! time comes in as an argument.

pub mod alarm;
pub mod amount;
pub mod aside;
pub mod assemble;
pub mod attributes;
pub mod audit;
pub mod bandwidth;
pub mod brake;
pub mod budget;
pub mod clock;
pub mod companion;
pub mod compare;
pub mod costly;
pub mod cut;
pub mod destination;
pub mod drill;
pub mod full_key;
pub mod hash;
pub mod key;
pub mod late;
pub mod look;
pub mod manifest;
pub mod meta;
pub mod moment;
pub mod origin;
pub mod owner;
pub mod parts;
pub mod path;
pub mod pattern;
pub mod report;
pub mod retry;
pub mod schedule;
pub mod settle;
pub mod state_time;
pub mod strangers;
pub mod taken;
pub mod thaw;
pub mod thinning;
pub mod traffic;
pub mod wake;
pub mod written_order;

pub use attributes::Attributes;
pub use hash::ContentHash;
pub use key::RelKey;
pub use look::Look;
pub use meta::{Fingerprint, Kind, ObjectMeta, Record};
pub use parts::{Crc64, Parts, Segment};
pub use path::RelPath;
