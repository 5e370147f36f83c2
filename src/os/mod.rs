//! What differs between operating systems, and nothing else.
//!
//! `files` does all its work through [`Dir`], a handle on one folder. Its operations take a
//! single name and never follow a link. All others come here for default folders, private files
//! and limits. It decides nothing about backup, logs nothing and keeps no state. Every function
//! blocks. The only `cfg(unix)` and `cfg(windows)` of the crate are here.

mod ability;
mod attributes;
pub(crate) mod blocking;
mod child;
pub(crate) mod clock;
mod dirs;
mod file_ids;
mod found;
mod limits;
mod machine;
mod marks;
mod mounts;
mod names;
mod paths;
mod platform;
mod private_file;
mod process;
mod reparse;
mod service_types;
mod services;
mod shadow;
mod shell;
mod strangers;
mod streams;
mod supervisor;
mod told;
mod trouble;
#[cfg(unix)]
mod unix;
mod vanished;
#[cfg(windows)]
mod windows;

pub use ability::{HAS_MODES, KEEPS_ATTRIBUTES, NAMES_FOLD_CASE};
pub use attributes::{
    NamedAttributes, attribute_names, attributes_of, knows_attribute, remove_attribute,
    set_attribute, streams_of,
};
pub use dirs::{DefaultDirs, default_dirs};
pub use found::{Found, time_of_ns};
pub use limits::{LimitMet, WatchLimit, WatchLimits, limit_met, watch_limits};
pub use machine::machine_id;
pub use mounts::{Mount, Mounts, changes_unseen, mounts_of};
pub use names::NameRefused;
pub use paths::{os_to_rel, rel_to_os, storable_path};
pub use platform::{
    Dir, boot_now, bytes_of_name, create_private_dir_all, create_target_dir_all, end_shadow_copies,
    fingerprint_at, fingerprint_of, free_bytes, id_at, id_of, is_bad_descriptor, is_id_of_before,
    is_own, is_own_private_file, is_privileged, link_id_at, name_of_bytes, path_for_patterns,
    private_options, real_path, set_mode, set_owner, sparse_bytes, storable_name,
    use_shadow_copies, writable_name,
};
pub use private_file::create_private_file;
pub use process::{
    account_name, account_with_domain, asked_to_end, asked_to_stop, can_write_in, computer_name,
    config_candidates, control_socket, end_group, full_disk_access, home_dir, is_socket_gone,
    is_system_config, plain_path, remove_stale_socket, restrict_socket, set_path_mode,
    shell_command, system_config, user_config_dir,
};
pub use reparse::OnlyInCloud;
pub use service_types::{Ended, Phase, ServiceFound, WindowsService, Work};
pub use services::{
    find_service, leave_console, register_service, remove_service, run_as_service, start_service,
    stop_service, write_event,
};
pub use shell::{is_said_in_every_shell, shell_program, shell_with_variables, shell_word};
pub use strangers::{Strange, account, invoked_by, strange};
pub use supervisor::{
    SERVICE_HAS_OWN_ACCOUNT, SERVICES, Services, has_systemd, manager_watchdog,
    may_change_services, remedy_for_read_only, service_journal, tell_manager, with_rights,
};
pub use told::Told;
pub use trouble::{Trouble, trouble};

#[cfg(test)]
pub(crate) mod testing;
