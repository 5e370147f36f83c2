//! `[drill]`: how much the daily restore drill may use. Pure.

use super::input::Input;
use super::key::Key;
use super::problem::{Problem, shown};
use super::problems::Problems;
use super::raw::RawDrill;
use super::settings::DrillConfig;
use super::values;
use crate::types::{command, parse_bytes};
use std::ops::RangeInclusive;

/// More files a day are a verification: `keepwatch verify --deep --sample`.
const FILES_MAX: u64 = 1_000;

/// They lie beside the index for a moment; more is a restore.
const BYTES_MAX: u64 = 100_000_000_000;

/// The most a day may cost, US dollars: what 10 GB cost to download from AWS.
const COST_MAX_USD: f64 = 1.0;

/// The digest comes after the drill: it must come on its day, and a drill of
/// seconds would end before a slow server's first answer.
const TIME_MAX_MS: RangeInclusive<u64> = 60_000..=6 * 3_600_000;

/// Millionths of a dollar.
const MICRO: f64 = 1_000_000.0;

/// Check each value; a wrong one is noted.
pub(super) fn checked(raw: &RawDrill, input: &Input<'_>, problems: &mut Problems) -> DrillConfig {
    let key = |leaf| Key::of("drill", leaf);
    let files = input.take(problems, key("files"), files(raw.files));
    let bytes_max = input.take(problems, key("bytes_max"), bytes(&raw.bytes_max));
    let cost = input.take(problems, key("cost_max_usd"), cost(raw.cost_max_usd));
    let time = input.take(problems, key("time_max"), time(&raw.time_max));
    DrillConfig {
        enabled: raw.enabled,
        files: files.unwrap_or_default(),
        bytes_max: bytes_max.unwrap_or_default(),
        cost_max_micro_usd: cost.unwrap_or_default(),
        time_max_ms: time.unwrap_or_default(),
    }
}

/// The values, or the first that is wrong.
pub(super) fn values(raw: &RawDrill) -> Result<DrillConfig, Problem> {
    Ok(DrillConfig {
        enabled: raw.enabled,
        files: files(raw.files)?,
        bytes_max: bytes(&raw.bytes_max)?,
        cost_max_micro_usd: cost(raw.cost_max_usd)?,
        time_max_ms: time(&raw.time_max)?,
    })
}

fn files(number: i64) -> Result<usize, Problem> {
    let why = format!(
        "the drill restores a few files each day; more than 1,000 are a verification (`{}`), none at all is enabled = false",
        command::with_configuration("verify --deep --sample 1001")
    );
    values::number(number, 1..=FILES_MAX, &why).map(|files| files as usize)
}

fn bytes(text: &str) -> Result<u64, Problem> {
    match parse_bytes(text) {
        Some(bytes @ 1..=BYTES_MAX) => Ok(bytes),
        _ => Err(Problem::new(
            format!("{} is not an amount the drill could restore", shown(text)),
            "write a number with its unit, like \"200 MB\", up to \"100 GB\"",
        )),
    }
}

fn cost(usd: f64) -> Result<u64, Problem> {
    if (0.0..=COST_MAX_USD).contains(&usd) && usd > 0.0 {
        return Ok((usd * MICRO) as u64);
    }
    Err(Problem::new(
        format!("{usd} US dollars a day are out of range"),
        "choose an amount above 0 and up to 1.0, like 0.05",
    ))
}

fn time(text: &str) -> Result<u64, Problem> {
    let why = "the drill may take from 1 minute to 6 hours, and the digest comes after it";
    values::duration_ms(text, TIME_MAX_MS, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_drill_may_take() {
        let checked = |change: &dyn Fn(&mut RawDrill)| {
            let mut raw = RawDrill::default();
            change(&mut raw);
            values(&raw).ok()
        };
        let default = checked(&|_| ()).unwrap();
        assert_eq!(
            default,
            DrillConfig {
                enabled: true,
                files: 14,
                bytes_max: 200_000_000,
                cost_max_micro_usd: 50_000,
                time_max_ms: 3_600_000,
            }
        );
        for (name, change) in [
            (
                "no files",
                (&|raw: &mut RawDrill| raw.files = 0) as &dyn Fn(&mut RawDrill),
            ),
            ("too many", &|raw: &mut RawDrill| raw.files = 1_001),
            ("no unit", &|raw: &mut RawDrill| {
                raw.bytes_max = "200".into()
            }),
            ("nothing", &|raw: &mut RawDrill| {
                raw.bytes_max = "0 MB".into()
            }),
            ("a disk", &|raw: &mut RawDrill| {
                raw.bytes_max = "1 TB".into()
            }),
            ("no time", &|raw: &mut RawDrill| raw.time_max = "5s".into()),
            ("a night", &|raw: &mut RawDrill| raw.time_max = "7h".into()),
            ("free", &|raw: &mut RawDrill| raw.cost_max_usd = 0.0),
            ("dear", &|raw: &mut RawDrill| raw.cost_max_usd = 1.01),
            ("no number", &|raw: &mut RawDrill| {
                raw.cost_max_usd = f64::NAN
            }),
        ] {
            assert_eq!(checked(change), None, "{name}");
        }
    }
}
