//! Keepwatch: continuous backup of office folders into a versioned S3 bucket.
//!
//! The program is a thin shell around this library. Here a folder is backed up once into
//! a vault (a versioned S3 on a folder, in this process) and restored from it:
//!
//! ```
//! use keepwatch::config::{Config, Defaults};
//! use keepwatch::control::Words;
//! use keepwatch::daemon::{self, reconcile_once};
//! use keepwatch::files::Target;
//! use keepwatch::history::Selector;
//! use keepwatch::restore::{self, Request, restore};
//! use keepwatch::retry::Stop;
//! use keepwatch::s3::Store;
//! use keepwatch::types::Origin;
//! use std::{fs, sync::Arc};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let (office, restored) = (dir.path().join("office"), dir.path().join("restored"));
//! fs::create_dir(&office)?;
//! fs::write(office.join("offer.txt"), "twelve chairs")?;
//!
//! // What the configuration file leaves open.
//! let defaults = Defaults {
//!     state_dir: dir.path().join("state"),
//!     log_dir: dir.path().join("log"),
//!     home_dir: None,
//!     computer_time_zone: jiff::tz::TimeZone::UTC,
//! };
//! let config = Config::trial(&office, &dir.path().join("vault"), &defaults)?;
//!
//! // Compare the folder with the bucket once, and send what is missing.
//! let (progress, _lines) = tokio::sync::mpsc::channel(100);
//! let options = daemon::Options::default();
//! let done = reconcile_once(config.clone(), options, progress, Words::default()).await?;
//! assert!(done.iter().all(|source| source.failed_total == 0 && source.stored == 1));
//!
//! // All of it, as it is now, into a new folder.
//! let request = Request {
//!     origin: Origin {
//!         bucket: config.sources[0].bucket.clone(),
//!         prefix: config.sources[0].prefix.clone(),
//!     },
//!     selector: Selector::everything(),
//!     at_ms: None,
//!     target: Arc::new(Target::open(&restored)?),
//!     options: restore::Options::default(),
//!     survey: None,
//! };
//! let store = Store::connect(&config.store).await?;
//! let came_back = restore(&store, request, |_| (), &Stop::never()).await?;
//! assert!(came_back.is_complete());
//! assert_eq!(fs::read_to_string(restored.join("offer.txt"))?, "twelve chairs");
//! # Ok(())
//! # }
//! ```
//!
//! The map, from the top down. A folder imports only from folders further down; the
//! test `layers` has the floors and holds everyone to them.
//!
//! | folder | what it is for |
//! |---|---|
//! | [`cli`] | clap types and one file per command; the only place that prints |
//! | [`daemon`] | wiring: what is opened in which order, which loops run, how they stop |
//! | [`control`] | the local socket on which commands ask the running daemon |
//! | [`drill`], [`digest`] | the daily rehearsal; the daily job, its report, alerts |
//! | [`watch`], [`scan`] | events become settled paths; disk, index and bucket are compared |
//! | [`backup`] | what is done with one changed path |
//! | [`restore`], [`verify`] | files come back; is the bucket whole |
//! | [`source`] | one protected folder at run time |
//! | [`guard`], [`destination`] | deletions are held back; whose a destination is |
//! | [`history`], [`manifest`], [`pacing`] | what was current at a moment; manifests; how often a file gets a version |
//! | [`transfer`], [`bandwidth`] | how bytes move; how fast they may |
//! | [`work`], [`retry`], [`status`] | the queue; circuit breaker and backoff; what is going on now |
//! | [`s3`], [`sns`], [`mail`] | the only aws-sdk-s3 import; the only aws-sdk-sns import; the outbox |
//! | [`index`], [`files`] | the only sled import; the only place that touches the user's files |
//! | [`aws`] | what S3 and SNS share: keys, proxies, certificates, their errors in words |
//! | [`os`], [`config`] | what differs between operating systems; one validated configuration |
//! | [`types`] | the words that all others speak in, and the errors: `Fatal` stops the process, `Fault` is about one path |

// A command's future holds those of all it calls, down to the SDK's: their layout is
// more than 128 deep.
#![recursion_limit = "256"]

pub mod aws;
pub mod backup;
pub mod bandwidth;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod destination;
pub mod digest;
pub mod drill;
pub mod files;
pub mod guard;
pub mod history;
pub mod index;
pub mod mail;
pub mod manifest;
pub mod os;
pub mod pacing;
pub mod restore;
pub mod retry;
pub mod s3;
pub mod scan;
pub mod sns;
pub mod source;
pub mod status;
pub mod transfer;
pub mod types;
pub mod verify;
pub mod watch;
pub mod work;
