//! When something that failed is tried again, and when somebody is told.
//!
//! Pure but for [`Retries`], which waits. `policy` has the waiting times by class of error
//! ([`Backoff`]), the circuit breaker ([`CircuitBreaker`]), how many requests run at once
//! ([`AdaptiveConcurrency`]) and when an outage is mailed ([`OutageAlert`]); `retries` and
//! `with_retries` are for commands that somebody waits for. Nothing is tried again without
//! a bound.

mod policy;
mod retries;
mod with_retries;

pub use policy::adaptive_concurrency::{AdaptiveConcurrency, Slowed};
pub use policy::alert::{AlertPolicy, AlertStep, OutageAlert};
pub use policy::circuit_breaker::{CircuitBreaker, MayStart, Transition};
pub use policy::shared::{Due, SharedAlerts, Standing};
pub use policy::{Backoff, WAIT_MAX_MS};
pub use retries::Stop;
pub(crate) use retries::{Retries, advise_rerun};
pub(crate) use with_retries::with_retries;
