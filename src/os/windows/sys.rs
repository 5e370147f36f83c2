//! The calls of Windows that neither the standard library nor a safe crate has: what an open
//! file is, reparse points, the registry.
//!
//! All unsafe code of Keepwatch is here and in `rights`. Each function takes and gives values
//! that Rust owns: no pointer of the system leaves it. They decide nothing.
#![allow(unsafe_code)]

use crate::os::file_ids;
use crate::os::reparse::REPARSE_BYTES_MAX;
use std::ffi::{OsStr, c_void};
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_INFO_BY_HANDLE_CLASS, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FileAttributeTagInfo, FileBasicInfo, FileIdInfo, FileStandardInfo,
    FileStreamInfo, GetDriveTypeW, GetFileInformationByHandle, GetFileInformationByHandleEx,
    ReOpenFile, SetFileInformationByHandle,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RRF_SUBKEY_WOW6464KEY, RegGetValueW,
};

/// What an open file is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandleInfo {
    /// `FILE_ATTRIBUTE_*`.
    pub(crate) attributes: u32,
    /// `IO_REPARSE_TAG_*`; 0 for what is no reparse point.
    pub(crate) tag: u32,
    /// Ticks of 100 ns since 1601, as are the others.
    pub(crate) written_ticks: i64,
    /// The last change of content, names, attributes or rights; 0 where there is none.
    pub(crate) changed_ticks: i64,
    pub(crate) created_ticks: i64,
    pub(crate) size_bytes: u64,
    pub(crate) links: u64,
    /// The volume's serial number; 0 where it has none.
    pub(crate) volume: u64,
    /// See [`file_ids::folded`].
    pub(crate) id: u64,
}

/// Answers of the system lie in one of these: all of them want 8 bytes.
#[repr(align(8))]
pub(super) struct Aligned<const BYTES: usize>(pub(super) [u8; BYTES]);

pub(super) fn handle_of(file: &File) -> HANDLE {
    file.as_raw_handle().cast()
}

/// What `GetFileInformationByHandleEx` has of one kind; what it does not fill stays 0.
fn query<const BYTES: usize>(
    file: &File,
    class: FILE_INFO_BY_HANDLE_CLASS,
) -> io::Result<Aligned<BYTES>> {
    let mut answer = Aligned([0; BYTES]);
    let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
    // SAFETY: the handle is open, the buffer is aligned, and as long as is said.
    let done = unsafe {
        GetFileInformationByHandleEx(handle_of(file), class, answer.0.as_mut_ptr().cast(), bytes)
    };
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(answer),
    }
}

impl<const BYTES: usize> Aligned<BYTES> {
    fn bytes<const COUNT: usize>(&self, at: usize) -> [u8; COUNT] {
        let mut out = [0; COUNT];
        out.copy_from_slice(&self.0[at..at + COUNT]);
        out
    }
}

/// What an open file is. Blocks.
pub(crate) fn info_of(file: &File) -> io::Result<HandleInfo> {
    // FILE_BASIC_INFO, FILE_STANDARD_INFO, FILE_ATTRIBUTE_TAG_INFO: their fields in order.
    let basic = query::<40>(file, FileBasicInfo)?;
    let standard = query::<24>(file, FileStandardInfo)?;
    let attributes = u32::from_le_bytes(basic.bytes(32));
    let tag = match attributes & crate::os::reparse::ATTRIBUTE_REPARSE_POINT {
        0 => 0,
        _ => u32::from_le_bytes(query::<8>(file, FileAttributeTagInfo)?.bytes(4)),
    };
    let (volume, id) = id_of(file);
    Ok(HandleInfo {
        attributes,
        tag,
        created_ticks: i64::from_le_bytes(basic.bytes(0)),
        written_ticks: i64::from_le_bytes(basic.bytes(16)),
        changed_ticks: i64::from_le_bytes(basic.bytes(24)),
        size_bytes: u64::from_le_bytes(standard.bytes(8)),
        links: u64::from(u32::from_le_bytes(standard.bytes(16))).max(1),
        volume,
        id,
    })
}

/// Volume and file; 0 for what the file system does not tell.
fn id_of(file: &File) -> (u64, u64) {
    // FILE_ID_INFO: the volume's number, then 128 bits.
    if let Ok(answer) = query::<24>(file, FileIdInfo) {
        let id = file_ids::folded(u128::from_le_bytes(answer.bytes(8)));
        if id != 0 {
            return (u64::from_le_bytes(answer.bytes(0)), id);
        }
    }
    // FAT and older servers know only the older call.
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the answer goes into a structure made for it.
    let done = unsafe { GetFileInformationByHandle(handle_of(file), &mut info) };
    if done == 0 {
        return (0, 0);
    }
    let id = u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow);
    (u64::from(info.dwVolumeSerialNumber), id)
}

/// Give the file these marks and no others of those that are kept; all else about it stays.
/// Blocks.
pub(crate) fn set_marks(file: &File, marks: u32) -> io::Result<()> {
    /// Stands for no attributes at all: 0 would leave them as they are.
    const NORMAL: u32 = 0x80;
    let attributes = info_of(file)?.attributes;
    let kept = crate::os::marks::kept(attributes);
    let wanted = (attributes & !kept) | (marks & kept);
    if wanted == attributes {
        return Ok(());
    }
    let info = FILE_BASIC_INFO {
        FileAttributes: if wanted == 0 { NORMAL } else { wanted },
        ..FILE_BASIC_INFO::default()
    };
    let bytes = u32::try_from(size_of_val(&info)).map_err(io::Error::other)?;
    // SAFETY: the handle is open, and what is read is as long as is said.
    let done = unsafe {
        let info: *const c_void = std::ptr::from_ref(&info).cast();
        SetFileInformationByHandle(handle_of(file), FileBasicInfo, info, bytes)
    };
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The list of a file's streams as `FILE_STREAM_INFO` has it; `None` where the file system
/// knows none, or there are more than fit. Blocks.
pub(crate) fn streams_of(file: &File) -> Option<Vec<u8>> {
    const LIST_BYTES_MAX: usize = 16 * 1024;
    let answer = query::<LIST_BYTES_MAX>(file, FileStreamInfo).ok()?;
    Some(answer.0.to_vec())
}

/// The same file, open with other rights. Blocks.
pub(crate) fn reopened(file: &File, access: u32) -> io::Result<File> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    // SAFETY: the handle is open; the new one belongs to nobody else.
    unsafe {
        match ReOpenFile(handle_of(file), access, share, flags) {
            INVALID_HANDLE_VALUE => Err(io::Error::last_os_error()),
            handle => Ok(OwnedHandle::from_raw_handle(handle.cast()).into()),
        }
    }
}

/// The data of a file's reparse point, with its tag. Blocks.
pub(crate) fn reparse_data(file: &File) -> io::Result<Vec<u8>> {
    let mut data = vec![0; REPARSE_BYTES_MAX];
    let mut read = 0;
    let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
    // SAFETY: the handle is open, and the answer's buffer is as long as is said.
    let done = unsafe {
        let (out, none) = (data.as_mut_ptr().cast(), null_mut());
        DeviceIoControl(
            handle_of(file),
            FSCTL_GET_REPARSE_POINT,
            null(),
            0,
            out,
            bytes,
            &mut read,
            none,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    data.truncate(read as usize);
    Ok(data)
}

/// Make the file or empty folder a reparse point with this data. Blocks.
pub(crate) fn set_reparse_data(file: &File, data: &[u8]) -> io::Result<()> {
    let bytes = u32::try_from(data.len()).map_err(io::Error::other)?;
    let mut given = 0;
    // SAFETY: the handle is open, the data is as long as is said and only read.
    let done = unsafe {
        DeviceIoControl(
            handle_of(file),
            FSCTL_SET_REPARSE_POINT,
            data.as_ptr().cast(),
            bytes,
            null_mut(),
            0,
            &mut given,
            null_mut(),
        )
    };
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A text of the registry, below `HKEY_LOCAL_MACHINE`; `None` where there is none.
pub(crate) fn registry_text(key: &str, name: &str) -> Option<String> {
    const TEXT_UNITS_MAX: usize = 256;
    let (key, name) = (wide(OsStr::new(key)), wide(OsStr::new(name)));
    let mut text = [0u16; TEXT_UNITS_MAX];
    let mut bytes = u32::try_from(std::mem::size_of_val(&text)).ok()?;
    // SAFETY: both names end in a NUL, and the buffer is as long as is said.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY,
            null_mut(),
            text.as_mut_ptr().cast(),
            &mut bytes,
        )
    };
    if code != 0 {
        return None;
    }
    let units = text.iter().copied().take_while(|unit| *unit != 0);
    Some(char::decode_utf16(units).filter_map(Result::ok).collect())
}

/// Whether a drive (`C:\`) is one of the network.
pub(crate) fn is_network_drive(root: &OsStr) -> bool {
    /// `DRIVE_REMOTE` (fileapi.h).
    const REMOTE: u32 = 4;
    let root = wide(root);
    // SAFETY: the name ends in a NUL.
    unsafe { GetDriveTypeW(root.as_ptr()) == REMOTE }
}

pub(super) fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

pub(super) fn error_of(code: u32) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX))
}
