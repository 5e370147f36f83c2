//! Maintenance: retries what failed, asks again what waits, tells what lasts too long.
//!
//! `heartbeat` retries paths and notices that the computer was asleep, `mending` opens a
//! broken index again, `buckets` asks buckets what nobody else asks them, `disks` looks
//! whether disks have come or gone and asks for scans, `vault_disk` whether the vault's has,
//! `clearing` forgets and clears away.
//! `alarm` tells what lasts too long of what is `watched`, in the words of `alarm_words`;
//! `tell` tells what must not wait.

mod alarm;
mod alarm_words;
mod beat;
mod broken;
mod buckets;
mod clearing;
mod disks;
mod heartbeat;
mod mending;
mod run;
mod tell;
mod vault_disk;
mod watched;

pub(super) use run::Maintenance;
pub(super) use tell::tell_of_sources;
