//! What differs between operating systems, and nothing else.
//!
//! `files` does all its work through [`Dir`], a handle on one folder. Its operations take a
//! single name and never follow a link. All others come here for default folders, private files
//! and limits. It decides nothing about backup, logs nothing and keeps no state. Every function
//! blocks. The only `cfg(unix)` and `cfg(windows)` of the crate are here.

mod ability;
mod attributes;
pub(crate) mod blocking;
pub(crate) mod clock;
mod dirs;
mod found;
mod limits;
mod mounts;
mod names;
mod paths;
mod platform;
mod private_file;
mod process;
mod shell;
mod strangers;
mod trouble;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use ability::{HAS_MODES, KEEPS_ATTRIBUTES, NAMES_FOLD_CASE};
pub use attributes::{
    NamedAttributes, attribute_names, attributes_of, remove_attribute, set_attribute,
};
pub use dirs::{DefaultDirs, default_dirs};
pub use found::{Found, time_of_ns};
pub use limits::{LimitMet, WatchLimit, WatchLimits, limit_met, watch_limits};
pub use mounts::{Mount, Mounts, changes_unseen, mounts_of};
pub use names::NameRefused;
pub use paths::{os_to_rel, rel_to_os};
pub use platform::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, writable_name,
};
pub use private_file::create_private_file;
pub use process::{
    account_name, asked_to_end, asked_to_stop, can_write_in, computer_name, config_candidates,
    control_socket, end_group, home_dir, is_socket_gone, machine_id, remove_stale_socket,
    restrict_socket, set_path_mode, shell_command,
};
pub use shell::shell_word;
pub use strangers::{Strange, account, invoked_by, strange};
pub use trouble::{Trouble, trouble};

#[cfg(test)]
pub(crate) mod testing;
