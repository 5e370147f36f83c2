//! Shadow copies of Windows' volumes: how they are asked for, what the answer says, and where
//! a file is in one.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(windows), allow(dead_code))]

use std::time::Duration;

/// A shadow copy serves all files of its volume that are locked for so long. Then what they
/// hold now is wanted.
pub(super) const SERVES_FOR: Duration = Duration::from_secs(10 * 60);

/// Windows gives all that write ten seconds to be still, and some time before and after.
pub(super) const MADE_WITHIN: Duration = Duration::from_secs(45);

/// Deleting one takes a moment.
pub(super) const DELETED_WITHIN: Duration = Duration::from_secs(20);

/// After a failure (no rights, no room) nobody asks again for so long.
pub(super) const RESTS_FOR: Duration = Duration::from_secs(15 * 60);

/// Where the devices of all shadow copies are.
const DEVICES: &str = r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy";

/// A shadow copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// The system's number for it, in braces.
    pub(super) id: String,
    /// What its files' paths begin with.
    pub(super) device: String,
}

/// The letter of the drive that a whole path is on, and the path there; `None` for network
/// drives and for what has no letter: neither has shadow copies.
pub(super) fn on_drive(path: &str) -> Option<(char, &str)> {
    let rest = path.strip_prefix(r"\\?\").unwrap_or(path);
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    let below = chars.as_str().strip_prefix(r":\")?;
    Some((letter.to_ascii_uppercase(), below))
}

/// What PowerShell is to do: make one and print its number and its device.
pub(super) fn script_to_make(letter: char) -> String {
    format!(
        "$ErrorActionPreference = 'Stop'; \
         $made = Invoke-CimMethod -ClassName Win32_ShadowCopy -MethodName Create \
         -Arguments @{{ Volume = '{letter}:\\'; Context = 'ClientAccessible' }}; \
         if ($made.ReturnValue -ne 0) {{ \
         [Console]::Error.WriteLine(\"Windows refused it with code $($made.ReturnValue)\"); exit 1 }}; \
         $copy = Get-CimInstance Win32_ShadowCopy -Filter \"ID='$($made.ShadowID)'\"; \
         Write-Output \"$($copy.ID) $($copy.DeviceObject)\""
    )
}

/// What it has printed.
pub(super) fn made(printed: &str) -> Option<Made> {
    let words = printed.split_whitespace().collect::<Vec<_>>();
    let [id, device] = words[..] else {
        return None;
    };
    let number = device.strip_prefix(DEVICES)?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_id(id) && is_number).then(|| Made {
        id: id.to_owned(),
        device: device.to_owned(),
    })
}

/// `{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}`, and nothing that a command line could mean
/// something else by.
pub(super) fn is_id(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|id| id.strip_suffix('}'));
    inner.is_some_and(|id| {
        let lengths = [8, 4, 4, 4, 12];
        let mut parts = id.split('-');
        let has_lengths = lengths.iter().all(|length| {
            parts.next().is_some_and(|part| {
                part.len() == *length && part.bytes().all(|b| b.is_ascii_hexdigit())
            })
        });
        has_lengths && parts.next().is_none()
    })
}

/// Where a file of the drive is in its shadow copy.
pub(super) fn path_in(device: &str, below: &str) -> String {
    format!(r"{device}\{below}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "{F0A1B2C3-0001-4A5B-8C9D-0123456789AB}";

    #[test]
    fn paths_on_drives_and_in_their_shadow_copies() {
        for (path, want) in [
            (
                r"\\?\C:\Users\anna\mail.pst",
                Some(('C', r"Users\anna\mail.pst")),
            ),
            (r"d:\a", Some(('D', "a"))),
            (r"\\?\UNC\server\share\a", None),
            (r"\\server\share\a", None),
            (r"\\?\Volume{1}\a", None),
            ("/srv/a", None),
            ("", None),
        ] {
            assert_eq!(on_drive(path), want, "{path}");
        }
        let device = format!("{DEVICES}12");
        assert_eq!(
            path_in(&device, r"Users\anna\mail.pst"),
            r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy12\Users\anna\mail.pst"
        );
    }

    /// As PowerShell 5.1 prints it.
    #[test]
    fn the_answer_names_the_copy_or_is_none() {
        let printed = format!("{ID} {DEVICES}12\r\n");
        let want = Made {
            id: ID.to_owned(),
            device: format!("{DEVICES}12"),
        };
        assert_eq!(made(&printed), Some(want));
        for other in [
            String::new(),
            ID.to_owned(),
            format!("{ID} "),
            format!("{ID} {DEVICES}"),
            format!(r"{ID} {DEVICES}12\..\x"),
            format!(r"{ID} \\server\share"),
            format!("x {DEVICES}12"),
            format!("{ID} {DEVICES}12 more"),
        ] {
            assert_eq!(made(&other), None, "{other:?}");
        }
    }

    #[test]
    fn only_an_id_is_ever_given_to_a_command() {
        assert!(is_id(ID) && is_id(&ID.to_lowercase()));
        for other in [
            "",
            "{}",
            &ID[1..],
            "{F0A1B2C3-0001-4A5B-8C9D-0123456789AB-}",
            "{F0A1B2C3-0001-4A5B-8C9D-0123456789A&}",
            "/all",
        ] {
            assert!(!is_id(other), "{other}");
        }
        assert!(script_to_make('C').contains(r"Volume = 'C:\';"));
    }
}
