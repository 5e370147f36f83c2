//! Paths on the command line, with what `~` stands for: cmd and PowerShell leave it to the
//! program, and so does every shell in `--to=~/x` and in quotes.

use crate::os;
use crate::types::{Home, HomeRefused, key_escape};
use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder or file of this computer.
pub(super) fn path_parser() -> impl TypedValueParser<Value = PathBuf> {
    let expanded = |path: PathBuf| -> Result<PathBuf, HomeRefused> {
        Home::from(os::home_dir()).expanded(&path)
    };
    PathBufValueParser::new().try_map(expanded)
}

/// A file of the backup, by its name in a source or by its path on a computer. One that is
/// not UTF-8 is taken in the form that the bucket's keys have, which names it as well.
pub(super) fn name_parser() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|name| text_of(at_home(name)))
}

/// A name may well begin with `~`, like `~$letter.docx`: only `~` by itself is the home.
fn at_home(name: OsString) -> OsString {
    let inner = Home::from(os::home_dir()).inner(Path::new(&name));
    inner.ok().flatten().map_or(name, PathBuf::into_os_string)
}

fn text_of(name: OsString) -> String {
    name.into_string().unwrap_or_else(|name| {
        let bytes = os::bytes_of_name(&name);
        let names = bytes.split(|byte| *byte == b'/').map(|name| match name {
            // These are no names, and stay what they are.
            b"" | b"." | b".." => String::from_utf8_lossy(name).into_owned(),
            name => key_escape::encode(name),
        });
        names.collect::<Vec<_>>().join("/")
    })
}
