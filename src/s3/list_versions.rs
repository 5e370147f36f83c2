//! Lists versions and delete markers page by page.

use super::at::At;
use super::order::Recorded;
use super::page::{
    ListedVersion, PAGE_KEYS, Page, bounded, broken, bytes, decoded, is_full, left_out, millis,
    more,
};
use super::past::{self, Refused};
use super::seam::{Given, Marker, Next, Spot};
use super::store::Store;
use super::{error, order, seam};
use crate::types::{Class, ETag, Fault, Operation, VersionId, id_text};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;
use std::collections::HashSet;

impl Store {
    /// One page of versions and delete markers below `prefix`: keys in order,
    /// newest first within a key.
    ///
    /// # Errors
    /// Any class; `Refused` when the server leaves something out between pages.
    pub async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
    ) -> Result<Page<ListedVersion>, Fault> {
        let page = self.versions_page(bucket, prefix, after).await;
        page.map_err(|refused| refused.fault)
    }

    /// The same; a refusal says whether the server knows no such list at all.
    pub(super) async fn versions_page(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
    ) -> Result<Page<ListedVersion>, Refused> {
        let (answer, recorded) = self.versions_answer(bucket, prefix, after).await?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let (versions, markers) = (versions(&answer, encoded), markers(&answer, encoded));
        let (mut items, mut in_order) = order::joined(versions, markers, recorded.as_deref());
        let names = items.iter().flat_map(|v| {
            [
                v.key.as_str(),
                id_text(&v.version_id),
                &v.etag,
                &v.storage_class,
            ]
        });
        bounded(OF_VERSIONS, bucket, names)?;
        let spots: Vec<Spot> = items.iter().map(Spot::of).collect();
        let given = given_versions(&answer, &spots, encoded);
        let marker = given.marker.iter();
        let marker = marker.flat_map(|m| m.keys.iter().chain([&m.version_id]));
        bounded(OF_VERSIONS, bucket, marker)?;
        let seam = seam::seam(after, &given);
        if let Some(after) = after.filter(|_| !seam.is_proved) {
            // It is rare, and would make the futures of all callers larger.
            Box::pin(self.all_gone(bucket, after)).await?;
        }
        let next = seam::next(after, given, seam.new_from);
        let next = next.map_err(|cause| broken(OF_VERSIONS, bucket, cause))?;
        items.drain(..seam.new_from);
        drop_doubles(&mut items);
        if !in_order {
            items.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
            // Nothing else can belong between them.
            in_order = after.is_none() && next.is_none();
        }
        Ok(Page {
            items,
            next: next.map(Box::new),
            in_order,
        })
    }

    /// One page as the server gives it, and for each entry whether it is a delete marker.
    async fn versions_answer(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
    ) -> Result<(ListObjectVersionsOutput, Option<Vec<bool>>), Refused> {
        let recorded = Recorded::default();
        let answer = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .max_keys(PAGE_KEYS)
            .set_key_marker(after.map(|after| after.key().to_owned()))
            .set_version_id_marker(after.and_then(Next::version_id).map(str::to_owned))
            .customize()
            .config_override(self.listing())
            .interceptor(recorded.clone())
            .send()
            .await
            .map_err(|e| Refused {
                is_unknown: past::is_unknown(&e),
                fault: error::from_sdk_unless_unknown(
                    OF_VERSIONS,
                    &format!("{bucket}/{prefix}"),
                    e,
                ),
            })?;
        Ok((answer, recorded.take()))
    }

    /// Make sure that the versions that should have come again are all gone.
    async fn all_gone(&self, bucket: &str, after: &Next) -> Result<(), Fault> {
        for spot in after.again() {
            let at = At {
                bucket,
                key: &spot.key,
            };
            match self
                .head(at, VersionId::new(&spot.version_id).as_ref())
                .await
            {
                Ok(None) => {}
                Ok(Some(_)) => return Err(left_out(OF_VERSIONS, bucket)),
                // The server refuses a HEAD of a delete marker (405).
                Err(fault) if fault.class == Class::Refused => {
                    return Err(left_out(OF_VERSIONS, bucket));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

impl Spot {
    fn of(version: &ListedVersion) -> Self {
        Self {
            key: version.key.clone(),
            version_id: id_text(&version.version_id).to_owned(),
        }
    }
}

/// Keep one of a version that comes twice.
fn drop_doubles(items: &mut Vec<ListedVersion>) {
    let mut seen = HashSet::with_capacity(items.len());
    let firsts: Vec<bool> = items
        .iter()
        .map(|v| seen.insert((&v.key, &v.version_id)))
        .collect();
    let mut firsts = firsts.into_iter();
    items.retain(|_| firsts.next().unwrap_or(true));
}

/// What a list of versions fails to do.
const OF_VERSIONS: Operation = Operation::ListVersions;

/// What was written before versioning was on has the id `null`.
fn listed_id(told: Option<&str>) -> Option<VersionId> {
    VersionId::new(told.unwrap_or(VersionId::NULL))
}

fn versions(answer: &ListObjectVersionsOutput, encoded: bool) -> Vec<ListedVersion> {
    let versions = answer.versions().iter().filter_map(|v| {
        Some(ListedVersion {
            key: decoded(v.key()?, encoded),
            version_id: listed_id(v.version_id()),
            is_latest: v.is_latest().unwrap_or(false),
            is_marker: false,
            etag: ETag::of_header(v.e_tag()),
            stored_bytes: bytes(v.size()),
            modified_ms: millis(v.last_modified()),
            storage_class: v
                .storage_class()
                .map_or_else(|| "STANDARD".to_owned(), |c| c.as_str().to_owned()),
        })
    });
    versions.collect()
}

fn markers(answer: &ListObjectVersionsOutput, encoded: bool) -> Vec<ListedVersion> {
    let markers = answer.delete_markers().iter().filter_map(|m| {
        Some(ListedVersion {
            key: decoded(m.key()?, encoded),
            version_id: listed_id(m.version_id()),
            is_latest: m.is_latest().unwrap_or(false),
            is_marker: true,
            etag: ETag::default(),
            stored_bytes: 0,
            modified_ms: millis(m.last_modified()),
            storage_class: String::new(),
        })
    });
    markers.collect()
}

fn given_versions<'a>(
    answer: &ListObjectVersionsOutput,
    spots: &'a [Spot],
    encoded: bool,
) -> Given<'a> {
    let key = answer.next_key_marker().filter(|key| !key.is_empty());
    let version_id = answer.next_version_id_marker().unwrap_or_default();
    Given {
        more: more(
            answer.is_truncated(),
            key.is_some(),
            is_full(spots.len(), PAGE_KEYS),
        ),
        spots,
        token: None,
        // `Differs::MarkerNotEncoded`
        marker: key.map(|key| Marker {
            keys: [key.to_owned(), decoded(key, encoded)],
            version_id: version_id.to_owned(),
        }),
    }
}
