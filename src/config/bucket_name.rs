//! Makes a valid bucket name of any text.

use super::places;

/// S3's longest bucket name.
pub(crate) const BUCKET_BYTES_MAX: usize = 63;

/// The name when a folder's own leaves nothing to use.
pub(crate) const NAME_OF_LAST_RESORT: &str = "files";

/// A valid bucket name that still reads like `name`.
pub(crate) fn bucket_like(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'ß' => plain.push_str("ss"),
            'a'..='z' | '0'..='9' => plain.push(c),
            _ if plain.ends_with('-') => {}
            _ => plain.push('-'),
        }
    }
    let cut = plain.get(..BUCKET_BYTES_MAX).unwrap_or(&plain);
    let cut = cut.trim_matches('-');
    if places::bucket(cut).is_ok() {
        return cut.to_owned();
    }
    let room = BUCKET_BYTES_MAX - NAME_OF_LAST_RESORT.len() - 1;
    let longer = format!("{}-{NAME_OF_LAST_RESORT}", cut.get(..room).unwrap_or(cut));
    match places::bucket(&longer) {
        Ok(name) => name,
        Err(_) => NAME_OF_LAST_RESORT.to_owned(),
    }
}
