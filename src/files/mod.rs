//! The only place that touches the user's files.
//!
//! It reads them and never writes, except below a [`Target`] that a restore was told to write
//! to, and except for the one sentinel in a source's root. It never follows a link inside a
//! source or a target, never opens what could block (FIFO, device, socket), and never
//! concludes from an error that something is gone.
//!
//! Every function here **blocks**: call it from a blocking thread.

mod atomic;
mod attributes;
mod content_hash;
mod fault;
mod marker;
mod path_stat;
mod pulse;
mod read;
mod root;
mod rule_counts;
mod rules;
mod target;
mod temp;
mod walk;

pub use atomic::write_private_atomic;
pub use attributes::{ReadAttributes, attributes_of, folder_attributes};
pub use content_hash::content_hash;
pub use marker::{
    Identity, MARKER_FILE_NAME, Marker, Touched, create_marker, give_marker, read_marker,
    touch_marker,
};
pub use path_stat::{is_mounted, stat, stat_found, stat_names, stat_unless_excluded};
pub use pulse::Pulse;
pub use read::{Opened, fingerprint_of, hash_file, open, read_link, reading_fault};
pub use root::{RootId, root_id, root_made_ns, root_state};
pub use rule_counts::{RuleCount, RuleCounts};
pub use rules::{Compress, RULE_FILE_NAME, Rules};
pub use target::Target;
pub use target::folders::{Keep, MODE_OF_MADE};
pub use target::left_out::{Committed, MODE_SET_ID};
pub use target::looks::Looks;
pub use target::partial::Checkpoint;
pub use target::pending::Pending;
pub use walk::found::{WalkEntry, WalkFault};
pub use walk::{Walk, walk};
