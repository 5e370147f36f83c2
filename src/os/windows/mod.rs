//! Windows.

pub(super) mod as_service;
mod dir;
mod dir_change;
pub(super) mod event_log;
pub(super) mod rights;
pub(super) mod service;
mod shadow;
pub(super) mod sys;
mod system;

pub use dir::Dir;
pub use shadow::{end_shadow_copies, use_shadow_copies};
pub use system::{
    boot_now, bytes_of_name, can_write_in, create_private_dir_all, create_target_dir_all,
    fingerprint_at, fingerprint_of, free_bytes, id_at, id_of, is_bad_descriptor, is_id_of_before,
    is_own, is_own_private_file, is_privileged, link_id_at, name_of_bytes, path_for_patterns,
    private_options, real_path, set_mode, set_owner, sparse_bytes, storable_name, writable_name,
};
