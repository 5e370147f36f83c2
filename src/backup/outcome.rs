//! What became of one path.

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
    Deferred,
}

impl Outcome {
    /// The bucket has said that it has the path's state: its companions may follow.
    pub(crate) fn is_acknowledged(self) -> bool {
        matches!(self, Self::Answered | Self::Sent)
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
            (Outcome::Deferred, false),
        ] {
            assert_eq!(outcome.is_acknowledged(), follows, "{outcome:?}");
        }
    }
}
