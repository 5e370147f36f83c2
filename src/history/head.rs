//! Asks for the metadata of one version, and tries again when the server does not answer.

use crate::history::timeline::chosen::Chosen;
use crate::retry::{Stop, advise_rerun, with_retries};
use crate::s3::{At, Head, ListedVersion, Store};
use crate::types::{Class, Fault, Origin, VersionId};

/// Older versions that are looked at, each by a request: a page of the list, and as many
/// as `keepwatch versions` shows. A file with more foreign versions over it is named, and
/// nothing is said about what is below them.
pub(crate) const OLDER_MAX: usize = 1_000;

/// The metadata of the version, asked for until the server answers (`retry::with_retries`);
/// `None` when it is gone.
///
/// # Errors
/// The server does not answer, or it was asked to stop; names the file.
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
pub(crate) async fn with_head(
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

/// Another program has put more versions over the file than are looked through.
pub(crate) fn too_many(over: &Chosen) -> Fault {
    Fault::new(
        Class::Damaged,
        "restore",
        over.subject(),
        format!("another program has put more than {OLDER_MAX} versions over it in the bucket"),
    )
    .hint("give an --at from before that program began, or fetch the version with an S3 tool (docs/FORMAT.md)")
}
