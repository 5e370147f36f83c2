//! Lists the folders at one place of a bucket, without what is in them.

use super::list::given_objects;
use super::page::{PAGE_KEYS, Page, bounded, decoded};
use super::seam::{Next, Spot};
use super::store::Store;
use crate::types::{Fault, Operation};

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
        after: Option<&Next>,
    ) -> Result<Page<String>, Fault> {
        let (answer, encoded) = self
            .list_page(bucket, prefix, Some("/"), after, PAGE_KEYS)
            .await?;
        let folders = answer.common_prefixes().iter().filter_map(|f| f.prefix());
        let objects = answer.contents().iter().filter_map(|o| o.key());
        let mut names: Vec<(String, bool)> = folders
            .map(|name| (decoded(name, encoded), true))
            .chain(objects.map(|name| (decoded(name, encoded), false)))
            .collect();
        bounded(Operation::List, bucket, names.iter().map(|(name, _)| name))?;
        // The server has them in one order, and gives them apart.
        names.sort();
        let spots: Vec<Spot> = names.iter().map(|(name, _)| Spot::of_key(name)).collect();
        let given = given_objects(&answer, &spots, PAGE_KEYS);
        let (new_from, next) = self.join_objects(bucket, after, given).await?;
        let new = names.into_iter().skip(new_from);
        Ok(Page {
            items: new
                .filter_map(|(name, is_folder)| is_folder.then_some(name))
                .collect(),
            next,
            in_order: true,
        })
    }
}
