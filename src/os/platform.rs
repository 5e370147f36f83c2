//! Functions that each operating system implements in its own way. They have the same names
//! everywhere; this file takes those of the system that the program is built for.

#[cfg(unix)]
pub use super::unix::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, writable_name,
};
#[cfg(windows)]
pub use super::windows::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, writable_name,
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
