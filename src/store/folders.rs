//! The folders at one place of a bucket, without what is in them.

use super::list::{PAGE_KEYS, Page, bounded, decoded};
use super::{Store, fault};
use crate::error::Fault;
use aws_sdk_s3::types::EncodingType;

impl Store {
    /// One page of the folders right below `prefix` (empty, or ending in `/`);
    /// each ends in `/`. A page may hold none although more follow.
    ///
    /// # Errors
    /// Any class.
    pub async fn list_folders(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Page<String>, Fault> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .delimiter("/")
            .encoding_type(EncodingType::Url)
            .max_keys(PAGE_KEYS)
            .set_continuation_token(after.map(str::to_owned))
            .customize()
            .config_override(self.listing())
            .send()
            .await
            .map_err(|e| fault::from_sdk("list", &format!("{bucket}/{prefix}"), e))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let items: Vec<String> = answer
            .common_prefixes()
            .iter()
            .filter_map(|folder| Some(decoded(folder.prefix()?, encoded)))
            .collect();
        bounded("list", bucket, items.iter())?;
        let next = answer.next_continuation_token().map(str::to_owned);
        bounded("list", bucket, next.iter())?;
        Ok(Page { items, next })
    }
}
