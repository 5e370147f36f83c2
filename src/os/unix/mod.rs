//! Linux, macOS and other Unixes.

mod dir;
mod dir_change;
mod system;

pub use dir::Dir;
pub use system::{
    boot_now, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, writable_name,
};
