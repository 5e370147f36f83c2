//! Whether another account can change Keepwatch's configuration, state or log.
//!
//! Such an account could plant a link through which root writes, or decide what is backed
//! up and where to. So root refuses a state folder that is not its own. Of everything else
//! log, `status` and `check` warn, and the backup goes on.

use crate::config::Config;
use crate::os;
use crate::os::{Strange, shell_word};
use crate::types;
use crate::types::Fatal;
use std::path::Path;

/// What another account can change, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// A sentence without its end.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. What to do: {}", self.what, self.remedy)
    }
}

/// Refuse a state folder that root must not use.
///
/// # Errors
/// This is root, and another account can change the folder.
pub fn refuse_state(folder: &Path) -> Result<(), Fatal> {
    let strange = os::strange(folder).filter(|strange| strange.is_itself);
    let Some(strange) = strange.filter(|_| os::is_privileged()) else {
        return Ok(());
    };
    Err(Fatal::new(
        format!("use the state folder {}", folder.display()),
        format!(
            "{} {}, and could have root write to any file of this computer",
            strange.at.display(),
            strange.who.text()
        ),
        format!(
            "look at what is in it, then: {}; or run Keepwatch as the account that it belongs to",
            taking(&strange, "700")
        ),
    ))
}

/// Which of configuration, state and log another account can change. Blocks.
pub fn doubts(config: &Config) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut add = |what: &str, path: &Path, mode: &str, harm: &str| {
        let Some(strange) = os::strange(path) else {
            return;
        };
        let at = match strange.is_itself {
            true => format!("the {what} {}", strange.at.display()),
            false => format!(
                "{}, which the {what} {} lies in,",
                strange.at.display(),
                path.display()
            ),
        };
        let mode = if strange.is_itself { mode } else { "go-w" };
        doubts.push(Doubt {
            what: format!("{at} {}: who can change it {harm}", strange.who.text()),
            remedy: format!(
                "{}; or choose a place that only this account can change",
                taking(&strange, mode)
            ),
        });
    };
    let harm = "can replace what Keepwatch knows";
    add("state folder", &config.state_dir, "700", harm);
    add("log folder", &config.log.dir, "700", "can replace the log");
    let invoked_by = os::invoked_by();
    let file = config.file.as_deref();
    // Whoever runs this by sudo with a configuration of their own knows what is in it.
    let is_theirs = |file: &&Path| {
        let owner = os::strange(file).map(|strange| strange.who);
        matches!(owner, Some(types::Stranger::Owner(id)) if Some(id) == invoked_by)
    };
    if let Some(file) = file.filter(|file| !is_theirs(file)) {
        let harm = "decides what Keepwatch reads and where it goes";
        add("configuration", file, "go-w", harm);
    }
    doubts
}

/// The command that takes it from the other account.
fn taking(strange: &Strange, mode: &str) -> String {
    let at = shell_word(&strange.at.display().to_string());
    match strange.who {
        types::Stranger::Owner(_) => {
            format!("chown {} {at} && chmod {mode} {at}", os::account())
        }
        _ => format!("chmod {mode} {at}"),
    }
}
