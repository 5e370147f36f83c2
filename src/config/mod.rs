//! Configuration: raw serde structs become one validated type.
//!
//! Called by `cli` at start; everyone reads the validated [`Config`]. It never
//! holds a credential: those come from the standard AWS chain. It looks at the
//! disk only to see that the folders are there, and never creates anything.
//!
//! The way in: [`locate`] finds the file, [`load`] puts the layers together
//! (`layers`: defaults, file, environment, flags), `validate` turns the raw
//! values of `raw` into [`Config`], and `problems` says everything that is
//! wrong at once, each with its line (`lines`).

mod bandwidth;
mod bucket_name;
mod demands;
mod drill;
mod environment;
mod given;
mod input;
mod key;
mod layers;
mod lines;
mod load;
mod paths;
mod places;
mod problem;
mod problems;
mod raw;
mod settings;
mod source;
mod trial;
mod validate;
mod values;

pub use given::{Defaults, Needs, Overrides, Unusable};
pub use load::{load, load_or_rest, locate};
pub use paths::path_as_written;
pub use settings::{
    Config, DrillConfig, Limits, LogConfig, NotifyConfig, OnDelete, S3Config, S3Demands,
    ScheduleConfig, SourceConfig, StoreConfig,
};
pub use trial::{bucket_from_flag, prefix_from_flag};

#[cfg(test)]
mod tests;
