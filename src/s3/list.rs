//! Lists current objects page by page, with decoded keys, in the server's order.

use super::page::{Listed, Page, bounded, broken, bytes, decoded, is_full, left_out, millis, more};
use super::seam::{Given, Next, Spot};
use super::store::Store;
use super::{error, seam};
use crate::types::{ETag, Fault, Operation};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

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
                    etag: ETag::of_header(o.e_tag()),
                    stored_bytes: bytes(o.size()),
                    modified_ms: millis(o.last_modified()),
                })
            })
            .collect();
        let names = items.iter().flat_map(|o| [o.key.as_str(), &o.etag]);
        bounded(Operation::List, bucket, names)?;
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
            .map_err(|e| error::from_sdk(Operation::List, &format!("{bucket}/{prefix}"), e))?;
        let given = answer.contents().len() + answer.common_prefixes().len();
        let told = usize::try_from(answer.key_count().unwrap_or(0)).unwrap_or(0);
        if told > given {
            let cause = format!("it says that it gives {told} names, and gives {given}");
            return Err(broken(Operation::List, bucket, &cause));
        }
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        Ok((answer, encoded))
    }

    /// How many items of a page came with the one before, and where the list goes on.
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
                    return Err(left_out(Operation::List, bucket));
                }
            }
        }
        let next = seam::next(after, given, seam.new_from);
        let next = next.map_err(|cause| broken(Operation::List, bucket, cause))?;
        bounded(Operation::List, bucket, next.iter().filter_map(Next::token))?;
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

#[cfg(test)]
mod tests {
    use crate::s3::{PAGE_KEYS, test_server};
    use crate::types::Rates;

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
            let bytes = body.len() as u64;
            let store = test_server::store(move |_| test_server::response(200, &body));
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
            let (took_s, takes_s) = (began.elapsed().as_secs(), bytes / 16_000);
            assert!(takes_s > 30, "{what}: more than a short request may take");
            assert!(
                (takes_s - 2..takes_s + 2).contains(&took_s),
                "{what}: {took_s} s"
            );
        }
    }
}
