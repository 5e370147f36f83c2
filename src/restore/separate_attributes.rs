//! Attributes that an object's metadata has no room for: fetched from the object that
//! has them.

use super::context::RestoreContext;
use crate::retry::advise_rerun;
use crate::s3::At;
use crate::types::{
    Attributes, Carried, Class, ContentHash, Fault, ObjectMeta, RelPath, TEXT_BYTES_MAX, attributes,
};

/// The same metadata with its attributes in it. Where they cannot be had the file comes
/// back without them, and is named.
///
/// # Errors
/// What passes by itself.
pub(crate) async fn fetched(
    ctx: &RestoreContext,
    path: &RelPath,
    meta: ObjectMeta,
) -> Result<ObjectMeta, Fault> {
    let Carried::Apart(hash) = meta.attributes else {
        return Ok(meta);
    };
    let carried = match fetch(ctx, &hash).await {
        Ok(attributes) => Carried::Here(attributes),
        Err(fault) if fault.class.is_transient() => return Err(fault),
        Err(fault) => {
            let fault = advise_rerun(fault);
            ctx.stats.left_out(Fault {
                class: Class::Unstorable,
                ..fault.about(path.to_string())
            });
            return Ok(ObjectMeta {
                attributes: Carried::Nothing,
                mode: mode_of_unknown_list(meta.mode),
                ..meta
            });
        }
    };
    Ok(ObjectMeta {
        attributes: carried,
        ..meta
    })
}

/// The mode of what may have had an access control list that nobody can read: the
/// group's bits would be that list's mask, and may give the group more than it had.
pub(crate) fn mode_of_unknown_list(mode: u32) -> u32 {
    mode & !0o070
}

async fn fetch(ctx: &RestoreContext, hash: &ContentHash) -> Result<Attributes, Fault> {
    let key = attributes::key(&ctx.origin.prefix, hash);
    let at = At {
        bucket: &ctx.origin.bucket,
        key: &key,
    };
    let wrong = |class, why: &str| {
        Fault::new(class, "give back the attributes", &key, why)
            .hint("the content is complete; its group may do nothing with it: set its access rights by hand")
    };
    let found = ctx.store.read_record(at, TEXT_BYTES_MAX + 1).await?;
    let Some((bytes, _)) = found else {
        return Err(wrong(Class::NotFound, "the object that has them is gone"));
    };
    let text = String::from_utf8(bytes).ok();
    text.filter(|text| ContentHash::of(text.as_bytes()) == *hash)
        .and_then(|text| Attributes::from_text(&text))
        .ok_or_else(|| wrong(Class::Damaged, "the object that has them is damaged"))
}
