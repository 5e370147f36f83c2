//! What becomes of changes, and that every rule of S3 is kept.

use super::*;
use crate::types::VersionId;
use proptest::prelude::*;

/// A segment whose content is its name.
fn segment(name: u64, stored_bytes: u64) -> Segment {
    Segment {
        raw_bytes: stored_bytes * 2,
        stored_bytes,
        sha256: ContentHash::of(&name.to_be_bytes()),
        crc64: Crc64::of(&name.to_be_bytes()),
    }
}

fn parts(segments: &[Segment]) -> Parts {
    Parts {
        version_id: VersionId::new("v"),
        etag: "e".into(),
        gzip: false,
        segments: segments.to_vec(),
    }
}

#[derive(Debug, PartialEq)]
enum Part {
    Sent(u64),
    Copied(Range<u64>),
}

/// Carry it out with the segments' stored sizes.
fn carry_out(mut assembly: Assembly, segments: &[Segment]) -> (Vec<Part>, Vec<usize>) {
    let (mut out, mut order, mut held) = (Vec::new(), Vec::new(), 0);
    loop {
        match assembly.next(held) {
            Step::Take(at) => {
                order.push(at);
                held += segments[at].stored_bytes;
                while let Some(bytes) = assembly.full_part(held) {
                    out.push(Part::Sent(bytes));
                    held -= bytes;
                }
            }
            Step::Copy(copy) => {
                out.extend((held > 0).then_some(Part::Sent(held)));
                held = 0;
                order.extend(copy.segments);
                out.push(Part::Copied(copy.from));
            }
            Step::End => {
                out.extend((held > 0).then_some(Part::Sent(held)));
                return (out, order);
            }
        }
    }
}

fn is_large_enough(part: &Part) -> bool {
    match part {
        Part::Sent(bytes) => *bytes >= PART_BYTES_MIN,
        Part::Copied(range) => range.end - range.start >= PART_BYTES_MIN,
    }
}

#[test]
fn parts_fit_ten_thousand_whatever_the_size() {
    for (file_bytes, want_mib) in [
        (0, 8),
        (5 << 30, 8),
        (77 << 30, 8),
        (100 << 30, 11),
        (5 << 40, 530),
    ] {
        let part = part_bytes(file_bytes);
        assert_eq!(part / MIB, want_mib, "{file_bytes}");
        assert!(file_bytes.div_ceil(part) <= PARTS_MAX);
    }
}

#[test]
fn changes_and_what_becomes_of_them() {
    let old: Vec<Segment> = (0..40).map(|name| segment(name, MIB)).collect();
    let new = |changes: &[(usize, u64)]| {
        let mut new = old.clone();
        for (at, name) in changes {
            new[*at] = segment(*name, MIB);
        }
        new
    };
    let mib = |from: u64, to: u64| Part::Copied(from * MIB..to * MIB);
    let appended = [&old[..], &[segment(99, MIB)]].concat();
    let inserted = [&old[..20], &[segment(99, MIB)], &old[20..]].concat();
    let swapped = [&old[20..], &old[..20]].concat();
    for (name, new, want) in [
        (
            "one in the middle",
            new(&[(20, 99)]),
            vec![mib(0, 20), Part::Sent(5 * MIB), mib(25, 40)],
        ),
        (
            "the first",
            new(&[(0, 99)]),
            vec![Part::Sent(5 * MIB), mib(5, 40)],
        ),
        (
            "the last",
            new(&[(39, 99)]),
            vec![mib(0, 39), Part::Sent(MIB)],
        ),
        ("one more", appended, vec![mib(0, 40), Part::Sent(MIB)]),
        (
            "one between",
            inserted,
            vec![mib(0, 20), Part::Sent(5 * MIB), mib(24, 40)],
        ),
        ("halves swapped", swapped, vec![mib(20, 40), mib(0, 20)]),
        (
            "two with too little between",
            new(&[(10, 98), (19, 99)]),
            vec![mib(0, 10), Part::Sent(10 * MIB), mib(20, 40)],
        ),
        ("truncated", old[..30].to_vec(), vec![mib(0, 30)]),
        ("nothing", old.clone(), vec![mib(0, 40)]),
    ] {
        let assembly = Assembly::with_old(&new, &parts(&old), PART_BYTES).unwrap();
        let (got, order) = carry_out(assembly, &new);
        assert_eq!(got, want, "{name}");
        assert_eq!(order, (0..new.len()).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn too_little_or_too_scattered_is_sent() {
    let old: Vec<Segment> = (0..40).map(|name| segment(name, MIB)).collect();
    let other: Vec<Segment> = (100..140).map(|name| segment(name, MIB)).collect();
    let little = [&other[..], &old[..4]].concat();
    for new in [other, little, Vec::new()] {
        assert!(Assembly::with_old(&new, &parts(&old), PART_BYTES).is_none());
    }
    // 9,000 stretches with something between them.
    let old: Vec<Segment> = (0..9_000)
        .map(|name| segment(name, PART_BYTES_MIN))
        .collect();
    let new: Vec<Segment> = old
        .iter()
        .enumerate()
        .flat_map(|(n, old)| [*old, segment(20_000 + n as u64, PART_BYTES_MIN)])
        .collect();
    assert!(Assembly::with_old(&new, &parts(&old), PART_BYTES).is_none());
    assert!(Assembly::with_old(&new[..5_000], &parts(&old), PART_BYTES).is_some());
}

#[test]
fn copies_are_split_but_never_into_crumbs() {
    for (mib_each, count) in [(700, 3), (1, 1030), (1024, 5), (1000, 11)] {
        let all: Vec<Segment> = (0..count)
            .map(|name| segment(name, mib_each * MIB))
            .collect();
        let assembly = Assembly::with_old(&all, &parts(&all), PART_BYTES).unwrap();
        let (got, _) = carry_out(assembly, &all);
        let mut at = 0;
        for part in &got {
            let Part::Copied(range) = part else {
                panic!("{part:?}")
            };
            assert_eq!(range.start, at);
            assert!(range.end - range.start <= 2 * COPY_PART_BYTES, "{range:?}");
            assert!(is_large_enough(part));
            at = range.end;
        }
        assert_eq!(at, mib_each * count * MIB);
    }
}

#[test]
fn a_file_without_an_old_version_is_sent_in_equal_parts() {
    for (segments, want) in [(1, 1), (8, 1), (9, 2), (16, 2), (17, 3)] {
        let all: Vec<Segment> = (0..segments).map(|name| segment(name, MIB)).collect();
        let (got, _) = carry_out(Assembly::fresh(&all, PART_BYTES), &all);
        assert_eq!(got.len(), want, "{segments}");
        assert!(
            got[..want - 1]
                .iter()
                .all(|part| *part == Part::Sent(PART_BYTES))
        );
    }
}

proptest! {
    #[test]
    fn whatever_changes_all_rules_hold(
        old in prop_oneof![
            proptest::collection::vec(0u64..60, 0..60),
            (0u64..60).prop_map(|count| (0..count).collect()),
        ],
        edits in proptest::collection::vec((0usize..60, 0usize..12, proptest::collection::vec(0u64..90, 0..6)), 0..6),
    ) {
        // A name always has the same size, as a content has.
        let size = |name: u64| (name * 7919 % 4096 + 1) * 1024;
        let old: Vec<Segment> = old.iter().map(|name| segment(*name, size(*name))).collect();
        let mut new = old.clone();
        for (at, removed, names) in &edits {
            let at = (*at).min(new.len());
            let to = (at + removed).min(new.len());
            new.splice(at..to, names.iter().map(|name| segment(*name, size(*name))));
        }
        let Some(assembly) = Assembly::with_old(&new, &parts(&old), PART_BYTES) else {
            return Ok(());
        };
        let (got, order) = carry_out(assembly.clone(), &new);
        prop_assert_eq!(order, (0..new.len()).collect::<Vec<_>>());
        let (_, but_last) = got.split_last().unwrap();
        prop_assert!(but_last.iter().all(is_large_enough), "{:?}", got);
        // The copied bytes are the new segments' bytes, in their places.
        let old_bytes: Vec<ContentHash> = old
            .iter()
            .flat_map(|s| std::iter::repeat_n(s.sha256, (s.stored_bytes / 1024) as usize))
            .collect();
        let new_bytes: Vec<ContentHash> = new
            .iter()
            .flat_map(|s| std::iter::repeat_n(s.sha256, (s.stored_bytes / 1024) as usize))
            .collect();
        let (mut at, mut sent) = (0, 0);
        for part in &got {
            match part {
                Part::Sent(bytes) => {
                    at += (*bytes / 1024) as usize;
                    sent += bytes;
                }
                Part::Copied(range) => {
                    let from = &old_bytes[(range.start / 1024) as usize..(range.end / 1024) as usize];
                    prop_assert_eq!(from, &new_bytes[at..at + from.len()]);
                    at += from.len();
                }
            }
        }
        prop_assert_eq!(at, new_bytes.len());
        let known: std::collections::HashSet<ContentHash> = old.iter().map(|s| s.sha256).collect();
        let changed: u64 = new.iter().filter(|s| !known.contains(&s.sha256)).map(|s| s.stored_bytes).sum();
        // Each place where two stretches meet costs at most two parts and two segments.
        // A name that stands in several places may be found in the wrong one.
        if known.len() == old.len() {
            let seams = edits.iter().map(|(_, _, names)| 2 + names.len()).sum::<usize>() as u64 + 1;
            let bound = changed + seams * (2 * PART_BYTES_MIN + 8 * MIB);
            prop_assert!(sent <= bound, "{sent} > {bound}");
        }
    }
}
