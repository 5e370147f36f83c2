//! Who may do what with a file of Windows, as text, and which accounts there are.
//!
//! Unsafe code, as in `sys`, with the same rule: no pointer of the system leaves a function.
#![allow(unsafe_code)]

use super::sys::{Aligned, error_of, handle_of, wide};
use std::ffi::{OsStr, c_void};
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, ConvertStringSidToSidW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, GetSecurityDescriptorControl,
    GetSecurityDescriptorDacl, GetSecurityDescriptorGroup, GetSecurityDescriptorOwner,
    GetTokenInformation, LookupAccountSidW, OBJECT_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, SE_DACL_PROTECTED,
    TOKEN_QUERY, TokenUser, UNPROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Memory that the system has given and takes back.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it comes from a call that says to free it so, and nothing has.
        unsafe { LocalFree(self.0) };
    }
}

impl Local {
    /// The text that lies there: UTF-16 up to a NUL.
    fn text(&self) -> String {
        let start: *const u16 = self.0.cast();
        // SAFETY: only calls that give a text with a NUL at its end make one of these
        // that is read.
        let units = unsafe {
            let mut len = 0;
            while *start.add(len) != 0 {
                len += 1;
            }
            std::slice::from_raw_parts(start, len)
        };
        String::from_utf16_lossy(units)
    }
}

/// Owner, group and access list: what is kept of a file's rights.
const PARTS: OBJECT_SECURITY_INFORMATION =
    OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;

/// Who may do what with the file, in Windows' own language for it (SDDL). Blocks.
pub(crate) fn sddl_of(file: &File) -> io::Result<String> {
    let mut rights = null_mut();
    let (owner, group, list, audit) = (null_mut(), null_mut(), null_mut(), null_mut());
    // SAFETY: the handle is open; what is not wanted is null, as the call allows.
    let code = unsafe {
        GetSecurityInfo(
            handle_of(file),
            SE_FILE_OBJECT,
            PARTS,
            owner,
            group,
            list,
            audit,
            &mut rights,
        )
    };
    if code != 0 {
        return Err(error_of(code));
    }
    let rights = Local(rights);
    let mut text = null_mut();
    // SAFETY: the descriptor is the system's own, and lives until the end.
    let done = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            rights.0,
            SDDL_REVISION_1,
            PARTS,
            &mut text,
            null_mut(),
        )
    };
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(Local(text.cast()).text()),
    }
}

/// Give an open file the access list of this text; and owner and group, if it has some and
/// this account may. The file must be open with the right to change its list. Blocks.
pub(crate) fn set_sddl(file: &File, sddl: &str) -> io::Result<()> {
    let rights = descriptor(sddl)?;
    let (mut control, mut revision) = (0, 0);
    let (mut has_list, mut is_default) = (0, 0);
    let (mut list, mut owner, mut group) = (null_mut(), null_mut(), null_mut());
    // SAFETY: the descriptor is whole and lives until the end, and so do the parts of it
    // that these point to.
    unsafe {
        let ok = GetSecurityDescriptorControl(rights.0, &mut control, &mut revision) != 0
            && GetSecurityDescriptorDacl(rights.0, &mut has_list, &mut list, &mut is_default) != 0
            && GetSecurityDescriptorOwner(rights.0, &mut owner, &mut is_default) != 0
            && GetSecurityDescriptorGroup(rights.0, &mut group, &mut is_default) != 0;
        if !ok {
            return Err(io::Error::last_os_error());
        }
        if has_list == 0 || list.is_null() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it has no access list",
            ));
        }
        let inherits = match control & SE_DACL_PROTECTED {
            0 => UNPROTECTED_DACL_SECURITY_INFORMATION,
            _ => PROTECTED_DACL_SECURITY_INFORMATION,
        };
        let set = |parts, owner, group, list| {
            let (handle, kind) = (handle_of(file), SE_FILE_OBJECT);
            SetSecurityInfo(handle, kind, parts, owner, group, list, null())
        };
        // An owner is given where that is allowed, as numbers are on other systems.
        if !owner.is_null() {
            set(OWNER_SECURITY_INFORMATION, owner, null_mut(), null());
        }
        if !group.is_null() {
            set(GROUP_SECURITY_INFORMATION, null_mut(), group, null());
        }
        match set(
            DACL_SECURITY_INFORMATION | inherits,
            null_mut(),
            null_mut(),
            list,
        ) {
            0 => Ok(()),
            code => Err(error_of(code)),
        }
    }
}

/// What `sddl` says, as Windows' calls take it.
fn descriptor(sddl: &str) -> io::Result<Local> {
    let text = wide(OsStr::new(sddl));
    let mut rights = null_mut();
    // SAFETY: the text ends in a NUL.
    let done = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &mut rights,
            null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Local(rights))
}

/// The account that this program runs as, as Windows numbers accounts (`S-1-5-…`).
pub(crate) fn account_sid() -> io::Result<String> {
    let mut handle = null_mut();
    // SAFETY: the process is this one; the token belongs to nobody else.
    let token = unsafe {
        if OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut handle) == 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(handle.cast())
    };
    // TOKEN_USER: a pointer to the number, which lies behind it.
    let mut user = Aligned([0; 256]);
    let mut bytes = 0;
    let mut text = null_mut();
    // SAFETY: the buffer is aligned and as long as is said, and holds what the first
    // field points to.
    unsafe {
        let token = token.as_raw_handle().cast();
        let out: *mut c_void = user.0.as_mut_ptr().cast();
        if GetTokenInformation(token, TokenUser, out, 256, &mut bytes) == 0 {
            return Err(io::Error::last_os_error());
        }
        let sid = *out.cast::<*mut c_void>();
        if ConvertSidToStringSidW(sid, &mut text) == 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(Local(text.cast()).text())
}

/// Whether this computer, or the domain that it is in, knows an account of this number.
/// Blocks: another computer may be asked.
pub(crate) fn is_known_account(sid: &str) -> bool {
    const NAME_UNITS: usize = 512;
    let text = wide(OsStr::new(sid));
    let mut number = null_mut();
    // SAFETY: the text ends in a NUL.
    if unsafe { ConvertStringSidToSidW(text.as_ptr(), &mut number) } == 0 {
        return false;
    }
    let number = Local(number);
    let (mut name, mut domain) = ([0u16; NAME_UNITS], [0u16; NAME_UNITS]);
    let (mut name_units, mut domain_units) = (NAME_UNITS as u32, NAME_UNITS as u32);
    let mut kind = 0;
    // SAFETY: the number is whole, and both buffers are as long as is said.
    let done = unsafe {
        LookupAccountSidW(
            null(),
            number.0,
            name.as_mut_ptr(),
            &mut name_units,
            domain.as_mut_ptr(),
            &mut domain_units,
            &mut kind,
        )
    };
    done != 0
}
