//! What service is wished, from the configuration and the command line.

use super::super::args::CommonArgs;
use super::super::setup;
use crate::config::{Config, StoreConfig};
use crate::os;
use crate::service::{Account, Folder, Level, Request};
use crate::types::{Fatal, chain};
use std::path::{Path, PathBuf};

/// The file with the keys that a service is given, beside its configuration.
const CREDENTIALS: &str = "credentials";

/// The service of this configuration.
///
/// # Errors
/// A path cannot be written into a definition, or the program is not found.
pub(super) fn of(
    common: &CommonArgs,
    config: &Config,
    level: Level,
    account: Option<&str>,
) -> Result<Request, Fatal> {
    let located = setup::located(common)?;
    let file = std::path::absolute(&located).unwrap_or(located);
    let program = std::env::current_exe()
        .map(os::plain_path)
        .map_err(|error| Fatal::new("find this program", chain(&error), ""))?;
    let account = account_of(level, account);
    let is_usual_config = os::is_system_config(&file);
    let defaults = setup::defaults(Some(&file))?;
    let names_folders = level == Level::User
        || is_usual_config
        || (config.state_dir != defaults.state_dir && config.log.dir != defaults.log_dir);
    let folders = config.sources.iter().map(|source| Folder {
        path: source.path.clone(),
        has_marker: source.sentinel,
    });
    let request = Request {
        credentials: credentials(config, &file, &account),
        level,
        account,
        program,
        config: file,
        is_usual_config,
        state_dir: config.state_dir.clone(),
        log_dir: config.log.dir.clone(),
        names_folders,
        folders: folders.collect(),
        vault: match &config.store {
            StoreConfig::Vault { path } => Some(path.clone()),
            StoreConfig::S3(_) => None,
        },
        shutdown_timeout_ms: config.limits.shutdown_timeout_ms,
    };
    writable(&request)?;
    Ok(request)
}

fn account_of(level: Level, named: Option<&str>) -> Account {
    match (level, named) {
        (Level::User, _) => Account::Caller,
        (Level::System, None) if os::SERVICE_HAS_OWN_ACCOUNT => Account::Own,
        (Level::System, None | Some("root")) => Account::Highest,
        (Level::System, Some(name)) if name == crate::service::OWN_ACCOUNT => Account::Own,
        (Level::System, Some(name)) => Account::Named(name.to_owned()),
    }
}

/// The file beside the configuration. An account that was there before may have its keys in
/// its home folder, where they are looked for without a word.
fn credentials(config: &Config, file: &Path, account: &Account) -> Option<PathBuf> {
    let is_s3 = matches!(config.store, StoreConfig::S3(_)) || config.notify.topic_arn.is_some();
    let beside = file.with_file_name(CREDENTIALS);
    let is_meant = *account == Account::Own || beside.is_file();
    (is_s3 && is_meant).then_some(beside)
}

/// A definition is text.
fn writable(request: &Request) -> Result<(), Fatal> {
    let own = [
        &request.program,
        &request.config,
        &request.state_dir,
        &request.log_dir,
    ];
    let folders = request.folders.iter().map(|folder| &folder.path);
    let all = own.into_iter().chain(&request.vault).chain(folders);
    for path in all {
        if path.to_str().is_none_or(|text| text.contains(['\n', '\r'])) {
            return Err(Fatal::usage(
                format!("write {} into the service's definition", path.display()),
                "its name is not plain text",
                "give it (or a link to it) a name without line breaks and in UTF-8",
            ));
        }
    }
    Ok(())
}

/// What whoever reads the plan should know.
pub(super) fn notes(request: &Request) -> Vec<String> {
    let mut notes = Vec::new();
    if request.level == Level::System
        && let Some(strange) = os::strange(&request.program)
    {
        notes.push(format!(
            "{} {}: whoever can change the program decides what the service reads. Better put it where the administrator alone can write (on Linux: sudo install -m 0755 {} /usr/local/bin/keepwatch), and install from there.",
            strange.at.display(),
            strange.who.text(),
            os::shell_word(&request.program.display().to_string())
        ));
    }
    if let Some(file) = request.credentials.as_ref().filter(|file| !file.is_file()) {
        notes.push(format!(
            "The keys are looked for in {}, which is not there yet (needed unless the computer has a role).",
            file.display()
        ));
    }
    if let Some(vault) = &request.vault
        && vault.is_dir()
        && matches!(request.account, Account::Own | Account::Named(_))
    {
        notes.push(format!(
            "The service's account must be able to write to the vault {}; if it belongs to another account, give it away (chown -R).",
            vault.display()
        ));
    }
    notes
}
