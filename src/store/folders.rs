//! The folders at one place of a bucket, without what is in them.

use super::Store;
use super::list::{PAGE_KEYS, Page, bounded, decoded, next_of};
use crate::error::Fault;

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
        let (answer, encoded) = self
            .list_page(bucket, prefix, Some("/"), after, PAGE_KEYS)
            .await?;
        let items: Vec<String> = answer
            .common_prefixes()
            .iter()
            .filter_map(|folder| Some(decoded(folder.prefix()?, encoded)))
            .collect();
        bounded("list", bucket, items.iter())?;
        let next = next_of(&answer, bucket)?;
        Ok(Page { items, next })
    }
}
