//! Asking whose a destination is, and the bucket whether it keeps versions.

use super::known::Destination;
use super::owner;
use super::policy::{Kind, Word};
use super::trouble::change;
use crate::config::StoreConfig;
use crate::os::shell_word;
use crate::s3::Versioning;
use crate::types::{Class, Fault, MonotonicMs, command};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Whether the destination is ours, so that anything may be sent there at all. Asks
/// when nobody has asked yet.
///
/// # Errors
/// It cannot be found out now.
pub async fn is_ours(destination: &Arc<Destination>) -> Result<bool, Fault> {
    let known = || Some(destination.memory().owner.as_ref()?.is_ok());
    if let Some(known) = known() {
        return Ok(known);
    }
    let _one = destination.memory.asking.lock().await;
    if known().is_none() {
        owner::settle(destination, false).await?;
    }
    Ok(known() == Some(true))
}

/// Take the destination from whoever has it: somebody has said so.
///
/// # Errors
/// It cannot be taken now.
pub async fn take_over(destination: &Arc<Destination>) -> Result<(), Fault> {
    let _one = destination.memory.asking.lock().await;
    ask_owner(destination).await?;
    if destination.may_send() {
        return Ok(());
    }
    owner::settle(destination, true).await
}

/// Look whose it is now.
async fn ask_owner(destination: &Arc<Destination>) -> Result<(), Fault> {
    let known = destination.memory().owner.clone();
    match known {
        Some(Ok(id)) => owner::still(destination, &id).await,
        Some(Err(())) | None => owner::settle(destination, false).await,
    }
}

/// Ask whose the destination is, and the bucket whether it keeps versions.
///
/// # Errors
/// The question was not answered; what was known before stands.
pub async fn ask(destination: &Arc<Destination>) -> Result<(), Fault> {
    let _one = destination.memory.asking.lock().await;
    ask_alone(destination).await
}

/// The same for who asks anyway, and has nothing to do with the answer. Gives what kept the
/// question from being answered.
pub async fn look(destination: &Arc<Destination>) -> Option<Fault> {
    let fault = ask(destination).await.err()?;
    tracing::debug!(source = %destination.source.name, "{fault}");
    Some(fault)
}

pub(super) async fn ask_alone(destination: &Arc<Destination>) -> Result<(), Fault> {
    let settings = &destination.source;
    // Never 0, which is never.
    let asked_ms = destination.clock.monotonic_ms().max(MonotonicMs(1));
    destination.memory().word.tried_ms = asked_ms;
    ask_owner(destination).await?;
    if !destination.may_send() {
        learned(destination, false, asked_ms);
        return Ok(());
    }
    let answer = destination.store.versioning(&settings.bucket).await;
    let now_ms = destination.clock.server_now_ms();
    if let Some(fault) = answer
        .as_ref()
        .err()
        .filter(|fault| is_of_the_moment(fault.class))
    {
        // What it does is as it was; whoever would mark something asks again.
        if destination.memory().word.is_well.is_none() {
            let untold = Some(not_told(&settings.bucket, fault));
            change(destination, |troubles| {
                troubles.set(Kind::VersionsUntold, untold, now_ms);
            })
            .await;
        }
        return Err(fault.clone());
    }
    let keeps = matches!(answer, Ok(Versioning::Enabled));
    learned(destination, keeps, asked_ms);
    let place = &destination.config.store;
    let off =
        matches!(answer, Ok(Versioning::Off)).then(|| without_versions(place, &settings.bucket));
    let untold = answer.err().map(|fault| not_told(&settings.bucket, &fault));
    change(destination, |troubles| {
        troubles.set(Kind::NoVersions, off, now_ms);
        troubles.set(Kind::VersionsUntold, untold, now_ms);
    })
    .await;
    Ok(())
}

fn learned(destination: &Destination, is_well: bool, asked_ms: MonotonicMs) {
    destination.memory().word = Word {
        is_well: Some(is_well),
        asked_ms,
        tried_ms: asked_ms,
    };
    destination.memory.keeps.store(is_well, Ordering::Relaxed);
}

/// Trouble of the line, the credentials or the bucket as such: everything else
/// fails for it as well, and that is told.
fn is_of_the_moment(class: Class) -> bool {
    class.is_transient()
        || matches!(
            class,
            Class::Credentials | Class::NoBucket | Class::Untrusted | Class::Full
        )
}

fn not_told(bucket: &str, fault: &Fault) -> (String, String) {
    let text = format!(
        "deletions are not marked until the bucket {bucket} says whether it keeps old versions: {}",
        fault.reason()
    );
    let remedy = match fault.hint.is_empty() {
        true => format!(
            "see that the bucket can be asked: `{}` tells",
            command::with_configuration("check")
        ),
        false => fault.hint.clone(),
    };
    (text, remedy)
}

fn without_versions(place: &StoreConfig, bucket: &str) -> (String, String) {
    (
        format!(
            "the bucket {bucket} keeps no old versions: a file that is saved again replaces its only copy, and deletions are not marked"
        ),
        format!(
            "turn on versioning: {}; where the server cannot do that, use one that can (docs/OPERATIONS.md)",
            command_for_versions(place, bucket)
        ),
    )
}

/// The command of the AWS CLI that turns on versioning, on the server that is configured.
pub fn command_for_versions(place: &StoreConfig, bucket: &str) -> String {
    let s3 = match place {
        StoreConfig::S3(s3) => Some(s3),
        StoreConfig::Vault { .. } => None,
    };
    let options = [
        (
            "--endpoint-url",
            s3.and_then(|s3| s3.endpoint_url.as_deref()),
        ),
        ("--region", s3.and_then(|s3| s3.region.as_deref())),
        ("--profile", s3.and_then(|s3| s3.profile.as_deref())),
    ];
    let options: String = options
        .into_iter()
        .filter_map(|(name, value)| Some(format!(" {name} {}", shell_word(value?))))
        .collect();
    format!(
        "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled{options}"
    )
}

/// Ask what is due to be asked, unless the bucket cannot be used anyway (`is_out`); what was deleted meanwhile is looked for when the
/// bucket keeps versions again. Gives what kept the question from being answered.
pub async fn ask_if_due(destination: &Arc<Destination>, is_out: bool) -> Option<Fault> {
    let word = destination.memory().word;
    if is_out || !word.is_due(destination.clock.monotonic_ms()) {
        return None;
    }
    let kept = word.is_well == Some(true);
    let unanswered = look(destination).await;
    if !kept && destination.keeps_versions() {
        destination.work.scans.ask_whole(false);
    }
    unanswered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{S3Config, S3Demands};

    /// Named after the bug: the command went to AWS where another server was configured.
    #[test]
    fn the_command_that_turns_on_versioning_is_for_the_server_that_is_configured() {
        let s3 = S3Config {
            region: Some("eu-central-1".to_owned()),
            profile: Some("my office".to_owned()),
            endpoint_url: Some("https://nas.example:9000".to_owned()),
            path_style: true,
            demands: S3Demands::default(),
        };
        let (_, remedy) = without_versions(&StoreConfig::S3(s3), "b-1");
        let quoted = shell_word("my office");
        assert!(
            remedy.contains(&format!(
                "--bucket b-1 --versioning-configuration Status=Enabled --endpoint-url https://nas.example:9000 --region eu-central-1 --profile {quoted};"
            )),
            "{remedy}"
        );
    }
}
