//! Listings, page by page, with keys decoded and in the order S3 gives them.

use super::order::Recorded;
use super::past::Refused;
use super::seam::{Given, Marker, More, Next, Spot};
use super::{At, Store, error, order, past, seam, unquote};
use crate::types::{Class, Fault};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use std::collections::HashSet;

/// Keys per page: S3's maximum.
pub const PAGE_KEYS: i32 = 1000;

/// The longest key, version id, ETag or token that is taken: S3 ends keys and
/// version ids at 1,024 bytes, and a token of ours holds one of each.
const NAME_BYTES_MAX: usize = 2_100;

/// One current object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Full key.
    pub key: String,
    /// ETag without quotes.
    pub etag: String,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
}

/// One version or delete marker of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Full key.
    pub key: String,
    /// Version id; `null` for what was written before versioning was on.
    pub version_id: String,
    /// True when it is the newest of its key.
    pub is_latest: bool,
    /// True for a delete marker.
    pub is_marker: bool,
    /// ETag without quotes; empty for a marker.
    pub etag: String,
    /// Bytes as stored; 0 for a marker.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
    /// S3 storage class, e.g. `STANDARD`; empty for a marker.
    pub storage_class: String,
}

/// One page and where the next begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most [`PAGE_KEYS`] items, in key order, none that an earlier page had.
    pub items: Vec<T>,
    /// What to pass for the next page; `None` at the end.
    pub next: Option<Box<Next>>,
    /// False when the server's order is not that of the keys' bytes: what is on
    /// other pages may belong between these items.
    pub in_order: bool,
}

impl Store {
    /// One page of current objects below `prefix`.
    ///
    /// # Errors
    /// Any class; `Refused` when the server leaves something out between pages.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
        keys_max: i32,
    ) -> Result<Page<Listed>, Fault> {
        let (answer, encoded) = self
            .list_page(bucket, prefix, None, after, keys_max)
            .await?;
        let items: Vec<Listed> = answer
            .contents()
            .iter()
            .filter_map(|o| {
                Some(Listed {
                    key: decoded(o.key()?, encoded),
                    etag: unquote(o.e_tag()),
                    stored_bytes: bytes(o.size()),
                    modified_ms: millis(o.last_modified()),
                })
            })
            .collect();
        let names = items.iter().flat_map(|o| [&o.key, &o.etag]);
        bounded("list", bucket, names)?;
        let spots: Vec<Spot> = items.iter().map(|o| Spot::of_key(&o.key)).collect();
        let given = given_objects(&answer, &spots, keys_max);
        let (new_from, next) = self.join_objects(bucket, after, given).await?;
        Ok(Page {
            items: items.into_iter().skip(new_from).collect(),
            next,
            in_order: true,
        })
    }

    /// One page of current objects as the server gives it, and whether its names
    /// are encoded; what lies beyond a `delimiter` is folded into folders.
    pub(super) async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<&Next>,
        keys_max: i32,
    ) -> Result<(ListObjectsV2Output, bool), Fault> {
        let token = after.and_then(Next::token);
        let start_after = after.filter(|_| token.is_none()).map(Next::key);
        let answer = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .encoding_type(EncodingType::Url)
            .max_keys(keys_max)
            .set_start_after(start_after.map(str::to_owned))
            .set_continuation_token(token.map(str::to_owned))
            .customize()
            .config_override(self.listing())
            .send()
            .await
            .map_err(|e| error::from_sdk("list", &format!("{bucket}/{prefix}"), e))?;
        let given = answer.contents().len() + answer.common_prefixes().len();
        let told = usize::try_from(answer.key_count().unwrap_or(0)).unwrap_or(0);
        if told > given {
            let cause = format!("it says that it gives {told} names, and gives {given}");
            return Err(broken("list", bucket, &cause));
        }
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        Ok((answer, encoded))
    }

    /// How many items of a page have come already, and where the list goes on.
    pub(super) async fn join_objects(
        &self,
        bucket: &str,
        after: Option<&Next>,
        given: Given<'_>,
    ) -> Result<(usize, Option<Box<Next>>), Fault> {
        let seam = seam::seam(after, &given);
        if let Some(next) = after.filter(|_| !seam.is_proved) {
            for spot in next.again() {
                if Box::pin(self.is_there(bucket, &spot.key)).await? {
                    return Err(left_out("list", bucket));
                }
            }
        }
        let next = seam::next(after, given, seam.new_from);
        let next = next.map_err(|cause| broken("list", bucket, cause))?;
        bounded("list", bucket, next.iter().filter_map(Next::token))?;
        Ok((seam.new_from, next.map(Box::new)))
    }

    /// Whether an object, or anything in a folder, is listed right now.
    async fn is_there(&self, bucket: &str, key: &str) -> Result<bool, Fault> {
        let (answer, encoded) = self.list_page(bucket, key, None, None, 1).await?;
        let mut keys = answer.contents().iter().filter_map(|o| o.key());
        Ok(keys.any(|found| {
            let found = decoded(found, encoded);
            found == key || (key.ends_with('/') && found.starts_with(key))
        }))
    }

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

    /// The same; a refusal says whether the server has no such list at all.
    pub(super) async fn versions_page(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
    ) -> Result<Page<ListedVersion>, Refused> {
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
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let (versions, markers) = (versions(&answer, encoded), markers(&answer, encoded));
        let (mut items, mut in_order) =
            order::joined(versions, markers, recorded.take().as_deref());
        let names = items
            .iter()
            .flat_map(|v| [&v.key, &v.version_id, &v.etag, &v.storage_class]);
        bounded(OF_VERSIONS, bucket, names)?;
        let spots: Vec<Spot> = items.iter().map(Spot::of).collect();
        let given = given_versions(&answer, &spots, encoded);
        let marker = given.marker.iter();
        let marker = marker.flat_map(|m| m.keys.iter().chain([&m.version_id]));
        bounded(OF_VERSIONS, bucket, marker)?;
        let seam = seam::seam(after, &given);
        if let Some(after) = after.filter(|_| !seam.is_proved) {
            // Rare, and the futures of all who list would hold it.
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

    /// That none of the versions is there any more that should have come again.
    async fn all_gone(&self, bucket: &str, after: &Next) -> Result<(), Fault> {
        for spot in after.again() {
            let at = At {
                bucket,
                key: &spot.key,
            };
            match self.head(at, Some(&spot.version_id)).await {
                Ok(None) => {}
                Ok(Some(_)) => return Err(left_out(OF_VERSIONS, bucket)),
                // That of a delete marker is refused (405).
                Err(fault) if fault.class == Class::Refused => {
                    return Err(left_out(OF_VERSIONS, bucket));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// A version that comes twice is one.
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
const OF_VERSIONS: &str = "list the versions of";

impl Spot {
    fn of(version: &ListedVersion) -> Self {
        Self {
            key: version.key.clone(),
            version_id: version.version_id.clone(),
        }
    }
}

fn versions(answer: &ListObjectVersionsOutput, encoded: bool) -> Vec<ListedVersion> {
    let versions = answer.versions().iter().filter_map(|v| {
        Some(ListedVersion {
            key: decoded(v.key()?, encoded),
            version_id: v.version_id().unwrap_or("null").to_owned(),
            is_latest: v.is_latest().unwrap_or(false),
            is_marker: false,
            etag: unquote(v.e_tag()),
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
            version_id: m.version_id().unwrap_or("null").to_owned(),
            is_latest: m.is_latest().unwrap_or(false),
            is_marker: true,
            etag: String::new(),
            stored_bytes: 0,
            modified_ms: millis(m.last_modified()),
            storage_class: String::new(),
        })
    });
    markers.collect()
}

/// What the server says of more: a full page is the last one only when the next
/// brings nothing.
fn more(is_truncated: Option<bool>, says_where: bool, is_full: bool) -> More {
    match is_truncated {
        Some(true) => More::Yes,
        None if says_where => More::Yes,
        _ if is_full => More::Perhaps,
        _ => More::No,
    }
}

fn is_full(items: usize, items_max: i32) -> bool {
    usize::try_from(items_max).is_ok_and(|max| items >= max.max(1))
}

pub(super) fn given_objects<'a>(
    answer: &ListObjectsV2Output,
    spots: &'a [Spot],
    keys_max: i32,
) -> Given<'a> {
    let token = answer.next_continuation_token();
    let token = token.filter(|token| !token.is_empty()).map(str::to_owned);
    Given {
        more: more(
            answer.is_truncated(),
            token.is_some(),
            is_full(spots.len(), keys_max),
        ),
        spots,
        token,
        marker: None,
    }
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

fn left_out(operation: &str, bucket: &str) -> Fault {
    broken(
        operation,
        bucket,
        "it leaves out names where one page ends and the next begins",
    )
}

/// The server's list cannot be used.
pub(super) fn broken(operation: &str, bucket: &str, cause: &str) -> Fault {
    Fault::new(
        Class::Refused,
        operation,
        bucket,
        format!("the server's list is broken: {cause}"),
    )
    .hint("show this line to your technician: the server's list of this bucket cannot be used")
}

/// That no name in a page is longer than what S3 gives by far.
pub(super) fn bounded(
    operation: &str,
    bucket: &str,
    names: impl Iterator<Item = impl AsRef<str>>,
) -> Result<(), Fault> {
    let mut lengths = names.map(|name| name.as_ref().len());
    let Some(bytes) = lengths.find(|n| *n > NAME_BYTES_MAX) else {
        return Ok(());
    };
    Err(Fault::new(
        Class::Refused,
        operation,
        bucket,
        format!("the server's list is broken: it holds a name of {bytes} bytes"),
    )
    .hint("show this line to your technician: S3 has no names longer than 1,024 bytes"))
}

/// Undo `encoding-type=url`, in which a space may be `+`.
pub(super) fn decoded(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

fn bytes(size: Option<i64>) -> u64 {
    u64::try_from(size.unwrap_or(0)).unwrap_or(0)
}

fn millis(time: Option<&aws_sdk_s3::primitives::DateTime>) -> i64 {
    time.and_then(|t| t.to_millis().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rates;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;

    /// A bucket that answers every list with this.
    fn store(xml: String) -> Store {
        let connector = SharedHttpConnector::new(Answers(xml));
        let http = http_client_fn(move |_, _| connector.clone());
        Store::vault(http, "a test's server")
    }

    #[derive(Debug)]
    struct Answers(String);

    impl HttpConnector for Answers {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let status = 200.try_into().unwrap();
            let body = SdkBody::from(self.0.as_bytes());
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_comes_over_a_line_that_is_limited_to_very_little() {
        let name = |number: usize| format!("{number:04}{}", "n".repeat(396));
        let rows = |of: &str, more: &str| -> String {
            let row = |number| {
                format!(
                    "<{of}><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size>5</Size>\
                     <LastModified>2026-11-23T20:00:00.000Z</LastModified>\
                     <StorageClass>STANDARD</StorageClass>{more}</{of}>",
                    name(number),
                    "e".repeat(32)
                )
            };
            (0..1000).map(row).collect()
        };
        let objects = rows("Contents", "<Owner><ID>o</ID></Owner>");
        let versions = rows(
            "Version",
            &format!("<VersionId>{}</VersionId>", "v".repeat(64)),
        );
        for (what, rows) in [
            ("ListBucketResult", objects),
            ("ListVersionsResult", versions),
        ] {
            let body = format!("<{what}><Name>b</Name>{rows}</{what}>");
            let store = store(body.clone());
            store.limit(Rates {
                up: None,
                down: Some(16_000),
            });
            let began = tokio::time::Instant::now();
            let names: Vec<String> = match what {
                "ListBucketResult" => {
                    let page = store.list("b", "", None, PAGE_KEYS).await.unwrap();
                    page.items.into_iter().map(|o| o.key).collect()
                }
                _ => {
                    let page = store.list_versions("b", "", None).await.unwrap();
                    page.items.into_iter().map(|v| v.key).collect()
                }
            };
            assert_eq!(names, (0..1000).map(name).collect::<Vec<_>>(), "{what}");
            let (took_s, takes_s) = (began.elapsed().as_secs(), body.len() as u64 / 16_000);
            assert!(takes_s > 30, "{what}: more than a short request may take");
            assert!(
                (takes_s - 2..takes_s + 2).contains(&took_s),
                "{what}: {took_s} s"
            );
        }
    }

    #[test]
    fn keys_of_a_listing_are_decoded() {
        for (raw, want) in [
            ("a+b%2Bc%25%0A", "a b+c%\n"),
            ("B%C3%BCro/x", "Büro/x"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(raw, true), want);
        }
        assert_eq!(decoded("a+b%20", false), "a+b%20");
    }
}
