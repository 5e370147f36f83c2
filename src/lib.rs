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
//!     home: keepwatch::types::Home::Nowhere,
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
//!     preflight: None,
//! };
//! let store = Store::connect(&config.store).await?;
//! let came_back = restore(&store, request, |_| (), &Stop::never()).await?;
//! assert!(came_back.is_complete());
//! assert_eq!(fs::read_to_string(restored.join("offer.txt"))?, "twelve chairs");
//! # Ok(())
//! # }
//! ```
//!
//! The map of the house. A room may use rooms listed below it, never one above
//! or beside it (the test `layers` holds everyone to that):
//!
//! | room | what it is for |
//! |---|---|
//! | [`cli`] | clap types and one file per command; the only place that prints |
//! | [`daemon`] | wiring alone: channels, task set, start order, stop order, upkeep |
//! | [`service`] | the service on each system: made, started, stopped, removed, asked |
//! | [`control`] | the local socket on which commands ask the running daemon |
//! | [`digest`] | the daily job and its report |
//! | [`drill`] | the daily rehearsal of a restore |
//! | [`verify`] | whether the bucket is whole |
//! | [`watch`], [`scan`], [`backup`], [`restore`], [`bandwidth`] | events to settled paths; disk, index and bucket compared; one changed path stored; files back; the limits of the line |
//! | [`destination`] | whose a destination is, and whether it may be written |
//! | [`guard`], [`history`] | deletions that are held back; what was current at a moment |
//! | [`mail`] | what messages are made of, and the outbox |
//! | [`manifest`], [`transfer`], [`pacing`] | a source at one moment; how bytes move; how often a file gets a version |
//! | [`source`] | one protected folder at run time |
//! | [`work`] | the queue, scans that are asked for, changes in flight |
//! | [`status`] | what each source is doing now |
//! | [`files`], [`s3`], [`index`], [`sns`] | the user's files; the only aws-sdk-s3 import; the only sled import; the only aws-sdk-sns import |
//! | [`aws`] | what S3 and SNS share: keys, proxies, certificates, their errors in words |
//! | [`config`], [`os`], [`retry`] | one validated type; what differs between operating systems; when something is tried again |
//! | [`types`] | what everything speaks in: paths, keys, times, errors, words for people |

// A command's future holds those of all it calls, down to the SDK's: their layout is
// more than 128 deep.
#![recursion_limit = "256"]
// `cli` has macros of its own under these names; the order of its modules decides which
// ones a file gets.
#![cfg_attr(not(test), deny(clippy::disallowed_macros))]

pub mod aws;
pub mod backup;
pub mod bandwidth;
pub mod cli;
pub mod clock;
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
mod jobs;
pub mod mail;
pub mod manifest;
pub mod os;
pub mod pacing;
pub mod restore;
pub mod retry;
pub mod s3;
pub mod scan;
pub mod service;
pub mod sns;
pub mod source;
pub mod status;
pub mod transfer;
pub mod types;
pub mod verify;
pub mod watch;
pub mod watchdog;
pub mod work;
