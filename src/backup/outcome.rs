//! What became of one path, and what that says of its bucket.

use crate::backup::context::{Context, Item};
use crate::source::announce;

/// What became of one path; later ones say more of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Disk, bucket and index agreed already; the bucket was not asked.
    Agreed,
    /// They agree, and the bucket was asked, but took nothing.
    Answered,
    /// They agree, and the bucket took something.
    Sent,
    /// It changed meanwhile: let it settle and look again.
    Changed,
    /// Its deletion is deferred: it may have been renamed.
    Aside,
}

impl Outcome {
    /// The bucket has said that it has the path's state: its companions may follow.
    pub(crate) fn is_acknowledged(self) -> bool {
        matches!(self, Self::Answered | Self::Sent)
    }
}

/// Event of what was renamed may come later than that its old name is gone: the
/// watcher gathers for 200 ms and holds back for another 200 (`watch`), in
/// steps, and more on a busy computer; that much and the time to settle again.
pub const NEWS_MS: i64 = 500;

pub(crate) fn aside_min_ms(ctx: &Context) -> i64 {
    if ctx.signals.is_ending() {
        return NEWS_MS;
    }
    let settle_ms = i64::try_from(ctx.config.limits.debounce_ms).unwrap_or(0);
    NEWS_MS.saturating_add(settle_ms)
}

/// The bucket has taken something of this path.
pub(crate) fn bucket_works(ctx: &Context, item: &Item) {
    let change = item.source.breaker.success(&item.path, ctx.clock.now_ms());
    announce(&ctx.sources, &item.source, change);
    if item.source.breaker.at_once() < ctx.config.limits.workers {
        // There may be room for one more now.
        ctx.queue.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    /// Named after the bug: a database whose own deletion waited had its journal marked.
    #[test]
    fn what_belongs_to_a_file_follows_only_what_the_bucket_has_acknowledged() {
        for (outcome, follows) in [
            (Outcome::Agreed, false),
            (Outcome::Answered, true),
            (Outcome::Sent, true),
            (Outcome::Changed, false),
            (Outcome::Aside, false),
        ] {
            assert_eq!(outcome.is_acknowledged(), follows, "{outcome:?}");
        }
    }
}
