//! Which program hands out the keys of a profile, as the AWS CLI's files name it.

use super::process::{CredentialProcess, PROCESS_MAX};
use crate::os;
use aws_config::profile::{Profile, ProfileSet};

/// Roles that lead to one another. More are a loop.
const ROLES_MAX: usize = 8;

/// A program that hands out the first keys, and the roles that these lead to.
pub(super) struct ByProgram {
    pub(super) process: CredentialProcess,
    pub(super) roles: Vec<Role>,
}

pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
}

/// Which program hands out the keys of the chosen profile, in the order in which the SDK
/// looks; `None` when it is none, or something is wrong that the SDK then tells.
pub(super) fn by_program(profiles: &ProfileSet) -> Option<ByProgram> {
    let mut name = profiles.selected_profile().to_owned();
    let mut roles = Vec::new();
    loop {
        let profile = profiles.get_profile(&name)?;
        let has = |key: &str| profile.get(key).is_some();
        if !roles.is_empty() && (has("aws_access_key_id") || has("aws_secret_access_key")) {
            return None;
        }
        let role = match profile.get("role_arn") {
            Some(arn) if !has("web_identity_token_file") => Some(Role {
                arn: arn.to_owned(),
                external_id: profile.get("external_id").map(str::to_owned),
                session_name: profile.get("role_session_name").map(str::to_owned),
            }),
            _ => None,
        };
        let Some(role) = role else {
            return base(profile, &name, roles);
        };
        roles.push(role);
        match profile.get("source_profile") {
            Some(next) if next == name => return base(profile, &name, roles),
            Some(next) if roles.len() < ROLES_MAX => name = next.to_owned(),
            _ => return None,
        }
    }
}

/// What comes before a program in a profile.
const BEFORE_PROGRAM: [&str; 6] = [
    "credential_source",
    "web_identity_token_file",
    "sso_account_id",
    "sso_region",
    "sso_start_url",
    "sso_session",
];

fn base(profile: &Profile, name: &str, mut roles: Vec<Role>) -> Option<ByProgram> {
    if BEFORE_PROGRAM.iter().any(|key| profile.get(key).is_some()) {
        return None;
    }
    // Who has signed in by `aws login` has the program that hands out its keys.
    let (setting, line) = match profile.get("login_session") {
        Some(_) => ("login_session", exported(name)),
        None => {
            let line = profile.get("credential_process")?;
            ("credential_process", line.to_owned())
        }
    };
    // The first role is assumed last.
    roles.reverse();
    Some(ByProgram {
        process: CredentialProcess {
            line,
            setting,
            profile: name.to_owned(),
            time_max: PROCESS_MAX,
        },
        roles,
    })
}

/// How the AWS CLI hands out a profile's keys.
fn exported(profile: &str) -> String {
    let profile = os::shell_word(profile);
    format!("aws configure export-credentials --profile {profile} --format process")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::files;
    use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

    async fn program_of(config: &str, selected: &str) -> Option<(String, Vec<String>)> {
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config)
            .build();
        let profiles = files::load(&files, Some(selected)).await.unwrap();
        let found = by_program(&profiles)?;
        let roles = found.roles.into_iter().map(|role| role.arn).collect();
        Some((found.process.line, roles))
    }

    #[tokio::test]
    async fn a_program_is_found_where_the_sdk_would_run_it() {
        const CONFIG: &str = "[default]\ncredential_process = /opt/keys --a b\n\
            [profile keys]\naws_access_key_id = a\naws_secret_access_key = b\ncredential_process = /opt/first\n\
            [profile role]\nrole_arn = one\nsource_profile = default\n\
            [profile chain]\nrole_arn = two\nsource_profile = role\n\
            [profile self]\nrole_arn = three\nsource_profile = self\ncredential_process = /opt/self\n\
            [profile static]\nrole_arn = four\nsource_profile = keys\n\
            [profile sso]\nsso_session = s\ncredential_process = /opt/no\n\
            [profile loop]\nrole_arn = five\nsource_profile = loop2\n\
            [profile loop2]\nrole_arn = six\nsource_profile = loop\n\
            [profile login]\nlogin_session = arn:aws:iam::1:user/a\n\
            [profile none]\nregion = eu-central-1\n";
        for (profile, program, roles) in [
            ("default", Some("/opt/keys --a b"), &[][..]),
            // As with the SDK, the program comes before keys beside it.
            ("keys", Some("/opt/first"), &[]),
            ("role", Some("/opt/keys --a b"), &["one"]),
            ("chain", Some("/opt/keys --a b"), &["one", "two"]),
            ("self", Some("/opt/self"), &["three"]),
            ("static", None, &[]),
            ("sso", None, &[]),
            ("loop", None, &[]),
            (
                "login",
                Some("aws configure export-credentials --profile login --format process"),
                &[],
            ),
            ("none", None, &[]),
            ("missing", None, &[]),
        ] {
            let found = program_of(CONFIG, profile).await;
            let want = program.map(|line| {
                let roles = roles.iter().map(|role| (*role).to_owned()).collect();
                (line.to_owned(), roles)
            });
            assert_eq!(found, want, "{profile}");
        }
    }
}
