//! The only place that touches the user's files.
//!
//! Called by `transfer` (read), `tasks` (scan, rules), `recovery` (restore) and
//! whoever writes a small file of our own. It reads and never writes, save
//! below a [`Target`] that restore was told to write to, and the one marker in
//! a source's root. It never follows a link inside a source or a target, never opens what could block (FIFO,
//! device, socket), and never concludes that something is gone from an error.
//!
//! Every function here **blocks**: call it from a blocking thread.

mod atomic;
mod attributes;
mod content_hash;
mod fault;
mod marker;
mod pulse;
mod read;
mod root;
mod rule_counts;
mod rules;
mod stat;
mod target;
mod temp;
mod walk;

pub use atomic::write_private_atomic;
pub use attributes::{Kept, attributes_of, folder_attributes};
pub use content_hash::content_hash;
pub use marker::{
    Identity, MARKER_FILE_NAME, Marker, Touched, create_marker, read_marker, touch_marker,
};
pub use pulse::Pulse;
pub use read::{Opened, fingerprint_of, hash_file, open, read_link};
pub use root::{RootId, root_id, root_made_ns, root_state};
pub use rule_counts::{RuleCount, RuleCounts};
pub use rules::{Compress, RULE_FILE_NAME, Rules};
pub use stat::{is_mounted, stat, stat_found, stat_names, stat_unless_excluded};
pub use target::Target;
pub use target::folders::{Keep, MODE_OF_MADE};
pub use target::left_out::{Committed, MODE_SET_ID};
pub use target::looks::Looks;
pub use target::partial::Checkpoint;
pub use target::pending::Pending;
pub use walk::found::{WalkEntry, WalkFault};
pub use walk::{Walk, walk};
