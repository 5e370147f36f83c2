//! Tracks which servers copy correctly: parts, and whole objects.
//!
//! Some servers answer 200 and store something else, some do not copy at all. The index
//! remembers such a server, and for a while it is sent everything.

use super::piece::Reused;
use super::send::Job;
use crate::os::clock::wall_ms;
use crate::s3::{PartDone, Proof};
use crate::types::{Fault, WallMs};
use serde_json::json;

/// How long a server is not asked for such copies after one went wrong. Each
/// trial costs a few requests, and servers are seldom replaced.
const DISTRUST_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Why a version is not built from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distrust {
    /// In words.
    pub why: String,
    /// The server is to blame, and will do it again.
    pub remember: bool,
}

impl Distrust {
    pub fn of_server(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            remember: true,
        }
    }

    pub fn this_time(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            remember: false,
        }
    }
}

/// What a server is asked to copy. It may do one right and not the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copying {
    /// Ranges of a version, as parts of another.
    Parts,
    /// Whole versions.
    Whole,
}

impl Job {
    fn trust_name(&self, copying: Copying) -> String {
        let name = match copying {
            Copying::Parts => "part_copies_not_before",
            Copying::Whole => "copies_not_before",
        };
        format!("{name} {} {}", self.store.place(), self.bucket)
    }

    /// Whether this server may be asked for such copies.
    pub(crate) async fn trusts(&self, copying: Copying) -> Result<bool, Fault> {
        self.noted(move |job| {
            let until_ms = job.index.state_get(&job.trust_name(copying))?;
            let left_ms = WallMs(until_ms.and_then(|ms| ms.as_i64()).unwrap_or(0)) - wall_ms();
            // A clock that was set back must not make it last for ever.
            Ok(!(1..=DISTRUST_MS).contains(&left_ms))
        })
        .await
    }

    /// Remember that this server's copies of that kind are not trusted.
    pub(crate) async fn distrust(&self, copying: Copying, why: &str) {
        let noted = self.noted(move |job| {
            let until_ms = wall_ms() + DISTRUST_MS;
            let name = job.trust_name(copying);
            job.index.state_set(&name, &json!(until_ms))
        });
        let noted = noted.await;
        let (what, so) = match copying {
            Copying::Parts => ("parts of objects", "large files are sent whole"),
            Copying::Whole => ("objects", "files that are renamed or moved are sent again"),
        };
        tracing::warn!(
            server = %self.store.place(),
            path = %self.path,
            "this server does not copy {what} as it should ({why}): {so}; it is tried again in a week"
        );
        if let Err(fault) = noted {
            tracing::warn!("that cannot be remembered: {fault}");
        }
    }
}

/// Whether the server's answer proves a copied part, or the proof is left to the
/// completion.
pub(crate) fn check(done: &PartDone, part: &Reused, proof: Proof) -> Result<(), Distrust> {
    if done.crc64.is_some_and(|crc64| crc64 != part.crc64) {
        return Err(Distrust::of_server("a copied part has another checksum"));
    }
    match proof {
        Proof::Whole => Ok(()),
        Proof::EachPart if done.crc64.is_some() => Ok(()),
        Proof::EachPart => by_md5(&done.etag, part.md5),
    }
}

/// Older servers' ETag of a part is its MD5.
fn by_md5(etag: &str, md5: Option<[u8; 16]>) -> Result<(), Distrust> {
    let Some(md5) = md5 else {
        return Err(Distrust::this_time("nothing proves a copied part"));
    };
    let etag = etag.trim_matches('"');
    let is_md5 = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_md5 {
        return Err(Distrust::of_server("nothing proves a copied part"));
    }
    if etag.eq_ignore_ascii_case(&hex::encode(md5)) {
        Ok(())
    } else {
        Err(Distrust::of_server("a copied part has another checksum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Crc64;

    #[test]
    fn what_proves_a_copied_part() {
        let crc64 = Crc64::of(b"abc");
        let md5 = hex::decode("900150983cd24fb0d6963f7d28e17f72").unwrap();
        let md5: Option<[u8; 16]> = md5.try_into().ok();
        let lie = Err(true);
        let unproved = Err(false);
        for (proof, etag, says, known_md5, want) in [
            (Proof::Whole, "anything", Some(crc64), None, Ok(())),
            (Proof::Whole, "anything", None, None, Ok(())),
            (Proof::Whole, "anything", Some(Crc64(1)), None, lie),
            (Proof::EachPart, "anything", Some(crc64), None, Ok(())),
            (Proof::EachPart, "anything", Some(Crc64(1)), md5, lie),
            (
                Proof::EachPart,
                "\"900150983cd24fb0d6963f7d28e17f72\"",
                None,
                md5,
                Ok(()),
            ),
            (
                Proof::EachPart,
                "900150983CD24FB0D6963F7D28E17F72",
                None,
                md5,
                Ok(()),
            ),
            (
                Proof::EachPart,
                "d41d8cd98f00b204e9800998ecf8427e",
                None,
                md5,
                lie,
            ),
            (Proof::EachPart, "", None, md5, lie),
            (
                Proof::EachPart,
                "900150983cd24fb0d6963f7d28e17f72-1",
                None,
                md5,
                lie,
            ),
            (
                Proof::EachPart,
                "900150983cd24fb0d6963f7d28e17f72",
                None,
                None,
                unproved,
            ),
        ] {
            let done = PartDone {
                number: 1,
                etag: etag.into(),
                sha256: None,
                crc64: says,
            };
            let part = Reused {
                from: 0..3,
                crc64,
                md5: known_md5,
            };
            let got = check(&done, &part, proof).map_err(|distrust| distrust.remember);
            assert_eq!(got, want, "{proof:?} {etag} {says:?}");
        }
    }
}
