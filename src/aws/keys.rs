//! The keys that requests are signed with: read when they are needed, again when a
//! server refuses them, and in any case after a while.
//!
//! Invariants: a failed look is forgotten after seconds; keys that are refused are
//! never used for longer than it takes to look again; nobody looks more often than
//! [`Doubt::again_after`] allows, whatever is refused.

use super::chain::{self, Chain};
use super::credential_source::CredentialSource;
use super::explained::Explained;
use aws_config::Region;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_credential_types::{Credentials, provider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use parking_lot::Mutex as SyncMutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Keys that name no end are looked up again after this, so that a file that was
/// changed counts though the old key still works.
const KEPT_MAX: Duration = Duration::from_secs(15 * 60);

/// Keys with an end are replaced so long before it: a request that is under way then
/// may take a while to arrive.
const BEFORE_END: Duration = Duration::from_secs(60);

/// Between two looks at keys that are refused, at the least. A bucket that refuses them
/// is probed after 30 seconds at the earliest, so each probe finds what has been
/// corrected.
const REFUSED_MIN: Duration = Duration::from_secs(5);

/// The same for keys that may not do something: a policy may refuse a thousand files,
/// which must not run a `credential_process` a thousand times. Still within a probe.
const DENIED_MIN: Duration = Duration::from_secs(20);

/// A failed look stands for so long: all workers want keys at one time.
const FAILED_MAX: Duration = Duration::from_secs(5);

/// What a server has said of keys since they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Doubt {
    /// Nothing.
    None = 0,
    /// They may not do something, which may be for want of other keys.
    Denied = 1,
    /// It does not take them.
    Refused = 2,
}

impl Doubt {
    /// After which time keys in such doubt are looked up again; `None` for none.
    fn again_after(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Denied => Some(DENIED_MIN),
            Self::Refused => Some(REFUSED_MIN),
        }
    }

    fn of(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Denied,
            _ => Self::Refused,
        }
    }
}

/// Handle; cheap to clone, and all clones share what was read.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chain: Chain,
    /// Held while somebody looks: the others wait for what is found.
    state: Mutex<State>,
    doubt: AtomicU8,
    /// When somebody looked last; `None` before.
    looked: SyncMutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Credentials>,
    /// The last look found these keys; false when it failed, and older ones stand.
    failed: Option<Explained>,
}

impl Keys {
    /// How long a look may take.
    pub const LOOK_MAX: Duration = chain::LOOK_MAX;

    /// Keys from there; nobody looks yet. The region is where roles are asked for.
    pub fn new(from: CredentialSource, region: Option<Region>, http: SharedHttpClient) -> Self {
        let chain = Chain { from, http, region };
        Self(Arc::new(Inner {
            chain,
            state: Mutex::default(),
            doubt: AtomicU8::new(Doubt::None as u8),
            looked: SyncMutex::new(None),
        }))
    }

    /// A server has refused something.
    pub(super) fn doubt(&self, doubt: Doubt) {
        self.0.doubt.fetch_max(doubt as u8, Ordering::Relaxed);
    }

    /// Whether keys in such doubt would be looked up anew now: then a request that was
    /// refused is worth repeating.
    pub(super) fn may_look(&self, doubt: Doubt) -> bool {
        let Some(after) = doubt.again_after() else {
            return false;
        };
        self.since_look().is_none_or(|since| since >= after)
    }

    fn since_look(&self) -> Option<Duration> {
        let looked = self.0.looked.lock();
        looked.map(|at| at.elapsed())
    }

    fn doubted(&self) -> Doubt {
        Doubt::of(self.0.doubt.load(Ordering::Relaxed))
    }

    async fn current(&self) -> provider::Result {
        let mut state = self.0.state.lock().await;
        let now = SystemTime::now();
        let due = due(state.keys.as_ref(), now, self.since_look(), self.doubted());
        let failed_lately = self.since_look().is_some_and(|since| since < FAILED_MAX);
        if state.keys.is_none() && failed_lately {
            if let Some(failed) = &state.failed {
                return Err(CredentialsError::provider_error(failed.again()));
            }
        } else if !due && let Some(keys) = &state.keys {
            return Ok(keys.clone());
        }
        self.look(&mut state).await
    }

    async fn look(&self, state: &mut State) -> provider::Result {
        // What is refused from now on may be refused of the new ones.
        let doubt = Doubt::of(self.0.doubt.swap(Doubt::None as u8, Ordering::Relaxed));
        let found = self.0.chain.look().await;
        *self.0.looked.lock() = Some(Instant::now());
        let failed = match found {
            Ok(keys) => {
                if state.keys.as_ref().is_some_and(|old| *old != keys) {
                    tracing::info!("the AWS credentials have changed: the new ones are used");
                }
                state.failed = None;
                state.keys = Some(keys.clone());
                return Ok(keys);
            }
            Err(failed) => failed,
        };
        let told = CredentialsError::provider_error(failed.again());
        let is_news = state
            .failed
            .as_ref()
            .is_none_or(|old| old.cause != failed.cause);
        state.failed = Some(failed);
        let still_good = |keys: &&Credentials| {
            doubt != Doubt::Refused && keys.expiry().is_none_or(|end| end > SystemTime::now())
        };
        match state.keys.as_ref().filter(still_good) {
            Some(keys) => {
                if is_news {
                    tracing::warn!(
                        "the AWS credentials cannot be read again, the old ones are used: {told}"
                    );
                }
                Ok(keys.clone())
            }
            None => {
                state.keys = None;
                Err(told)
            }
        }
    }
}

/// Whether keys are to be looked up (again) now.
fn due(
    keys: Option<&Credentials>,
    now: SystemTime,
    since_look: Option<Duration>,
    doubt: Doubt,
) -> bool {
    let (Some(keys), Some(since)) = (keys, since_look) else {
        return true;
    };
    let left = keys
        .expiry()
        .map(|end| end.duration_since(now).unwrap_or_default());
    let is_over = match left {
        Some(Duration::ZERO) => since >= FAILED_MAX,
        Some(left) => left < BEFORE_END && since >= DENIED_MIN,
        None => since >= KEPT_MAX,
    };
    is_over || doubt.again_after().is_some_and(|after| since >= after)
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::client::Https;

    fn credentials(key: &str, left_s: Option<u64>) -> Credentials {
        let end = left_s.map(|left| SystemTime::UNIX_EPOCH + Duration::from_secs(10_000 + left));
        Credentials::new(key, "secret", None, end, "test")
    }

    #[test]
    fn keys_are_looked_up_again_in_doubt_and_in_any_case_after_a_while() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let due = |left_s, since_s, doubt| {
            let keys = credentials("k", left_s);
            due(Some(&keys), now, Some(Duration::from_secs(since_s)), doubt)
        };
        assert!(super::due(None, now, None, Doubt::None));
        for (left_s, since_s, doubt, want) in [
            (None, 1, Doubt::None, false),
            (None, 899, Doubt::None, false),
            (None, 900, Doubt::None, true),
            (None, 4, Doubt::Refused, false),
            (None, 5, Doubt::Refused, true),
            (None, 19, Doubt::Denied, false),
            (None, 20, Doubt::Denied, true),
            (Some(3_600), 900, Doubt::None, false),
            (Some(3_600), 5, Doubt::Refused, true),
            (Some(59), 19, Doubt::None, false),
            (Some(59), 20, Doubt::None, true),
            (Some(0), 4, Doubt::None, false),
            (Some(0), 5, Doubt::None, true),
        ] {
            assert_eq!(
                due(left_s, since_s, doubt),
                want,
                "{left_s:?} {since_s} {doubt:?}"
            );
        }
    }

    async fn keys(path: &std::path::Path) -> Keys {
        let from = CredentialSource::File {
            profile: None,
            path: path.to_owned(),
        };
        Keys::new(from, None, Https::of(None).await.client())
    }

    fn write(path: &std::path::Path, key: &str) {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        std::fs::write(path, text).unwrap();
    }

    async fn key(keys: &Keys) -> Result<String, CredentialsError> {
        Ok(keys.current().await?.access_key_id().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_is_not_kept_and_a_refusal_leads_to_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let keys = keys(&file).await;
        let failed = key(&keys).await.unwrap_err();
        let told = Explained::among(&failed).unwrap();
        assert!(told.cause.contains("credentials"), "{told}");
        write(&file, "one");
        tokio::time::advance(FAILED_MAX).await;
        assert_eq!(key(&keys).await.unwrap(), "one");
        write(&file, "two");
        assert_eq!(key(&keys).await.unwrap(), "one", "nobody has complained");
        tokio::time::advance(REFUSED_MIN).await;
        keys.doubt(Doubt::Refused);
        assert_eq!(key(&keys).await.unwrap(), "two");
        write(&file, "three");
        tokio::time::advance(KEPT_MAX).await;
        assert_eq!(
            key(&keys).await.unwrap(),
            "three",
            "old ones are read again"
        );
        // Half written, at the wrong moment: what nobody refused goes on.
        std::fs::write(&file, "[default]\naws_access_key_id = f").unwrap();
        tokio::time::advance(KEPT_MAX).await;
        assert_eq!(key(&keys).await.unwrap(), "three");
        keys.doubt(Doubt::Denied);
        tokio::time::advance(DENIED_MIN).await;
        assert_eq!(key(&keys).await.unwrap(), "three");
        keys.doubt(Doubt::Refused);
        tokio::time::advance(REFUSED_MIN).await;
        assert!(
            key(&keys).await.is_err(),
            "what was refused is used no more"
        );
    }
}
