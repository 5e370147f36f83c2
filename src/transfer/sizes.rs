//! How much of a file is held in memory: whole small ones, and what is compressed.

/// A file up to this size is read in one go into one buffer and sent with one
/// PUT. 8 MiB: below it a second request costs more than it saves, and S3's
/// part minimum (5 MiB) makes smaller uploads in parts pointless.
pub const SMALL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of the file in one member. A member costs some 20 bytes and gzip's
/// memory of the last 32 KiB: under 1 % at this size, and several at a time
/// take little memory.
pub(crate) const MEMBER_BYTES: u64 = 1024 * 1024;

/// Members compressed at once: further cores belong to the office.
pub(crate) const AT_ONCE_MAX: usize = 4;

/// What a file that is being compressed may hold beside its parts on the wire:
/// the members being made, twice, and what is left over when a part is cut.
pub(crate) const COMPRESSING_BYTES: u64 = 2 * AT_ONCE_MAX as u64 * MEMBER_BYTES + 8 * MEMBER_BYTES;
