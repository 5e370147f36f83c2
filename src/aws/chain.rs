//! One look at everything that may hold keys: environment, files of profiles,
//! `credential_process`, single sign-on, the computer's role.
//!
//! The chain is the SDK's, made anew for each look: an instance of it keeps what it
//! has found, and that it found nothing, for ever. Only programs are run here
//! (`process`), and what went wrong is told here.

use super::credential_source::CredentialSource;
use super::explained::{Explained, causes, hide_keys};
use super::files;
use super::files::ProfileFile;
use super::program::{ByProgram, by_program};
use crate::types::{Class, chain, clean, command};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::time::Duration;

fn keys_hint() -> String {
    format!(
        "put aws_access_key_id and aws_secret_access_key into that credentials file, or correct `profile`; {}",
        read_again()
    )
}

/// What every change of the keys comes to.
fn read_again() -> String {
    format!(
        "Keepwatch reads it again by itself, and `{}` tests it",
        command::with_configuration("check")
    )
}

/// How long a look may take: the time of a program that hands keys out, and a request
/// or two for a role. A request that waits for keys must have longer for one try, or
/// that is over first: what was found is lost, and the server is blamed that was not
/// asked yet.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(18);

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) from: CredentialSource,
    pub(super) http: SharedHttpClient,
    pub(super) region: Option<Region>,
}

impl Chain {
    /// Look now.
    pub(super) async fn look(&self) -> Result<Credentials, Explained> {
        match tokio::time::timeout(LOOK_MAX, self.find()).await {
            Ok(found) => found,
            Err(_) => Err(Explained::new(
                Class::Transient,
                format!(
                    "nobody handed out credentials within {} s",
                    LOOK_MAX.as_secs()
                ),
                "Keepwatch tries again by itself; if it lasts, see what the profile asks for them (single sign-on, a role, a program)",
            )),
        }
    }

    async fn find(&self) -> Result<Credentials, Explained> {
        let named = match &self.from {
            CredentialSource::Chain { profile } | CredentialSource::File { profile, .. } => {
                profile.as_deref()
            }
        };
        let is_in_environment = matches!(self.from, CredentialSource::Chain { .. })
            && ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
                .iter()
                .all(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if !is_in_environment {
            let profiles = self.profiles(named).await?;
            if let Some(by_program) = by_program(&profiles) {
                return self.run(by_program).await;
            }
        }
        let requests = ProviderConfig::without_region()
            .with_region(self.region.clone())
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_http_client(self.http.clone());
        let found = match &self.from {
            CredentialSource::Chain { profile } => {
                let mut all = DefaultCredentialsChain::builder()
                    .configure(requests)
                    .region(self.region.clone());
                if let Some(profile) = profile {
                    all = all.profile_name(profile);
                }
                all.build().await.provide_credentials().await
            }
            CredentialSource::File { .. } => {
                let mut file = ProfileFileCredentialsProvider::builder()
                    .configure(&requests)
                    .profile_files(self.files());
                if let Some(profile) = named {
                    file = file.profile_name(profile);
                }
                file.build().provide_credentials().await
            }
        };
        match found {
            Ok(keys) => Ok(keys),
            Err(error) => Err(self.explain(error, named).await),
        }
    }

    /// The files that are there, as people know them.
    fn place(&self) -> String {
        let paths = match &self.from {
            CredentialSource::File { path, .. } => vec![path.clone()],
            CredentialSource::Chain { .. } => files::profile_files()
                .into_iter()
                .map(|file| file.path)
                .collect(),
        };
        let shown: Vec<String> = paths
            .iter()
            .filter(|path| path.exists())
            .map(|path| path.display().to_string())
            .collect();
        match shown.is_empty() {
            true => "in no file".to_owned(),
            false => format!("in {}", shown.join(" and ")),
        }
    }

    fn files(&self) -> EnvConfigFiles {
        match &self.from {
            CredentialSource::Chain { .. } => EnvConfigFiles::default(),
            CredentialSource::File { path, .. } => EnvConfigFiles::builder()
                .with_file(EnvConfigFileKind::Credentials, path)
                .build(),
        }
    }

    async fn profiles(&self, named: Option<&str>) -> Result<ProfileSet, Explained> {
        files::load(&self.files(), named).await.map_err(|wrong| {
            Explained::new(
                Class::Credentials,
                format!(
                    "the AWS configuration cannot be read: {}",
                    clean(&hide_keys(&wrong))
                ),
                "correct that file; Keepwatch reads it again by itself",
            )
        })
    }

    async fn run(&self, by_program: ByProgram) -> Result<Credentials, Explained> {
        let mut keys = by_program.process.run().await?;
        for role in by_program.roles {
            let mut config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(self.http.clone())
                .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                    aws_smithy_async::rt::sleep::TokioSleep::new(),
                ));
            config.set_region(self.region.clone());
            let mut assume = AssumeRoleProvider::builder(&role.arn).configure(&config.build());
            if let Some(id) = role.external_id {
                assume = assume.external_id(id);
            }
            if let Some(name) = role.session_name {
                assume = assume.session_name(name);
            }
            let assumed = assume.build_from_provider(keys).await;
            keys = match assumed.provide_credentials().await {
                Ok(keys) => keys,
                Err(error) => return Err(self.explain(error, None).await),
            };
        }
        Ok(keys)
    }

    /// What the SDK's error means.
    async fn explain(&self, error: CredentialsError, named: Option<&str>) -> Explained {
        if let Some(network) = Explained::among(&error) {
            return Explained::new(
                network.class,
                format!("no credentials were handed out: {}", network.cause),
                network.hint.clone(),
            )
            .of(error);
        }
        match &error {
            CredentialsError::CredentialsNotLoaded(_) => {
                let (from, profile) = (self.from.clone(), files::profile_name(named));
                let said = tokio::task::spawn_blocking(move || nothing(&from, &profile)).await;
                let (cause, hint) = said.unwrap_or_default();
                Explained::new(Class::Credentials, cause, hint)
            }
            CredentialsError::ProviderTimedOut(_) => Explained::new(
                Class::Transient,
                "nobody handed out credentials in time",
                "Keepwatch tries again by itself",
            ),
            other => {
                let said = without_prefixes(&clean(&hide_keys(&chain(other))));
                // The last place that is asked answers for all those before it.
                if is_of_metadata(&said) && matches!(self.from, CredentialSource::Chain { .. }) {
                    let (from, profile) = (self.from.clone(), files::profile_name(named));
                    let found = tokio::task::spawn_blocking(move || nothing(&from, &profile)).await;
                    let (cause, hint) = found.unwrap_or_default();
                    let cause = format!("{cause} (its metadata service says: {said})");
                    return Explained::new(class_of(other), cause, hint).of(error);
                }
                let is_token = causes(other).any(|cause| cause.is::<TokenError>());
                let is_sso = is_token || said.to_ascii_lowercase().contains("sso");
                let hint = match is_sso {
                    true => "sign in again as the account that runs Keepwatch: `aws sso login`, with the profile if there is one; Keepwatch goes on by itself then".to_owned(),
                    false => format!(
                        "correct the profile in the credentials file, or renew what it leads to; {}",
                        read_again()
                    ),
                };
                let profile = files::profile_name(named);
                let place = self.place();
                let cause =
                    format!("the profile `{profile}` ({place}) gives no credentials: {said}");
                Explained::new(class_of(other), cause, hint)
            }
        }
        .of(error)
    }
}

/// The metadata service of a computer in AWS has refused, or a firewall in its place.
/// Which is asked last, after all variables and files.
fn is_of_metadata(said: &str) -> bool {
    said.contains("IMDS")
}

/// What the SDK says before it comes to the point.
const PREFIXES: [&str; 4] = [
    "the credentials provider was not properly configured: ",
    "ProfileFile provider could not be built: ",
    "an error occurred while loading credentials: ",
    "unexpected credentials error: ",
];

fn without_prefixes(text: &str) -> String {
    let mut rest = text;
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    rest.to_owned()
}

/// A service that hands out credentials (single sign-on, a role, the metadata service) and
/// cannot be reached is the network's trouble, which passes.
fn class_of(error: &CredentialsError) -> Class {
    let is_network = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>();
        cause.is::<ConnectorError>()
            || cause.to_string().contains("timed out")
            || io.is_some_and(|io| {
                !matches!(
                    io.kind(),
                    std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::PermissionDenied
                        | std::io::ErrorKind::Other
                )
            })
    };
    match error {
        CredentialsError::ProviderTimedOut(_) => Class::Transient,
        other if causes(other).any(is_network) => Class::Transient,
        _ => Class::Credentials,
    }
}

/// Why nothing was found, and what to do; blocks.
fn nothing(from: &CredentialSource, profile: &str) -> (String, String) {
    let CredentialSource::Chain { .. } = from else {
        let CredentialSource::File { path, .. } = from else {
            return Default::default();
        };
        let cause = format!("{} has no complete key in [{profile}]", path.display());
        return (cause, keys_hint());
    };
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let variables = match (is_set("AWS_ACCESS_KEY_ID"), is_set("AWS_SECRET_ACCESS_KEY")) {
        (true, false) => "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",
        (false, true) => "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID",
        _ => "AWS_ACCESS_KEY_ID is not set",
    };
    let files = files::profile_files();
    let described: Vec<String> = files.iter().map(|file| file.describe(profile)).collect();
    let cause = format!(
        "no AWS credentials were found: {variables}, {}, and this computer has no role in AWS",
        described.join(", ")
    );
    let [credentials, _] = &files;
    let hint = match files.iter().find(|file| file.is_refused()) {
        Some(refused) => format!(
            "let the account that runs Keepwatch read {} (the file and its folder); Keepwatch reads it again by itself",
            refused.path.display()
        ),
        None => put_a_key(credentials, profile),
    };
    (cause, hint)
}

fn put_a_key(credentials: &ProfileFile, profile: &str) -> String {
    format!(
        "put aws_access_key_id and aws_secret_access_key under [{profile}] into {}, readable for the account that runs Keepwatch alone; {}",
        credentials.path.display(),
        read_again()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hands_out_credentials_and_cannot_be_reached_is_the_networks_trouble() {
        let io = |kind| std::io::Error::new(kind, "x");
        let network = || ConnectorError::io(Box::new(io(std::io::ErrorKind::TimedOut)));
        for (error, class) in [
            (
                CredentialsError::provider_error("the SSO session has expired"),
                Class::Credentials,
            ),
            (
                CredentialsError::provider_timed_out(Duration::from_secs(5)),
                Class::Transient,
            ),
            (
                CredentialsError::provider_error(network()),
                Class::Transient,
            ),
            (
                CredentialsError::provider_error(io(std::io::ErrorKind::ConnectionRefused)),
                Class::Transient,
            ),
            (
                CredentialsError::invalid_configuration(io(std::io::ErrorKind::NotFound)),
                Class::Credentials,
            ),
        ] {
            assert_eq!(class_of(&error), class, "{error:?}");
        }
    }
}
