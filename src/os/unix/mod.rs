//! Linux, macOS and other Unixes.

mod dir;
mod dir_change;
mod system;

pub use dir::Dir;
pub use system::{
    boot_now, bytes_of_name, create_private_dir_all, create_target_dir_all, fingerprint_at,
    fingerprint_of, free_bytes, id_at, id_of, is_bad_descriptor, is_id_of_before, is_own,
    is_own_private_file, is_privileged, link_id_at, name_of_bytes, path_for_patterns,
    private_options, real_path, set_mode, set_owner, sparse_bytes, storable_name, writable_name,
};
pub use system::{end_shadow_copies, use_shadow_copies};
