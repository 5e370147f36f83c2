//! What is to be done, in order, and what to say of it.

use super::step::Step;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What whoever reads the plan should know: sentences.
    pub notes: Vec<String>,
}
