//! Pure, synchronous decisions, and the types that all other folders use.
//!
//! It never touches disk, network, clock or threads: time is an argument.

mod archive_class;
pub(crate) mod attributes;
mod bandwidth;
mod byte_escape;
mod byte_size;
mod cause;
mod class;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod companion;
mod content_class;
mod content_hash;
mod error;
mod fatal;
mod fault;
mod fingerprint;
mod full_key;
mod home;
mod instant;
pub(crate) mod kept_name;
pub(crate) mod key_escape;
mod meta_bytes;
pub(crate) mod moment;
pub(crate) mod object_key;
mod object_meta;
mod one_line;
mod operation;
mod origin;
mod part_layout;
mod pattern;
mod pattern_parts;
mod record;
pub mod rel_path;
mod strangers;
mod taken;
pub(crate) mod text;
mod traffic;
mod version;

pub use archive_class::{Cold, PRICES_OF, Speed, THAW_DAYS_DEFAULT, Thaw};
pub use attributes::{ACL, Attributes, Carried, TEXT_BYTES_MAX, is_acl, is_kept};
pub use bandwidth::{DAY_MINUTES, Rates, Slot, Timetable};
pub use byte_size::parse_bytes;
pub use class::Class;
pub use clock::differs;
pub use command::Reader;
pub use companion::Bond;
pub use content_class::{Look, SAMPLE_BYTES};
pub use content_hash::{ContentHash, Hasher};
pub use error::chain;
pub use fatal::{Fatal, FatalKind};
pub use fault::{Fault, FaultDetail};
pub use fingerprint::{Fingerprint, Kind};
pub use full_key::FullKey;
pub(crate) use full_key::unshortened;
pub use home::{Home, HomeRefused};
pub use instant::{BootMs, MonotonicMs, WallMs};
pub use kept_name::beside;
pub use key_escape::{OWN_FOLDER, decode, encode};
pub use meta_bytes::{FULL_KEY_VALUE_BYTES_MAX, META_BYTES_MAX, sent_bytes};
pub use moment::{Moment, parse_moment};
pub use object_key::{
    BucketKey, ForeignKey, KEY_BYTES_MAX, MANIFEST_END, MANIFESTS, NEW_KEY_BYTES_MAX, OWNER_RECORD,
    RelKey, WRITE_TRIAL, is_own, is_shortened, older_form, shortened_begin,
};
pub use object_meta::{MetaRefused, ObjectMeta};
pub use one_line::{clean, shown};
pub(crate) use one_line::{is_hidden, printable, quoted, shown_bytes};
pub use operation::Operation;
pub use origin::Origin;
pub use part_layout::{Crc64, Crc64Hasher, Parts, SEGMENTS_MAX, Segment};
pub use pattern::{Ground, leaves_out_everything, rule};
pub use record::Record;
pub use rel_path::{PathRefused, RelPath};
pub use strangers::{Account, Rights, Stranger, stranger};
pub use taken::{Reading, Taken};
pub use text::{amount, counted, duration, number, size, time, time_of_second};
pub(crate) use text::{ascii, shorten};
pub use traffic::{Traffic, download_micro_usd};
pub use version::{ETag, VersionId, id_or_empty, id_text};
