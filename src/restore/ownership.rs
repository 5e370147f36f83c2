//! Whose an object is: what its key and its metadata claim, and what of that is
//! believed.
//!
//! Pure. A key is believed only when it is the key that its path would have; the
//! metadata's word counts for shortened keys alone, and only when that path leads
//! back to the same key.

use super::faults::damaged;
use crate::history::{Chosen, Name};
use crate::s3::Head;
use crate::types::{Class, Fault, MetaRefused, ObjectMeta, Origin, RelKey, shown, unshortened};

/// The key in full, proved to belong to this object.
pub(crate) fn true_key(
    origin: &Origin,
    chosen: &Chosen,
    meta: &ObjectMeta,
) -> Result<RelKey, Fault> {
    match (&chosen.name, &meta.full_key) {
        (Name::Path(key) | Name::Older(key), _) => Ok(key.clone()),
        (_, None) => Err(damaged(
            &chosen.subject(),
            "its key is shortened and its metadata does not say the full path",
        )),
        (_, Some(full)) => unshortened(&origin.prefix, &chosen.key, full).ok_or_else(|| {
            damaged(
                &chosen.subject(),
                format!(
                    "the bucket's object claims another path: {}",
                    shown(&full.at(&chosen.key))
                ),
            )
        }),
    }
}

/// An object under a key that no path has must be foreign.
///
/// # Errors
/// It says that it is ours.
pub(crate) fn foreign(chosen: &Chosen, why: &str, head: &Head) -> Result<(), Fault> {
    match &head.meta {
        Err(MetaRefused::Foreign) => Ok(()),
        Ok(_) | Err(MetaRefused::Newer(_) | MetaRefused::Broken(_)) => Err(misplaced(chosen, why)),
    }
}

pub(crate) fn misplaced(chosen: &Chosen, why: &str) -> Fault {
    Fault::new(
        Class::Damaged,
        "restore",
        chosen.subject(),
        format!("the object says that Keepwatch wrote it, but its key cannot be used: {why}"),
    )
    .hint("somebody else put it there; fetch it with an S3 tool if you need it (docs/FORMAT.md)")
}

pub(crate) fn unreadable_meta(chosen: &Chosen, refused: &MetaRefused) -> Fault {
    let hint = match refused {
        MetaRefused::Newer(_) => "restore it with a newer Keepwatch",
        MetaRefused::Broken(_) | MetaRefused::Foreign => {
            "restore another version with --at, or fetch this one with an S3 tool (docs/FORMAT.md)"
        }
    };
    Fault::new(
        Class::Damaged,
        "restore",
        chosen.subject(),
        refused.to_string(),
    )
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{FullKey, shortened_begin};

    #[test]
    fn a_shortened_key_gives_its_path_back_only_to_its_owner() {
        let long = format!("{}/ü{}", "d".repeat(200), "x".repeat(1200));
        let key = RelKey::parse_full(&long).unwrap();
        let in_bucket = key.in_bucket("office/").key;
        let whole = |text: &str| FullKey::Whole(text.to_owned());
        let rest = long.strip_prefix(shortened_begin(&in_bucket["office/".len()..]));
        let rest = FullKey::Rest(rest.unwrap().to_owned());
        for claim in [whole(&long), rest.clone()] {
            assert_eq!(
                unshortened("office/", &in_bucket, &claim),
                Some(key.clone())
            );
        }
        // The whole bucket is restored: the source's prefix is a folder then.
        let with_prefix = RelKey::parse_full(&format!("office/{long}")).unwrap();
        for claim in [whole(&long), rest] {
            assert_eq!(
                unshortened("", &in_bucket, &claim),
                Some(with_prefix.clone())
            );
        }
        let escape = format!("../{long}");
        for claim in [&long[1..], "etc/passwd", "", escape.as_str()] {
            for claim in [whole(claim), FullKey::Rest(claim.to_owned())] {
                assert_eq!(
                    unshortened("office/", &in_bucket, &claim),
                    None,
                    "{claim:?}"
                );
            }
        }
        assert_eq!(unshortened("elsewhere/", &in_bucket, &whole(&long)), None);
    }

    #[test]
    fn a_prefix_that_is_no_path_leads_nowhere() {
        let long = "x".repeat(1200);
        let key = RelKey::parse_full(&long).unwrap();
        let in_bucket = key.in_bucket("../up/").key;
        let claim = FullKey::Whole(long);
        assert_eq!(unshortened("", &in_bucket, &claim), None);
    }
}
