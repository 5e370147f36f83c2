//! Up to which size a file is held in memory and sent in one request.

/// A file up to this size is read in one go into one buffer and sent with one
/// PUT. 8 MiB: below it a second request costs more than it saves, and S3's
/// part minimum (5 MiB) makes smaller uploads in parts pointless.
pub const SMALL_BYTES_MAX: u64 = 8 * 1024 * 1024;
