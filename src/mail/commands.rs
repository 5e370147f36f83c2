//! Commands that a message proposes, in the words in which whoever reads it can
//! run them: with the program, configuration and credentials of the service, and a
//! folder that its account can write.
//!
//! Who reads a message is not who sends it: root's home folder has no credentials
//! of the service, and the service's account may not write beside the source.
//! Invariant: no secret is written, only where it is.

use crate::aws::PROXY_VARIABLES;
use crate::config::{Config, StoreConfig};
use crate::os;
use crate::os::{shell_program, shell_with_variables, shell_word};
use crate::types::{Home, Reader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables that say where credentials are and how the server is reached, and
/// hold none themselves; proxies beside them.
const TOLD: [&str; 19] = [
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Those among them whose values are files or folders.
const FILES: [&str; 7] = [
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Where AWS tools look in the home folder of the account that runs them.
const AT_HOME: [(&str, &str); 2] = [
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ("AWS_CONFIG_FILE", ".aws/config"),
];

/// Keys in the environment, which no message can repeat.
const SECRETS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Settings of our own that the environment gives.
const OWN: &str = "KEEPWATCH_";

/// The file itself is named as an option.
const OWN_FILE: &str = "KEEPWATCH_CONFIG";

/// What the service has in its environment and in its home folder.
struct Surroundings {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Surroundings {
    fn now() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            home: os::home_dir(),
        }
    }

    /// Keys of its own are set, so that no file is looked at for them.
    fn has_keys(&self) -> bool {
        let is_set = |name: &&str| self.variables.get(*name).is_some_and(|v| !v.is_empty());
        SECRETS[..2].iter().all(is_set)
    }

    /// The variables that a command needs and no message can repeat: keys, and
    /// addresses with a password in them.
    fn held_back(&self, is_s3: bool) -> Vec<&str> {
        let is_needed = |(name, value): &(&String, &String)| {
            let is_key = SECRETS.contains(&name.as_str()) && self.has_keys();
            !value.is_empty() && (is_key || (is_of_s3(name) && has_password(value)))
        };
        let needed = self.variables.iter().filter(is_needed);
        let names = needed.map(|(name, _)| name.as_str());
        names.filter(|_| is_s3).collect()
    }

    /// The variables that a command needs to see what the service sees.
    fn told(&self, is_s3: bool) -> BTreeMap<&str, String> {
        let is_told =
            |name: &str| (is_s3 && is_of_s3(name)) || (name.starts_with(OWN) && name != OWN_FILE);
        let mut told: BTreeMap<&str, String> = self
            .variables
            .iter()
            .filter(|(name, value)| is_told(name) && !value.is_empty())
            .filter(|(_, value)| !has_password(value))
            .map(|(name, value)| (name.as_str(), self.found_anywhere(name, value)))
            .collect();
        if !is_s3 || self.has_keys() {
            return told;
        }
        for (name, inner) in AT_HOME {
            let file = self.home.as_ref().map(|home| home.join(inner));
            if let Some(file) = file.filter(|file| file.is_file()) {
                told.entry(name)
                    .or_insert_with(|| file.display().to_string());
            }
        }
        told
    }

    /// A file's name as it is found from every folder and by every account.
    fn found_anywhere(&self, name: &str, value: &str) -> String {
        if !FILES.contains(&name) {
            return value.to_owned();
        }
        let inner = Home::from(self.home.clone()).inner(Path::new(value));
        let path = inner.ok().flatten().unwrap_or_else(|| value.into());
        std::path::absolute(&path)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

fn is_of_s3(name: &str) -> bool {
    TOLD.contains(&name) || PROXY_VARIABLES.contains(&name)
}

/// An address with a user in it, who may have a password: it stays where it is. The
/// name of a file or a profile may well have an `@` too.
fn has_password(value: &str) -> bool {
    let is_path = value.starts_with(['/', '~', '.', '\\']);
    match value.split_once("://") {
        Some((_, address)) => address.contains('@'),
        // A proxy's address may lack the scheme: `anna:secret@proxy:3128`.
        None => {
            !is_path
                && value
                    .split_once('@')
                    .is_some_and(|(user, _)| user.contains(':'))
        }
    }
}

/// The program with the configuration and the surroundings that it runs with.
pub(crate) fn program(config: &Config) -> String {
    let is_s3 = matches!(config.store, StoreConfig::S3(_));
    let around = Surroundings::now();
    let name = own_name(std::env::current_exe().ok().as_deref());
    let command = match &config.file {
        Some(file) => format!(
            "{name} --config {}",
            shell_word(&file.display().to_string())
        ),
        None => name,
    };
    with_variables(&around.told(is_s3), &command)
}

/// Who reads what the service says: root or its account, who has neither its
/// environment nor its home folder.
pub fn reader(config: &Config) -> Reader {
    Reader {
        program: program(config),
        ..Reader::default()
    }
}

/// Where the program is, since another account's list of folders may lack it. What
/// is replaced by a newer one has its name still.
fn own_name(path: Option<&Path>) -> String {
    let plain = || Reader::default().program;
    let Some(path) = path.and_then(Path::to_str) else {
        return plain();
    };
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    match Path::new(path).file_stem() {
        Some(stem) if stem == "keepwatch" => shell_program(path),
        _ => plain(),
    }
}

fn with_variables(told: &BTreeMap<&str, String>, command: &str) -> String {
    let variables = told.iter().map(|(name, value)| (*name, value.as_str()));
    shell_with_variables(&variables.collect::<Vec<_>>(), command)
}

/// Who can run what [`program`] gives, in sentences.
pub(crate) fn who(config: &Config) -> String {
    let is_s3 = matches!(config.store, StoreConfig::S3(_));
    let around = Surroundings::now();
    let account = match os::is_privileged() {
        true => "root".to_owned(),
        false => format!("root or {}", os::account_name()),
    };
    in_whose_name(&around.held_back(is_s3), &account, cfg!(windows))
}

fn in_whose_name(held_back: &[&str], account: &str, is_windows: bool) -> String {
    let needed = match held_back {
        [] => None,
        [one] => Some((*one).to_owned()),
        [many @ .., last] => Some(format!("{} and {last}", many.join(", "))),
    };
    match (is_windows, needed) {
        (true, None) => {
            "Run it in PowerShell as the service's account or as administrator.".to_owned()
        }
        (true, Some(needed)) => format!(
            "Run it in PowerShell as the service's account or as administrator. Set {needed} before, as the service has them."
        ),
        (false, Some(needed)) => format!(
            "Run it as {account}, with {needed} set as the service has them (no message names them); as anybody else put `sudo -E` before it."
        ),
        (false, None) => {
            format!("Run it as {account}; as anybody else put `sudo` before it.")
        }
    }
}

/// A new folder of this name that the service's account can make, and root too:
/// beside the source, since that disk has the room; else at home, which a service
/// that may write nowhere else has; else among the service's own files.
pub(crate) fn new_folder(config: &Config, root: &Path, name: &str) -> PathBuf {
    let is_watched = |dir: &Path| {
        let mut sources = config.sources.iter();
        sources.any(|source| dir.starts_with(&source.path))
    };
    let home = os::home_dir();
    [root.parent(), home.as_deref()]
        .into_iter()
        .flatten()
        .find(|dir| os::can_write_in(dir) && !is_watched(dir))
        .unwrap_or(&config.state_dir)
        .join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(variables: &[(&str, &str)], home: Option<&Path>) -> Surroundings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Surroundings {
            variables: variables.iter().map(owned).collect(),
            home: home.map(Path::to_owned),
        }
    }

    #[test]
    fn a_command_says_where_the_service_has_its_credentials_and_never_what_they_are() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let file = home.path().join(".aws").join("credentials");
        std::fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        let at_home = shell_with_variables(&[("AWS_SHARED_CREDENTIALS_FILE", file)], "keepwatch");
        for (variables, is_s3, want) in [
            (&[][..], true, at_home.as_str()),
            (&[], false, "keepwatch"),
            (
                &[
                    ("AWS_SHARED_CREDENTIALS_FILE", "/etc/keepwatch/my keys"),
                    ("AWS_PROFILE", "office"),
                    ("PATH", "/bin"),
                ],
                true,
                "env AWS_PROFILE=office AWS_SHARED_CREDENTIALS_FILE='/etc/keepwatch/my keys' keepwatch",
            ),
            (
                &[
                    ("AWS_ACCESS_KEY_ID", "AKIAXXXXXXXX"),
                    ("AWS_SECRET_ACCESS_KEY", "itssecret"),
                    ("AWS_SESSION_TOKEN", "itstoken"),
                    ("HTTPS_PROXY", "http://anna:itsword@proxy:3128"),
                    ("ALL_PROXY", "anna:itsword@proxy:3128"),
                    ("AWS_REGION", "eu-central-1"),
                ],
                true,
                "env AWS_REGION=eu-central-1 keepwatch",
            ),
            (
                &[
                    (
                        "AWS_SHARED_CREDENTIALS_FILE",
                        "/home/anna@office.example/keys",
                    ),
                    ("AWS_PROFILE", "anna@office"),
                    (
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                        "http://127.0.0.1/keys",
                    ),
                ],
                true,
                "env AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/keys AWS_PROFILE=anna@office AWS_SHARED_CREDENTIALS_FILE=/home/anna@office.example/keys keepwatch",
            ),
            (
                &[
                    ("KEEPWATCH_CONFIG", "x.toml"),
                    ("KEEPWATCH_STATE__DIR", "/var/lib/k"),
                ],
                false,
                "env KEEPWATCH_STATE__DIR=/var/lib/k keepwatch",
            ),
        ] {
            let around = around(variables, Some(home.path()));
            let line = with_variables(&around.told(is_s3), "keepwatch");
            if !cfg!(windows) {
                assert_eq!(line, want);
            }
            for (name, value) in variables {
                assert_eq!(line.contains(name), want.contains(name), "{line}");
                let is_secret = value.starts_with("its") || value.contains("itsword");
                assert!(!is_secret || !line.contains(value), "{line}");
            }
        }
        let tilde = around(
            &[("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")],
            Some(home.path()),
        );
        assert_eq!(with_variables(&tilde.told(true), "keepwatch"), at_home);
    }

    #[test]
    fn whatever_names_a_proxy_or_excepts_a_server_is_told_or_asked_for() {
        for name in PROXY_VARIABLES {
            let plain = around(&[(name, "nas.office.example:3128")], None);
            let line = with_variables(&plain.told(true), "keepwatch");
            let told = [(name, "nas.office.example:3128")];
            assert_eq!(line, shell_with_variables(&told, "keepwatch"));
            assert!(plain.held_back(true).is_empty());
            for address in ["http://anna:itsword@proxy:3128", "anna:itsword@proxy:3128"] {
                let secret = around(&[(name, address)], None);
                assert!(secret.told(true).is_empty(), "{name}");
                assert_eq!(secret.held_back(true), [name]);
                assert!(secret.held_back(false).is_empty());
            }
        }
        let all = around(
            &[
                ("AWS_ACCESS_KEY_ID", "AKIAXXXXXXXX"),
                ("AWS_SECRET_ACCESS_KEY", "itssecret"),
                ("https_proxy", "http://anna:itsword@proxy:3128"),
            ],
            None,
        );
        let said = in_whose_name(&all.held_back(true), "root", false);
        assert!(
            said.starts_with("Run it as root, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and https_proxy set as"),
            "{said}"
        );
        assert!(
            said.contains("`sudo -E`") && !said.contains("its"),
            "{said}"
        );
    }

    #[test]
    fn the_program_is_named_where_it_is_unless_it_is_another() {
        for (path, want) in [
            (Some("/usr/local/bin/keepwatch"), "/usr/local/bin/keepwatch"),
            (
                Some("/opt/my bin/keepwatch (deleted)"),
                "'/opt/my bin/keepwatch'",
            ),
            (Some("/target/debug/deps/suite-1"), "keepwatch"),
            (None, "keepwatch"),
        ] {
            if !cfg!(windows) {
                assert_eq!(own_name(path.map(Path::new)), want);
            }
        }
    }
}
