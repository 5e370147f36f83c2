//! What is done with one path, as a value. Pure: no disk, no request, no clock.
//!
//! [`steps`] says which objects of a path are worked on, in which order. [`plan`] says
//! what is done with one object. Where it needs an answer that costs a reading or a
//! request, it returns [`Plan::Ask`] with the question, and is called again when
//! [`Facts`] has the answer. `backup::execute` answers questions and carries plans out.
//! Every variant and every reason has a row in `table`.
//!
//! | file | what is in it |
//! |---|---|
//! | `facts` | what is known of an object when it is planned |
//! | `types` | plans, their reasons and the questions |
//! | `decide` | [`plan`]: unread, existing or gone |
//! | `unread` | whether an existing object is read at all |
//! | `pacing` | whether one more version of a file waits |
//! | `existing` | how the bucket gets a content that was read |
//! | `gone` | whether a deletion is marked |
//! | `steps` | the objects of one path, in order |

mod decide;
mod existing;
mod facts;
mod gone;
mod pacing;
mod steps;
#[cfg(test)]
mod table;
mod types;
mod unread;

pub(crate) use decide::{first_open_question, plan};
pub(crate) use facts::{Answer, Facts, FoundCopy, GuardAnswer, HeadOfCopy, Policy};
pub(crate) use gone::is_lost_plain_file;
pub(crate) use pacing::{last_version_ms, last_version_read_ms};
pub(crate) use steps::{Step, Turn, steps};
pub(crate) use types::{CopySource, DeferReason, NothingReason, Plan, Question, RefreshReason};
