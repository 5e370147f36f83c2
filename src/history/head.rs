//! Asks for the metadata of one version, and tries again when the server does not answer.

use crate::history::timeline::chosen::Chosen;
use crate::retry::{Stop, advise_rerun, with_retries};
use crate::s3::{At, Head, ListedVersion, Store};
use crate::types::{Class, Fault, Origin, VersionId};

/// Older versions that are looked at, each by a request: a page of the list, and
/// as many as `keepwatch versions` shows. Whoever put more over a file is told of
/// by name, and nothing is said about what lies previous.
pub(crate) const OLDER_MAX: usize = 1_000;

/// What the version says of itself, asked for with retries; `None` when it is gone.
///
/// # Errors
/// The server does not say, or it was asked to stop; by the file's name.
pub(crate) async fn head(
    store: &Store,
    origin: &Origin,
    chosen: &Chosen,
    stop: &mut Stop,
) -> Result<Option<Head>, Fault> {
    let at = At {
        bucket: &origin.bucket,
        key: &chosen.key,
    };
    let head = head_at(store, at, chosen.version_id.as_ref(), stop).await;
    head.map_err(|fault| fault.about(chosen.subject()))
}

/// The same, where the file has no name yet.
///
/// # Errors
/// As [`head`].
pub(crate) async fn head_at(
    store: &Store,
    at: At<'_>,
    version_id: Option<&VersionId>,
    stop: &mut Stop,
) -> Result<Option<Head>, Fault> {
    let done = with_retries(stop, || store.head(at, version_id)).await;
    done.map_err(advise_rerun)
}

/// Ask for the metadata of this very version; no head when it is gone.
pub(crate) async fn look(
    store: &Store,
    origin: &Origin,
    version: ListedVersion,
    mut stop: Stop,
) -> Result<(ListedVersion, Option<Head>), Fault> {
    let at = At {
        bucket: &origin.bucket,
        key: &version.key,
    };
    let head = head_at(store, at, version.version_id.as_ref(), &mut stop).await?;
    Ok((version, head))
}

/// Nobody looks through as many as another program has put there.
pub(crate) fn too_many(over: &Chosen) -> Fault {
    Fault::new(
        Class::Damaged,
        "restore",
        over.subject(),
        format!("another program has put more than {OLDER_MAX} versions over it in the bucket"),
    )
    .hint("give an --at from before that program began, or fetch the version with an S3 tool (docs/FORMAT.md)")
}
