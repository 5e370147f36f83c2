//! What harm comes when, drawn from the seed: each fault begins before one
//! operation and ends before another.

use super::wire::Harm;
use fastrand::Rng;

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The line harms this share of 100 requests.
    Line(Harm, u8),
    /// kill -9; started again at the end.
    Kill,
    /// SIGTERM, which must end with code 0; started again at the end.
    Stop,
    /// kill -9 and the index gone.
    LoseIndex,
    /// The wall clock jumps by so many milliseconds; true again at the end.
    Clock(i64),
    /// Held still while more events come than the system keeps.
    Overflow,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Fault::Line(harm, _) => harm.name(),
            Fault::Kill => "kill -9",
            Fault::Stop => "SIGTERM",
            Fault::LoseIndex => "index lost",
            Fault::Clock(ms) if ms < 0 => "clock back",
            Fault::Clock(_) => "clock ahead",
            Fault::Overflow => "overflow",
        }
    }

    /// Whether it is done to the process: one of these at a time.
    fn is_of_process(self) -> bool {
        matches!(
            self,
            Fault::Kill | Fault::Stop | Fault::LoseIndex | Fault::Overflow
        )
    }
}

/// A fault and between which operations it lasts.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub fault: Fault,
    pub begin: usize,
    pub end: usize,
}

/// How harsh a run is.
#[derive(Debug, Clone, Copy)]
pub struct Harshness {
    /// Phases of operations, each followed by a rest.
    pub phases: usize,
    /// Operations per phase.
    pub operations: usize,
    /// Faults per phase at the most.
    pub faults: usize,
    /// Also what takes a minute to get over: an overflow (the watch is set up
    /// again a minute later), and a start while the bucket cannot be reached.
    pub slow: bool,
    /// Also answers of 200 that are none of S3's, and conditions that are dropped.
    pub lies: bool,
    /// Large files at the most.
    pub big: usize,
}

/// The faults of one phase, none overlapping another of its sort.
pub fn draw(rng: &mut Rng, harshness: Harshness) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    for _ in 0..rng.usize(1..=harshness.faults) {
        let fault = one(rng, harshness);
        let length = rng.usize(5..harshness.operations / 2);
        let begin = rng.usize(0..harshness.operations - length);
        let new = Planned {
            fault,
            begin,
            end: begin + length,
        };
        if planned
            .iter()
            .all(|old| !collide(old, &new, harshness.slow))
        {
            planned.push(new);
        }
    }
    planned
}

fn collide(old: &Planned, new: &Planned, slow: bool) -> bool {
    let overlap = old.begin <= new.end && new.begin <= old.end;
    let (old, new) = (old.fault, new.fault);
    let same_sort = matches!(
        (old, new),
        (Fault::Line(..), Fault::Line(..)) | (Fault::Clock(_), Fault::Clock(_))
    ) || (old.is_of_process() && new.is_of_process());
    // Starting while the bucket cannot be reached takes a minute to get over.
    let starts_in_the_dark = !slow
        && (old.is_of_process() || new.is_of_process())
        && (matches!(old, Fault::Line(..)) || matches!(new, Fault::Line(..)));
    overlap && (same_sort || starts_in_the_dark)
}

fn one(rng: &mut Rng, harshness: Harshness) -> Fault {
    let share = [30, 60, 100][rng.usize(..3)];
    if harshness.lies && rng.u8(0..3) == 0 {
        let lies = [Harm::Page, Harm::Nothing, Harm::NoConditions];
        return Fault::Line(lies[rng.usize(..3)], share);
    }
    match rng.u8(0..if harshness.slow { 21 } else { 20 }) {
        0..=2 => Fault::Kill,
        3 => Fault::Stop,
        4 => Fault::LoseIndex,
        5 => Fault::Clock(-1_000 * rng.i64(1..600)),
        6 => Fault::Clock(1_000 * rng.i64(1..600)),
        7 => Fault::Clock([-86_400_000, 3_600_000, 30 * 86_400_000][rng.usize(..3)]),
        8 | 9 => Fault::Line(Harm::Answer(500, "InternalError"), share),
        10 => Fault::Line(Harm::Answer(503, "SlowDown"), share),
        11 => Fault::Line(Harm::Reset, share),
        12 => Fault::Line(Harm::CutRequest, share),
        13 | 14 => Fault::Line(Harm::LoseAnswer, share),
        15 => Fault::Line(Harm::CutAnswer, share),
        16 => Fault::Line(Harm::Hang, share),
        17 => Fault::Line(Harm::Late(rng.u64(20..400)), share),
        18 => Fault::Line(Harm::Refuse, 100),
        19 => Fault::Line(
            [
                Harm::Answer(400, "ExpiredToken"),
                Harm::Answer(403, "InvalidAccessKeyId"),
            ][rng.usize(..2)],
            100,
        ),
        _ => Fault::Overflow,
    }
}
