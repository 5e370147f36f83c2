//! How much of the line to the bucket may be used, and when.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// What both directions may take, bytes per second; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// To the bucket.
    pub up: Option<u64>,
    /// From the bucket.
    pub down: Option<u64>,
}

/// Hours of the week with rates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Bit 0 is Monday.
    pub days: u8,
    /// When it begins, minutes after midnight.
    pub from_minute: u16,
    /// When it ends; before its beginning when it goes over midnight.
    pub to_minute: u16,
    /// What it sets; a direction that it does not name keeps its own limit.
    pub up: Option<Option<u64>>,
    /// The same for the other direction.
    pub down: Option<Option<u64>>,
}

impl Slot {
    /// The bit of a day.
    pub fn bit(day: Weekday) -> u8 {
        1 << day.to_monday_zero_offset()
    }

    fn holds(&self, day: Weekday, minute: u16) -> bool {
        let today = self.days & Self::bit(day) != 0;
        if self.from_minute < self.to_minute {
            return today && (self.from_minute..self.to_minute).contains(&minute);
        }
        // Over midnight: the early hours belong to the day before.
        let yesterday = self.days & Self::bit(day.wrapping_sub(1)) != 0;
        (today && minute >= self.from_minute) || (yesterday && minute < self.to_minute)
    }
}

/// The limits of the whole week.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// What holds when no slot does.
    pub always: Rates,
    /// The first one that holds and names a direction sets it.
    pub slots: Vec<Slot>,
}

impl Timetable {
    /// What holds now.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> Rates {
        let local = zone.to_datetime(now);
        let minute = u16::try_from(local.hour()).unwrap_or(0) * 60
            + u16::try_from(local.minute()).unwrap_or(0);
        let holding = || {
            let slots = self.slots.iter();
            slots.filter(|slot| slot.holds(local.weekday(), minute))
        };
        Rates {
            up: holding().find_map(|slot| slot.up).unwrap_or(self.always.up),
            down: holding()
                .find_map(|slot| slot.down)
                .unwrap_or(self.always.down),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(days: u8, from: u16, to: u16, up: Option<Option<u64>>) -> Slot {
        Slot {
            days,
            from_minute: from * 60,
            to_minute: to * 60,
            up,
            down: None,
        }
    }

    #[test]
    fn the_first_slot_that_holds_decides_and_nights_belong_to_their_evening() {
        let table = Timetable {
            always: Rates {
                up: Some(1),
                down: Some(9),
            },
            slots: vec![
                slot(0b1_1111, 12, 13, Some(None)),
                slot(0b1_1111, 8, 18, Some(Some(2))),
                // Saturday's night.
                slot(0b10_0000, 22, 6, Some(Some(3))),
                slot(0b100_0000, 0, 24, Some(Some(4))),
            ],
        };
        // 2026-11-23 is a Monday.
        for (when, up) in [
            ("2026-11-23T07:59:00Z", Some(1)),
            ("2026-11-23T08:00:00Z", Some(2)),
            ("2026-11-23T12:30:00Z", None),
            ("2026-11-23T17:59:59Z", Some(2)),
            ("2026-11-23T18:00:00Z", Some(1)),
            ("2026-11-28T21:59:00Z", Some(1)),
            ("2026-11-28T22:00:00Z", Some(3)),
            ("2026-11-29T05:59:00Z", Some(3)),
            ("2026-11-29T06:00:00Z", Some(4)),
            ("2026-11-29T23:59:00Z", Some(4)),
        ] {
            let rates = table.at(when.parse().unwrap(), &TimeZone::UTC);
            assert_eq!((rates.up, rates.down), (up, Some(9)), "{when}");
        }
    }

    #[test]
    fn the_hours_are_those_of_the_zone() {
        let table = Timetable {
            slots: vec![slot(0b111_1111, 8, 18, Some(Some(2)))],
            ..Timetable::default()
        };
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (when, up) in [
            ("2026-11-23T06:59:00Z", None),
            ("2026-11-23T07:00:00Z", Some(2)),
            ("2026-07-23T06:00:00Z", Some(2)),
        ] {
            assert_eq!(table.at(when.parse().unwrap(), &berlin).up, up, "{when}");
        }
    }
}
