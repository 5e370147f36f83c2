//! Where a large file is cut into segments: where its content says so.
//!
//! As FastCDC does: a gear hash over the last 64 bytes, no end before a minimum, a rarer
//! condition below the normal size than above it, a forced end at the maximum. So an
//! insertion moves the ends behind it along with the content, and what has not changed is
//! recognised. The loop is our own, because the sizes must grow with the file beyond what
//! the `fastcdc` crate takes, and so that no buffer of the longest segment is needed.
//!
//! Invariants: the ends depend on the content and the size class alone, never
//! on how the bytes are fed. Table, sizes and conditions are fixed for ever:
//! others would make every list in every index worthless.

use crate::types::SEGMENTS_MAX;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The shortest segment of an ordinary file. Half the normal size, so that the
/// number of segments has a bound that no content can break.
const MIN_BYTES: u64 = 512 * KIB;

/// Where the condition becomes easier. A small edit costs about one segment, and
/// a segment costs the index some 45 bytes: 1 MiB keeps the first well under
/// S3's smallest part (5 MiB) and the list of a 4 GiB file under 200 KiB.
const NORMAL_BYTES: u64 = MIB;

/// The longest segment, for content that never meets the condition.
const MAX_BYTES: u64 = 4 * MIB;

/// Files up to this size have the sizes above; each doubling doubles them. Not a
/// round number of GiB: a file that has one and grows stays what it is.
const ORDINARY_FILE_BYTES: u64 = 4608 * MIB;

// Also when all segments are of the shortest size, a list holds them.
const _: () = assert!(ORDINARY_FILE_BYTES / MIN_BYTES < SEGMENTS_MAX as u64);

/// Leading zero bits of the hash that end a segment of an ordinary file below
/// the normal size: one position in 2 MiB.
const STRICT_BITS: u32 = 21;

/// The same above the normal size: one in 512 KiB.
const LOOSE_BITS: u32 = 19;

/// Bytes that the hash remembers.
const WINDOW_BYTES: u64 = 64;

/// One number per byte value: SplitMix64 from zero.
static GEAR: [u64; 256] = {
    let mut table = [0u64; 256];
    let (mut state, mut at) = (0u64, 0);
    while at < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = z ^ (z >> 31);
        at += 1;
    }
    table
};

/// Finds the ends of the segments of one file.
#[derive(Debug, Clone)]
pub struct Cutter {
    /// Doublings of all sizes.
    class: u32,
    /// Bytes of the segment that is open.
    open_bytes: u64,
    hash: u64,
}

impl Cutter {
    /// For a file of that size. The size counts only as far as it decides how
    /// often the sizes are doubled.
    pub fn for_file(size_bytes: u64) -> Self {
        let times = size_bytes.div_ceil(ORDINARY_FILE_BYTES).max(1);
        Self {
            class: times.next_power_of_two().trailing_zeros(),
            open_bytes: 0,
            hash: 0,
        }
    }

    /// Feed the next bytes, up to the end of the segment if it is among them:
    /// how many of `bytes` belong to it, and whether it ends there. Call again
    /// with the rest.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        // Nothing ends here, and the hash will not remember it.
        let blind = (MIN_BYTES << self.class) - WINDOW_BYTES;
        at += self.pass(bytes.len(), blind);
        // No end yet, but the hash must know what came.
        let warm = self.room(bytes.len() - at, MIN_BYTES << self.class);
        for byte in &bytes[at..at + warm] {
            self.hash = (self.hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        }
        self.open_bytes += warm as u64;
        at += warm;
        for (until, bits) in [(NORMAL_BYTES, STRICT_BITS), (MAX_BYTES, LOOSE_BITS)] {
            let zone = self.room(bytes.len() - at, until << self.class);
            let below = u64::MAX >> (bits + self.class);
            if let Some(end) = self.find_end(&bytes[at..at + zone], below) {
                self.end();
                return (at + end, true);
            }
            self.open_bytes += zone as u64;
            at += zone;
        }
        let is_full = self.open_bytes == MAX_BYTES << self.class;
        if is_full {
            self.end();
        }
        (at, is_full)
    }

    /// Behind which of these bytes the hash is `below` or less. A plain loop: it
    /// sees every second byte of every large file, in debug builds as well.
    fn find_end(&mut self, bytes: &[u8], below: u64) -> Option<usize> {
        let mut hash = self.hash;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash << 1).wrapping_add(GEAR[bytes[at] as usize]);
            at += 1;
            if hash <= below {
                return Some(at);
            }
        }
        self.hash = hash;
        None
    }

    /// Bytes of `available` that lie before the segment's byte `until`.
    fn room(&self, available: usize, until: u64) -> usize {
        let room = until.saturating_sub(self.open_bytes);
        usize::try_from(room).map_or(available, |room| room.min(available))
    }

    fn pass(&mut self, available: usize, until: u64) -> usize {
        let passed = self.room(available, until);
        self.open_bytes += passed as u64;
        passed
    }

    fn end(&mut self) {
        (self.open_bytes, self.hash) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Lengths of the segments of `content`, fed in pieces of `step` bytes.
    fn cut(content: &[u8], step: usize) -> Vec<usize> {
        let mut cutter = Cutter::for_file(content.len() as u64);
        let (mut lengths, mut open) = (Vec::new(), 0);
        for piece in content.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (took, ends) = cutter.feed(rest);
                open += took;
                rest = &rest[took..];
                if ends {
                    lengths.push(std::mem::take(&mut open));
                }
            }
        }
        if open > 0 {
            lengths.push(open);
        }
        assert_eq!(lengths.iter().sum::<usize>(), content.len());
        lengths
    }

    fn noise(bytes: usize, seed: u64) -> Vec<u8> {
        let mut out = vec![0; bytes];
        fastrand::Rng::with_seed(seed).fill(&mut out);
        out
    }

    #[test]
    fn the_ends_are_the_same_for_ever() {
        // Never correct these numbers: correct what changed them.
        assert_eq!(GEAR[0], 0xe220_a839_7b1d_cdaf);
        let mut state = 1u64;
        let content: Vec<u8> = (0..8 * MIB)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        assert_eq!(
            cut(&content, 100_000),
            [
                1_953_196, 587_276, 1_284_380, 1_603_975, 716_558, 1_085_904, 1_157_319
            ]
        );
    }

    #[test]
    fn sizes_follow_the_file_coarsely_and_their_number_is_bounded() {
        for (file_bytes, class) in [
            (0, 0),
            (ORDINARY_FILE_BYTES, 0),
            (ORDINARY_FILE_BYTES + 1, 1),
            (2 * ORDINARY_FILE_BYTES, 1),
            (100 << 30, 5),
            (5 << 40, 11),
        ] {
            let cutter = Cutter::for_file(file_bytes);
            assert_eq!(cutter.class, class, "{file_bytes}");
            let most = file_bytes.div_ceil(MIN_BYTES << class);
            assert!(most < SEGMENTS_MAX as u64, "{file_bytes}: {most}");
        }
    }

    #[test]
    fn segments_keep_to_their_sizes_whatever_the_content() {
        let size = 24 * MIB as usize;
        for (name, content) in [
            ("zeros", vec![0; size]),
            ("noise", noise(size, 2)),
            ("lines", b"number;name;amount\n".repeat(size / 19)),
        ] {
            let lengths = cut(&content, MIB as usize);
            let (last, all) = lengths.split_last().unwrap();
            assert!(*last as u64 <= MAX_BYTES, "{name}");
            for length in all {
                let length = *length as u64;
                assert!((MIN_BYTES..=MAX_BYTES).contains(&length), "{name} {length}");
            }
        }
        let mean = size / cut(&noise(size, 3), size).len();
        assert!((MIB as usize..2 * MIB as usize).contains(&mean), "{mean}");
    }

    #[test]
    fn what_follows_a_change_is_cut_as_before() {
        let old = noise(32 * MIB as usize, 4);
        let middle = old.len() / 2;
        let inserted = [&old[..middle], &noise(100_003, 5), &old[middle..]].concat();
        let removed = [&old[..middle], &old[middle + 1_000_001..]].concat();
        let appended = [&old[..], &noise(1_000, 6)].concat();
        let mut edited = old.clone();
        edited[middle] ^= 1;
        let known: HashSet<&[u8]> = pieces(&old).into_iter().collect();
        for (name, new) in [
            ("inserted", inserted),
            ("removed", removed),
            ("appended", appended),
            ("edited", edited),
        ] {
            let fresh: usize = pieces(&new)
                .into_iter()
                .filter(|piece| !known.contains(piece))
                .map(<[u8]>::len)
                .sum();
            assert!(fresh < 8 * MIB as usize, "{name}: {fresh} of {}", new.len());
        }
    }

    fn pieces(content: &[u8]) -> Vec<&[u8]> {
        let mut at = 0;
        cut(content, content.len())
            .into_iter()
            .map(|length| {
                at += length;
                &content[at - length..at]
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn ends_do_not_depend_on_how_the_bytes_are_fed(
            seed in any::<u64>(),
            bytes in 0usize..6 * 1024 * 1024,
            step in prop_oneof![1_000usize..5_000, 500_000usize..3_000_000],
        ) {
            let content = noise(bytes, seed);
            prop_assert_eq!(cut(&content, step), cut(&content, bytes.max(1)));
        }
    }
}
