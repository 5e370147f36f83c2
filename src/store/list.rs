//! Listings, page by page, with keys decoded and in the order S3 gives them.

use super::{Store, fault, unquote};
use crate::error::{Class, Fault};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

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
    /// At most [`PAGE_KEYS`] items, in key order.
    pub items: Vec<T>,
    /// What to pass for the next page; `None` at the end.
    pub next: Option<String>,
}

/// Separates key and version marker in [`Page::next`] of a version listing; no
/// key or version id holds a NUL.
const MARKER_SEPARATOR: char = '\0';

impl Store {
    /// One page of current objects below `prefix`.
    ///
    /// # Errors
    /// Any class.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
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
        let next = next_of(&answer, bucket)?;
        Ok(Page { items, next })
    }

    /// One page of current objects as the server gives it, and whether its names
    /// are encoded; what lies beyond a `delimiter` is folded into folders.
    pub(super) async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<&str>,
        keys_max: i32,
    ) -> Result<(ListObjectsV2Output, bool), Fault> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .encoding_type(EncodingType::Url)
            .max_keys(keys_max)
            .set_continuation_token(after.map(str::to_owned))
            .customize()
            .config_override(self.listing())
            .send()
            .await
            .map_err(|e| fault::from_sdk("list", &format!("{bucket}/{prefix}"), e))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        Ok((answer, encoded))
    }

    /// One page of versions and delete markers below `prefix`: keys in order,
    /// newest first within a key.
    ///
    /// # Errors
    /// Any class.
    pub async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Page<ListedVersion>, Fault> {
        let (key_marker, version_marker) = match after.map(|a| a.split_once(MARKER_SEPARATOR)) {
            Some(Some((key, version))) => (Some(key), (!version.is_empty()).then_some(version)),
            Some(None) => (after, None),
            None => (None, None),
        };
        let answer = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .max_keys(PAGE_KEYS)
            .set_key_marker(key_marker.map(str::to_owned))
            .set_version_id_marker(version_marker.map(str::to_owned))
            .customize()
            .config_override(self.listing())
            .send()
            .await
            .map_err(|e| {
                fault::from_sdk_unless_unknown(
                    "list the versions of",
                    &format!("{bucket}/{prefix}"),
                    e,
                )
            })?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let mut items: Vec<ListedVersion> = answer
            .versions()
            .iter()
            .filter_map(|v| {
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
            })
            .collect();
        items.extend(answer.delete_markers().iter().filter_map(|m| {
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
        }));
        let names = items
            .iter()
            .flat_map(|v| [&v.key, &v.version_id, &v.etag, &v.storage_class]);
        bounded("list the versions of", bucket, names)?;
        // The SDK splits versions and markers into two lists: join them again.
        // The sort is stable, so versions of one instant keep the server's order.
        items.sort_by(|a, b| {
            (a.key.as_bytes().cmp(b.key.as_bytes()))
                .then(b.is_latest.cmp(&a.is_latest))
                .then(b.modified_ms.cmp(&a.modified_ms))
        });
        let next = (answer.is_truncated() == Some(true)).then(|| {
            format!(
                "{}{MARKER_SEPARATOR}{}",
                decoded(answer.next_key_marker().unwrap_or_default(), encoded),
                answer.next_version_id_marker().unwrap_or_default()
            )
        });
        bounded("list the versions of", bucket, next.iter())?;
        Ok(Page { items, next })
    }
}

/// Where the next page of current objects begins.
pub(super) fn next_of(answer: &ListObjectsV2Output, bucket: &str) -> Result<Option<String>, Fault> {
    let next = answer.next_continuation_token().map(str::to_owned);
    bounded("list", bucket, next.iter())?;
    Ok(next)
}

/// That no name in a page is longer than what S3 gives by far.
pub(super) fn bounded<'a>(
    operation: &str,
    bucket: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), Fault> {
    let Some(bytes) = names.map(String::len).find(|n| *n > NAME_BYTES_MAX) else {
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
    use crate::model::bandwidth::Rates;
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
