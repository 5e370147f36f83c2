//! The two files of profiles that all AWS tools read, as people know them: where they
//! are, and what is wrong with them.
//!
//! The SDK reads and parses them; where it finds nothing, these words say why.

use crate::os;
use crate::types::Home;
use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A file of profiles is a few lines. Of a larger one nothing is said.
const BYTES_MAX: u64 = 1024 * 1024;

/// One of the two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProfileFile {
    pub(super) path: PathBuf,
    /// The variable that names it; `None` at its usual place.
    variable: Option<&'static str>,
    is_config: bool,
}

/// The files that count in this process: credentials, then configuration.
pub(super) fn profile_files() -> [ProfileFile; 2] {
    let of = |variable: &'static str, name: &str| {
        let named = std::env::var_os(variable).filter(|path| !path.is_empty());
        let usual = Path::new("~/.aws").join(name);
        let path = named.as_ref().map_or(usual, PathBuf::from);
        // Where there is no home, the SDK takes it as it stands.
        let inner = Home::from(os::home_dir()).inner(&path);
        let path = inner.ok().flatten().unwrap_or(path);
        ProfileFile {
            path,
            variable: named.map(|_| variable),
            is_config: name == "config",
        }
    };
    [
        of("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        of("AWS_CONFIG_FILE", "config"),
    ]
}

/// The profile that counts: the configuration's, else the environment's.
pub(super) fn profile_name(configured: Option<&str>) -> String {
    let named = configured.map(str::to_owned);
    named
        .or_else(|| std::env::var("AWS_PROFILE").ok())
        .unwrap_or_else(|| "default".to_owned())
}

/// Read and parse the files.
///
/// # Errors
/// What is wrong with them, naming the file.
pub(super) async fn load(
    files: &EnvConfigFiles,
    profile: Option<&str>,
) -> Result<ProfileSet, String> {
    let profile = profile.map(|name| Cow::Owned(name.to_owned()));
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), files, profile).await;
    loaded.map_err(|error| crate::types::chain(&error))
}

impl ProfileFile {
    /// How it stands with this profile, in words; blocks.
    pub(super) fn describe(&self, profile: &str) -> String {
        let named = match self.variable {
            Some(variable) => format!("{} (named by {variable})", self.path.display()),
            None => self.path.display().to_string(),
        };
        format!("{named} {}", self.state(profile))
    }

    fn state(&self, profile: &str) -> String {
        match std::fs::metadata(&self.path) {
            Ok(meta) if meta.len() > BYTES_MAX => return "is too large to be one".to_owned(),
            Ok(_) => {}
            Err(error) => return unreadable(&error),
        }
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) => return unreadable(&error),
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return "is not text in UTF-8".to_owned();
        };
        let names = sections(&text, self.is_config);
        if names.iter().any(|name| name == profile) {
            return format!("has no complete key in [{}]", self.section(profile));
        }
        match names.as_slice() {
            [] => "names no profile".to_owned(),
            some => format!(
                "has no [{}], only {}",
                self.section(profile),
                some.iter()
                    .map(|name| format!("[{}]", self.section(name)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }

    /// How a profile's heading is written in this file.
    fn section(&self, profile: &str) -> String {
        match self.is_config && profile != "default" {
            true => format!("profile {profile}"),
            false => profile.to_owned(),
        }
    }

    /// True when it is there and this account may not read it.
    pub(super) fn is_refused(&self) -> bool {
        let opened = std::fs::File::open(&self.path);
        opened.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
    }
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "may not be read by the account that runs Keepwatch".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}

/// Profiles named in more than so many headings are not listed.
const SECTIONS_SHOWN_MAX: usize = 8;

/// The profiles of such a file.
fn sections(text: &str, is_config: bool) -> Vec<String> {
    let headings = text.lines().filter_map(|line| {
        let inside = line.trim().strip_prefix('[')?.split_once(']')?.0.trim();
        match is_config {
            false => Some(inside),
            true if inside == "default" => Some(inside),
            true => inside.strip_prefix("profile ").map(str::trim),
        }
    });
    headings
        .map(str::to_owned)
        .take(SECTIONS_SHOWN_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let file = |is_config| ProfileFile {
            path: path.clone(),
            variable: Some("AWS_SHARED_CREDENTIALS_FILE"),
            is_config,
        };
        let said = |profile| file(false).describe(profile);
        assert!(said("a").ends_with("(named by AWS_SHARED_CREDENTIALS_FILE) is not there"));
        std::fs::write(&path, "[one]\nx=1\n[ two ]\n").unwrap();
        assert!(said("a").ends_with("has no [a], only [one], [two]"));
        assert!(said("one").ends_with("has no complete key in [one]"));
        std::fs::write(&path, "[default]\n[profile b]\n[sso-session c]").unwrap();
        let config = |profile| file(true).describe(profile);
        assert!(config("d").ends_with("has no [profile d], only [default], [profile b]"));
        assert!(config("default").ends_with("key in [default]"));
        std::fs::write(&path, "").unwrap();
        assert!(said("a").ends_with("names no profile"));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(said("a").ends_with("is not text in UTF-8"));
    }
}
