//! Amounts of bytes as people write them: `200 MB`, `1.5 GiB`. Pure.

/// What may stand behind the number; powers of 1,000 as disks are sold, of
/// 1,024 where that is written.
const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Bytes; `None` for what is no amount. A number alone is none either: nobody
/// knows what it counts.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let plain: String = text.to_lowercase().split_whitespace().collect();
    let digits = plain
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|at| *at > 0)?;
    let (number, unit) = plain.split_at(digits);
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number = number.parse::<f64>().ok().filter(|n| n.is_finite())?;
    Some((number * *bytes as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_disks_are_sold() {
        for (text, want) in [
            ("200 MB", Some(200_000_000)),
            ("1.5GiB", Some(1_610_612_736)),
            ("5 kb", Some(5_000)),
            ("0 B", Some(0)),
            ("200", None),
            ("MB", None),
            ("-1 MB", None),
            ("1.2.3 MB", None),
            ("5 furlongs", None),
            ("", None),
        ] {
            assert_eq!(parse_bytes(text), want, "{text}");
        }
    }
}
