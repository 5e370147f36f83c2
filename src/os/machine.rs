//! What a system calls the computer for as long as it is installed.

/// What the system calls this computer for as long as it is installed, where it
/// says so: names change, and several computers may have one. Blocks.
pub fn machine_id() -> Option<String> {
    let id = system_id()?;
    let id = id.trim();
    (!id.is_empty() && id != "uninitialized").then(|| id.to_owned())
}

#[cfg(windows)]
fn system_id() -> Option<String> {
    super::windows::sys::registry_text(r"SOFTWARE\Microsoft\Cryptography", "MachineGuid")
}

#[cfg(target_os = "macos")]
fn system_id() -> Option<String> {
    let mut command = std::process::Command::new("/usr/sbin/ioreg");
    command.args(["-rd1", "-c", "IOPlatformExpertDevice"]);
    /// It asks the kernel alone.
    const ANSWERS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
    platform_uuid(&super::child::output_of(&mut command, ANSWERS_WITHIN).ok()?)
}

#[cfg(not(any(windows, target_os = "macos")))]
fn system_id() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // The second is where systems without systemd have it.
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find(|id| !id.trim().is_empty())
}

/// The computer's own number in what `ioreg` prints:
/// `"IOPlatformUUID" = "8F5F2C1A-…"`.
#[cfg(any(target_os = "macos", test))]
fn platform_uuid(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("\"IOPlatformUUID\"")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let (id, _) = value.strip_prefix('"')?.split_once('"')?;
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macs_number_is_found_in_what_ioreg_prints() {
        let text = r#"+-o J316sAP  <class IOPlatformExpertDevice, id 0x100000241, registered>
    {
      "IOPolledInterface" = "AppleARMWatchdogTimerHibernateHandler is not serializable"
      "IOPlatformUUID" = "8F5F2C1A-1111-2222-3333-444455556666"
      "serial-number" = <43303200>
    }
"#;
        let want = "8F5F2C1A-1111-2222-3333-444455556666";
        assert_eq!(platform_uuid(text).as_deref(), Some(want));
        for other in [
            "",
            "\"IOPlatformUUID\"",
            "\"IOPlatformUUID\" = \"\"",
            "x = \"y\"",
        ] {
            assert_eq!(platform_uuid(other), None, "{other}");
        }
    }

    #[test]
    fn an_id_stays_and_is_one_word() {
        let id = machine_id();
        assert_eq!(machine_id(), id);
        assert!(id.is_none_or(|id| !id.is_empty() && !id.contains(char::is_whitespace)));
    }
}
