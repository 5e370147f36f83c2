//! Where the random tests have their seeds from: the same on every run, so that a
//! failure of `cargo test` is a fault of the program or of the machine and not of the
//! day. `.ci/explore` looks for new faults; what it finds becomes a fixed case.

/// The seed in `KEEPWATCH_TEST_SEED`, to do one run again.
pub fn given() -> Option<u64> {
    let text = std::env::var("KEEPWATCH_TEST_SEED").ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("KEEPWATCH_TEST_SEED={text}")),
    )
}

/// Whether this run looks for new faults.
pub fn explores() -> bool {
    std::env::var_os("KEEPWATCH_EXPLORE").is_some()
}

/// The seed of a test, printed: the given one, a new one below `limit` where this run
/// explores, else `fixed`.
pub fn seed(fixed: u64, limit: u64) -> u64 {
    let seed = given().unwrap_or_else(|| match explores() {
        true => fastrand::u64(..limit),
        false => fixed,
    });
    println!("KEEPWATCH_TEST_SEED={seed}");
    seed
}
