//! What Windows' reparse points are: links, plain files with a driver behind them, or
//! nothing that has content of its own.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

use crate::types::Kind;

/// `FILE_ATTRIBUTE_*` (winnt.h).
pub(super) const ATTRIBUTE_READ_ONLY: u32 = 0x1;
pub(super) const ATTRIBUTE_HIDDEN: u32 = 0x2;
pub(super) const ATTRIBUTE_SYSTEM: u32 = 0x4;
pub(super) const ATTRIBUTE_FOLDER: u32 = 0x10;
pub(super) const ATTRIBUTE_DEVICE: u32 = 0x40;
pub(super) const ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
pub(super) const ATTRIBUTE_OFFLINE: u32 = 0x1000;
pub(super) const ATTRIBUTE_NOT_INDEXED: u32 = 0x2000;
pub(super) const ATTRIBUTE_RECALL_ON_OPEN: u32 = 0x4_0000;
pub(super) const ATTRIBUTE_RECALL_ON_DATA_ACCESS: u32 = 0x40_0000;

/// `IO_REPARSE_TAG_*` (winnt.h, ntifs.h).
pub(super) const TAG_SYMLINK: u32 = 0xA000_000C;
pub(super) const TAG_MOUNT_POINT: u32 = 0xA000_0003;
pub(super) const TAG_LX_SYMLINK: u32 = 0xA000_001D;
const TAG_APP_EXEC_LINK: u32 = 0x8000_001B;
const TAG_NFS: u32 = 0x8000_0014;
const TAG_AF_UNIX: u32 = 0x8000_0023;
const TAG_LX_FIFO: u32 = 0x8000_0024;
const TAG_LX_CHR: u32 = 0x8000_0025;
const TAG_LX_BLK: u32 = 0x8000_0026;

/// The bit of tags that stand for another name (`IsReparseTagNameSurrogate`).
const NAME_SURROGATE: u32 = 0x2000_0000;

/// What stands there. What has a tag that is no name for something else is what its
/// attributes say: a file that OneDrive, deduplication or compression has a hand in is a
/// file, and is read as one.
pub(super) fn kind_of(attributes: u32, tag: u32) -> Kind {
    let plain = match attributes & ATTRIBUTE_FOLDER {
        0 if attributes & ATTRIBUTE_DEVICE != 0 => Kind::Special,
        0 => Kind::File,
        _ => Kind::Folder,
    };
    if attributes & ATTRIBUTE_REPARSE_POINT == 0 {
        return plain;
    }
    match tag {
        TAG_SYMLINK | TAG_MOUNT_POINT | TAG_LX_SYMLINK => Kind::Symlink,
        // A program's entry in the Start menu, sockets, FIFOs and devices of WSL.
        TAG_APP_EXEC_LINK | TAG_NFS | TAG_AF_UNIX | TAG_LX_FIFO | TAG_LX_CHR | TAG_LX_BLK => {
            Kind::Special
        }
        // A name for something elsewhere that nobody here can read: never gone into.
        tag if tag & NAME_SURROGATE != 0 => Kind::Special,
        _ => plain,
    }
}

/// Whether reading the content would have it fetched from somewhere else: OneDrive and
/// other clouds, tape and archive drives.
pub(super) fn is_elsewhere(attributes: u32) -> bool {
    let recalled = ATTRIBUTE_RECALL_ON_DATA_ACCESS | ATTRIBUTE_RECALL_ON_OPEN | ATTRIBUTE_OFFLINE;
    attributes & ATTRIBUTE_FOLDER == 0 && attributes & recalled != 0
}

/// The content is in the cloud alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is only in the cloud (OneDrive or the like), and Keepwatch downloads nothing unasked")]
pub struct OnlyInCloud;

/// How a junction's target begins, as it is written in the file system. Links made by
/// `mklink /D` have no such beginning, so that a target tells which one it was.
pub(super) const JUNCTION_PREFIX: &[u8] = br"\??\";

/// The longest data of a reparse point (`MAXIMUM_REPARSE_DATA_BUFFER_SIZE`).
pub(super) const REPARSE_BYTES_MAX: usize = 16 * 1024;

/// Bytes before a reparse point's own data: tag, length, reserved.
const HEADER_BYTES: usize = 8;

/// `REPARSE_DATA_BUFFER` of a junction with this target (ntifs.h): the target, and empty
/// as what is shown to people. `None` for one that is too long.
pub(super) fn junction_data(target: &[u16]) -> Option<Vec<u8>> {
    let target_bytes = target.len() * 2;
    // Both names end in a NUL.
    let names_bytes = target_bytes + 4;
    // Offset and length of each name.
    let data_bytes = u16::try_from(8 + names_bytes).ok()?;
    let short = |number: usize| u16::try_from(number).ok();
    let mut out = TAG_MOUNT_POINT.to_le_bytes().to_vec();
    let fields = [
        data_bytes,
        0,
        0,
        short(target_bytes)?,
        short(target_bytes + 2)?,
        0,
    ];
    out.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    out.extend(target.iter().flat_map(|unit| unit.to_le_bytes()));
    out.extend([0; 4]);
    (out.len() <= REPARSE_BYTES_MAX).then_some(out)
}

/// What a reparse point leads to, as it is written there; `None` for what is no link.
/// `wide` makes bytes of UTF-16.
pub(super) fn link_target(data: &[u8], wide: impl Fn(&[u16]) -> Vec<u8>) -> Option<Vec<u8>> {
    let short = |at: usize| {
        let bytes = data.get(at..at + 2)?;
        Some(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let tag = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
    let names_at = match tag {
        TAG_MOUNT_POINT => HEADER_BYTES + 8,
        // Flags lie between.
        TAG_SYMLINK => HEADER_BYTES + 12,
        // A version, then UTF-8.
        TAG_LX_SYMLINK => {
            let end = HEADER_BYTES + short(4)?;
            return data.get(HEADER_BYTES + 4..end).map(<[u8]>::to_vec);
        }
        _ => return None,
    };
    let name = |offset_at: usize| {
        let from = names_at + short(offset_at)?;
        let bytes = data.get(from..from + short(offset_at + 2)?)?;
        let (units, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        Some(wide(&units))
    };
    // What counts comes first, what is shown to people second. A symbolic link's
    // absolute target also has the system's own beginning, which nobody has typed.
    let target = name(HEADER_BYTES)?;
    let is_own_beginning = tag == TAG_SYMLINK && target.starts_with(JUNCTION_PREFIX);
    if !is_own_beginning {
        return Some(target);
    }
    let rest = &target[JUNCTION_PREFIX.len()..];
    Some(match rest.strip_prefix(br"UNC\") {
        Some(share) => [br"\\", share].concat(),
        None => rest.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: u32 = ATTRIBUTE_FOLDER | ATTRIBUTE_REPARSE_POINT;
    const FILE: u32 = 0x20 | ATTRIBUTE_REPARSE_POINT;

    #[test]
    fn what_a_reparse_point_is_by_its_tag() {
        for (attributes, tag, want) in [
            (0x20, 0, Kind::File),
            (0x10, 0, Kind::Folder),
            (0x40, 0, Kind::Special),
            // A tag counts only with the attribute.
            (0x20, TAG_SYMLINK, Kind::File),
            (FILE, TAG_SYMLINK, Kind::Symlink),
            (FOLDER, TAG_SYMLINK, Kind::Symlink),
            (FOLDER, TAG_MOUNT_POINT, Kind::Symlink),
            (FILE, TAG_LX_SYMLINK, Kind::Symlink),
            // Programs' aliases; sockets, FIFOs and devices of WSL and NFS.
            (FILE, 0x8000_001B, Kind::Special),
            (FILE, 0x8000_0014, Kind::Special),
            (FILE, 0x8000_0023, Kind::Special),
            (FILE, 0x8000_0024, Kind::Special),
            (FILE, 0x8000_0025, Kind::Special),
            (FILE, 0x8000_0026, Kind::Special),
            // Deduplication, compression of the system, single instance store: files.
            (FILE, 0x8000_0013, Kind::File),
            (FILE, 0x8000_0017, Kind::File),
            (FILE, 0x8000_0007, Kind::File),
            // OneDrive and other clouds, Azure File Sync, projected files, tape.
            (FILE, 0x9000_001A, Kind::File),
            (FOLDER, 0x9000_601A, Kind::Folder),
            (FILE, 0x8000_001E, Kind::File),
            (FILE, 0x9000_001C, Kind::File),
            (FILE, 0xC000_0004, Kind::File),
            (FOLDER, 0x8000_000A, Kind::Folder),
            // Names for something elsewhere that nobody here can read.
            (FOLDER, 0xA000_0019, Kind::Special),
            (FOLDER, 0xA000_0027, Kind::Special),
            (FILE, 0xA000_0010, Kind::Special),
        ] {
            assert_eq!(kind_of(attributes, tag), want, "{attributes:x} {tag:x}");
        }
    }

    #[test]
    fn what_would_be_downloaded_is_known_by_its_attributes() {
        for (attributes, want) in [
            (0x20, false),
            (ATTRIBUTE_REPARSE_POINT | 0x20, false),
            // OneDrive: in the cloud, kept on this device, freed up, pinned and in the cloud.
            (0x40_0020 | ATTRIBUTE_REPARSE_POINT, true),
            (0x0008_0020 | ATTRIBUTE_REPARSE_POINT, false),
            (0x0050_1620, true),
            (0x0040_0620, true),
            (ATTRIBUTE_OFFLINE, true),
            (ATTRIBUTE_RECALL_ON_OPEN, true),
            // A folder is listed: names are not the content.
            (ATTRIBUTE_FOLDER | ATTRIBUTE_RECALL_ON_OPEN, false),
        ] {
            assert_eq!(is_elsewhere(attributes), want, "{attributes:x}");
        }
    }

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn bytes(wide: &[u16]) -> Vec<u8> {
        String::from_utf16(wide).unwrap().into_bytes()
    }

    #[test]
    fn a_junctions_data_gives_its_target_back() {
        let target = r"\??\D:\Büro\Akten";
        let data = junction_data(&wide(target)).unwrap();
        assert_eq!(data[..4], [3, 0, 0, 0xA0]);
        assert_eq!(usize::from(data[4]), data.len() - 8);
        assert_eq!(link_target(&data, bytes).unwrap(), target.as_bytes());
        assert_eq!(junction_data(&vec![0x61; 40_000]), None);
        assert_eq!(junction_data(&vec![0x61; 9_000]), None);
    }

    /// `SymbolicLinkReparseBuffer`, with another text for people.
    fn symlink(target: &str) -> Vec<u8> {
        let (target, shown) = (wide(target), wide("shown"));
        let mut out = TAG_SYMLINK.to_le_bytes().to_vec();
        let (target_bytes, shown_bytes) = (target.len() as u16 * 2, shown.len() as u16 * 2);
        let total = 12 + target_bytes + shown_bytes;
        for field in [total, 0, 0, target_bytes, target_bytes, shown_bytes, 0, 0] {
            out.extend(field.to_le_bytes());
        }
        out.extend(target.iter().chain(&shown).flat_map(|u| u.to_le_bytes()));
        out
    }

    #[test]
    fn a_links_target_is_read_as_it_was_typed() {
        for (stored, want) in [
            (r"..\a\b", r"..\a\b"),
            (r"\??\C:\a", r"C:\a"),
            (r"\??\UNC\server\share\a", r"\\server\share\a"),
        ] {
            assert_eq!(
                link_target(&symlink(stored), bytes).unwrap(),
                want.as_bytes()
            );
        }
        let mut lx = TAG_LX_SYMLINK.to_le_bytes().to_vec();
        lx.extend([10, 0, 0, 0, 2, 0, 0, 0]);
        lx.extend(b"../lib");
        assert_eq!(link_target(&lx, bytes).unwrap(), b"../lib");
    }

    #[test]
    fn damaged_data_is_no_link() {
        let whole = symlink(r"..\a");
        for len in 0..whole.len() - 10 {
            assert_eq!(link_target(&whole[..len], bytes), None, "{len}");
        }
        assert_eq!(
            link_target(&[0x13, 0, 0, 0x80, 4, 0, 0, 0, 1, 2, 3, 4], bytes),
            None
        );
    }
}
