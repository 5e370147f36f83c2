//! Many small files: the first upload, and a look when nothing has changed.

use crate::keepwatch_program::Install;
use crate::measure;
use crate::measure::Cost;
use crate::others::Other;
use crate::servers::Server;
use crate::table;
use crate::trees;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// The sizes of small files.
pub const LEAST_BYTES: u64 = 512;
pub const MOST_BYTES: u64 = 300 * 1024;

/// Longer than the grain of any clock of any file system, so that nobody has to
/// look at a file twice because it is so new.
const REST: Duration = Duration::from_secs(3);

/// Every program in turn, with a bucket, a state and a server of its own, as
/// often as is asked; so whatever disturbs, disturbs all of them.
pub fn run(count: u64, repeat: usize) {
    let space = trees::workspace();
    let source = space.path().join("source");
    let bytes = trees::plant(&source, count, LEAST_BYTES, MOST_BYTES);
    println!(
        "{count} files of {LEAST_BYTES} to {MOST_BYTES} bytes, {} MiB in all",
        bytes >> 20
    );
    std::thread::sleep(REST);
    let mut first: BTreeMap<String, Vec<Cost>> = BTreeMap::new();
    let mut again = first.clone();
    let mut server_name = "";
    for round in 0..repeat {
        let mut programs = vec![None];
        programs.extend(Other::ALL.map(Some));
        for program in programs {
            if program.is_some_and(|other| other.program().is_none()) {
                continue;
            }
            let name = program.map_or("keepwatch", Other::name);
            let home = space.path().join(format!("{name} {round}"));
            std::fs::create_dir_all(&home).unwrap();
            let bucket = "bench-bucket".to_owned();
            let server = Server::fastest(&home.join("server"), std::slice::from_ref(&bucket));
            server_name = server.name;
            let install = Install::new(&home, &source, &bucket, &server.at, "sentinel = false");
            let work = || match program {
                None => install.reconcile(),
                Some(other) => other.sync(&source, &bucket, &server.at, &home),
            };
            let cost = measured(&server, &mut work());
            let there = trees::files_below(&server.folder.join(&bucket)).len() as u64;
            if there != count {
                println!("{name}: {there} objects of {count} are there");
            }
            first.entry(name.into()).or_default().push(cost);
            // A record as young as the listing is not compared with it.
            std::thread::sleep(REST);
            let cost = measured(&server, &mut work());
            again.entry(name.into()).or_default().push(cost);
            drop(server);
            std::fs::remove_dir_all(&home).unwrap();
        }
    }
    for (what, costs) in [("First upload", first), ("Nothing changed", again)] {
        let rows: Vec<(String, Cost)> = costs
            .into_iter()
            .map(|(name, costs)| (name, measure::median(&costs)))
            .collect();
        table::costs(&format!("{what} of {count} files to {server_name}"), &rows);
    }
}

fn measured(server: &Server, command: &mut Command) -> Cost {
    let before = server.cpu_s();
    let cost = measure::run(command);
    Cost {
        server_s: server.cpu_s() - before,
        ..cost
    }
}
