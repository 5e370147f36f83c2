//! How figures are printed: Markdown, ready for a page.

use crate::measure::Cost;
use crate::others;
use std::fs;

/// On what, and how busy it was: figures of a busy machine are no figures.
pub fn heading() {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{} x {}, load {}", cores, model.unwrap_or("?"), load());
    for (name, version) in others::versions() {
        println!("{name}: {version}");
    }
    println!();
}

/// The load of the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// One table; ratios are Keepwatch's figure over that of the row.
pub fn costs(title: &str, rows: &[(String, Cost)]) {
    println!("\n{title} (load {})\n", load());
    println!(
        "| program | wall s | CPU s | peak MiB | sent MiB | server CPU s | Keepwatch takes, of its wall, CPU |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let ours = rows.iter().find(|(name, _)| name == "keepwatch");
    for (name, cost) in rows {
        let ratio = ours
            .filter(|(own, _)| own != name && cost.wall_s > 0.0)
            .map(|(_, own)| {
                format!(
                    "{:.2}, {:.2}",
                    own.wall_s / cost.wall_s.max(0.001),
                    own.cpu_s / cost.cpu_s.max(0.001)
                )
            })
            .unwrap_or_default();
        let wire = match cost.wire {
            0 => String::new(),
            bytes => format!("{:.2}", bytes as f64 / f64::from(1 << 20)),
        };
        let server = match cost.server_s {
            0.0 => String::new(),
            seconds => format!("{seconds:.2}"),
        };
        println!(
            "| {name}{} | {:.2} | {:.2} | {:.0} | {wire} | {server} | {ratio} |",
            if cost.ok { "" } else { " (FAILED)" },
            cost.wall_s,
            cost.cpu_s,
            cost.peak_mib
        );
    }
}
