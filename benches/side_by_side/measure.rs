//! What a program cost: time on the clock, processor time, peak memory.

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the high-water mark of memory is read: what is reached in the last
/// moments of a program is seen up to this late, and missed.
const LOOK: Duration = Duration::from_millis(5);

/// Ticks of `/proc/PID/stat`.
const TICKS_PER_S: f64 = 100.0;

/// One run, or the median of several.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub wall_s: f64,
    pub cpu_s: f64,
    pub peak_mib: f64,
    /// Bytes that left for the server, where they were counted.
    pub wire: u64,
    /// Processor time that the server took for it, where that is ours to see.
    pub server_s: f64,
    pub ok: bool,
}

impl Cost {
    /// This and then the other, one after the other.
    pub fn and_then(self, next: Self) -> Self {
        Self {
            wall_s: self.wall_s + next.wall_s,
            cpu_s: self.cpu_s + next.cpu_s,
            peak_mib: self.peak_mib.max(next.peak_mib),
            wire: self.wire + next.wire,
            server_s: self.server_s + next.server_s,
            ok: self.ok && next.ok,
        }
    }
}

/// Run to the end; a failure is told and measured all the same.
pub fn run(command: &mut Command) -> Cost {
    finish(spawn(command))
}

pub fn spawn(command: &mut Command) -> (Child, Instant) {
    let began = Instant::now();
    let child = command
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
    (child, began)
}

/// Wait for the end without reaping: the figures of a process are there until
/// its parent has asked how it ended.
pub fn finish((mut child, began): (Child, Instant)) -> Cost {
    let pid = child.id();
    let ended = Arc::new(AtomicBool::new(false));
    let peak = Arc::new(AtomicU64::new(0));
    let looking = {
        let (ended, peak) = (Arc::clone(&ended), Arc::clone(&peak));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(peak_kib(pid), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        })
    };
    let id = WaitId::Pid(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap());
    waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = cpu_s(pid);
    ended.store(true, Ordering::Relaxed);
    looking.join().unwrap();
    let status = child.wait().unwrap();
    Cost {
        wall_s,
        cpu_s,
        peak_mib: peak.load(Ordering::Relaxed) as f64 / 1024.0,
        wire: 0,
        server_s: 0.0,
        ok: status.success(),
    }
}

/// User and system time so far; 0 for a process that is not there.
pub fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split(' ')
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    match fields.get(11..13) {
        Some(times) => times.iter().sum::<f64>() / TICKS_PER_S,
        None => 0.0,
    }
}

/// The most memory that the process has had, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// Each figure's own median.
pub fn median(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cost {
        wall_s: of(|cost| cost.wall_s),
        cpu_s: of(|cost| cost.cpu_s),
        peak_mib: of(|cost| cost.peak_mib),
        server_s: of(|cost| cost.server_s),
        wire: of(|cost| cost.wire as f64) as u64,
        ok: costs.iter().all(|cost| cost.ok),
    }
}
