//! What the office has put between this computer and the internet.

use super::proxies::Proxies;
use super::trust::Trust;

/// What the office has put between this computer and the internet.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) proxies: Proxies,
    pub(super) trust: Trust,
}

impl Office {
    /// What of this computer's settings may be why a certificate is not trusted.
    pub(super) fn problems_of_trust(&self) -> &[String] {
        &self.trust.problems
    }

    /// What of them may be why a server cannot be reached.
    pub(super) fn problems_of_proxies(&self) -> &[String] {
        &self.proxies.problems
    }
}
