//! Functions that each operating system implements in its own way. They have the same names
//! everywhere; this file takes those of the system that the program is built for.

#[cfg(unix)]
pub use super::unix::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, create_target_dir_all, end_shadow_copies,
    fingerprint_at, fingerprint_of, free_bytes, id_at, id_of, is_bad_descriptor, is_id_of_before,
    is_own, is_own_private_file, is_privileged, link_id_at, name_of_bytes, path_for_patterns,
    private_options, real_path, set_mode, set_owner, sparse_bytes, storable_name,
    use_shadow_copies, writable_name,
};
#[cfg(windows)]
pub use super::windows::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, create_target_dir_all, end_shadow_copies,
    fingerprint_at, fingerprint_of, free_bytes, id_at, id_of, is_bad_descriptor, is_id_of_before,
    is_own, is_own_private_file, is_privileged, link_id_at, name_of_bytes, path_for_patterns,
    private_options, real_path, set_mode, set_owner, sparse_bytes, storable_name,
    use_shadow_copies, writable_name,
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_monotonic_clock_goes_on_and_never_back() {
        let first = boot_now();
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        assert!((5..60_000).contains(&(boot_now() - first)));
    }

    #[test]
    fn free_space_is_told() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
    }
}
