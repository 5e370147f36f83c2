//! One path compared on a task of its own.

use super::difference::{Comparison, Finding};
use super::entry_comparer::EntryComparer;
use super::pairs::Pair;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Class, Fault, chain};
use tokio::task::JoinHandle;

/// A comparison of one path under way. Dropped, it ends.
pub(crate) struct ComparisonTask(JoinHandle<Result<Finding, Fault>>);

impl ComparisonTask {
    pub(crate) fn begin(store: &Store, comparison: &Comparison, pair: Pair, stop: &Stop) -> Self {
        let comparer = EntryComparer::new(store, comparison, stop);
        Self(tokio::spawn(comparer.finding(pair)))
    }

    pub(crate) async fn end(mut self) -> Result<Finding, Fault> {
        (&mut self.0).await.unwrap_or_else(|error| {
            let cause = chain(&error);
            Err(Fault::new(Class::Local, "compare", "a file", cause))
        })
    }
}

impl Drop for ComparisonTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
