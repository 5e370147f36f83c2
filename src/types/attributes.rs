//! What a file or folder has beside content, mode and time: extended attributes, and
//! access control lists among them (Linux).
//!
//! docs/FORMAT.md has their form for people. Invariants: one set of attributes has one
//! text, and every text of ours gives exactly its set back; nothing is kept, or given
//! to a file, that lends a program rights or belongs to the computer itself.

use super::byte_escape;
use super::content_hash::ContentHash;
use super::key_escape::OWN_FOLDER;
use super::object_key::ATTRIBUTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;

/// The access control list of a file or folder. Its mask shows as the group's bits of
/// the mode.
pub const ACL: &str = "system.posix_acl_access";

/// What new files in a folder get as theirs.
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// Where Samba keeps the rights that Windows computers see.
const SAMBA_ACL: &str = "security.NTACL";

/// The marks of a file on Windows, as words: hidden, system and the like.
pub const WINDOWS_MARKS: &str = "windows.attributes";

/// Who may do what with a file on Windows: owner, group and access list in its own
/// language for them (SDDL). Kept of what has rights of its own, not of what inherits.
pub const WINDOWS_RIGHTS: &str = "windows.sddl";

/// What people and programs put down themselves.
const USER: &str = "user.";

/// The longest text of one file's or folder's attributes. Linux has up to 64 KiB for
/// each; icons and streams of other systems are the largest that people have. It fits
/// a line of a manifest beside the longest path.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Whether an attribute of this name is kept and given back. Left out are those of the
/// computer (`security.selinux`, `security.ima`, `trusted.*`) and those with which a
/// program runs with more rights than whoever starts it (`security.capability`).
pub fn is_kept(name: &str) -> bool {
    name.starts_with(USER) || is_acl(name) || name == SAMBA_ACL || name == WINDOWS_MARKS
}

/// Whether it says who may do what, and goes with the mode.
pub fn is_acl(name: &str) -> bool {
    name == ACL || name == DEFAULT_ACL || name == WINDOWS_RIGHTS
}

/// Names and values, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    /// Add one.
    pub fn insert(&mut self, name: String, value: Vec<u8>) {
        self.0.insert(name, value);
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// As printable ASCII without spaces: `NAME:BASE64`, with a comma between two.
    /// In a name each byte that is not printable ASCII, and `=`, `:` and `,`, is
    /// `=` and two hex digits.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push(',');
            }
            for byte in name.bytes() {
                match byte {
                    b'=' | b':' | b',' => byte_escape::push(&mut text, '=', byte),
                    byte if byte.is_ascii_graphic() => text.push(char::from(byte)),
                    byte => byte_escape::push(&mut text, '=', byte),
                }
            }
            text.push(':');
            BASE64.encode_string(value, &mut text);
        }
        text
    }

    /// Read [`Attributes::to_text`] back; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut all = BTreeMap::new();
        for one in text.split(',') {
            let (name, value) = one.split_once(':')?;
            let name = String::from_utf8(byte_escape::undone(name, b'=')).ok()?;
            all.insert(name, BASE64.decode(value).ok()?);
        }
        let all = Self(all);
        // Another way to write it would be another set.
        (all.to_text() == text).then_some(all)
    }

    /// Those whose names are wanted.
    pub fn only(&self, is_wanted: impl Fn(&str) -> bool) -> Self {
        let all = self.0.iter().filter(|(name, _)| is_wanted(name));
        Self(
            all.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// What tells this set from others; `None` for none.
    pub fn id(&self) -> Option<u64> {
        (!self.is_empty()).then(|| id_of(&ContentHash::of(self.to_text().as_bytes())))
    }

    /// The mode for as long as the access control list is not there, which the mode
    /// was read with: the group's bits are its mask then, and may give the group more
    /// than its own entry does.
    pub fn mode_without_acl(&self, mode: u32) -> u32 {
        match self.0.get(ACL) {
            Some(acl) => mode & (!0o070 | group_bits(acl) << 3),
            None => mode,
        }
    }
}

/// What the entry of the owning group allows; nothing where it cannot be read.
/// `linux/posix_acl_xattr.h`: four bytes of version, then entries of tag and
/// permissions (two bytes each) and a number of an account (four), little-endian.
fn group_bits(acl: &[u8]) -> u32 {
    const VERSION: [u8; 4] = [2, 0, 0, 0];
    const GROUP_OBJ: [u8; 2] = [4, 0];
    let Some(entries) = acl.strip_prefix(&VERSION) else {
        return 0;
    };
    let mut entries = entries.chunks_exact(8);
    let group = entries.find(|entry| entry.starts_with(&GROUP_OBJ));
    group.map_or(0, |entry| u32::from(entry[2] & 7))
}

fn id_of(hash: &ContentHash) -> u64 {
    let [first, ..] = hash.0.as_chunks::<8>().0 else {
        return 0;
    };
    u64::from_be_bytes(*first)
}

/// The attributes as an object's metadata has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Carried {
    /// Not at all: there were none, or the object is of a version that kept none.
    #[default]
    Nothing,
    /// Themselves.
    Here(Attributes),
    /// In an object of their own, whose text has this hash ([`key`]).
    Apart(ContentHash),
}

impl Carried {
    /// As metadata has them where there is room.
    pub fn here(attributes: &Attributes) -> Self {
        match attributes.is_empty() {
            true => Self::Nothing,
            false => Self::Here(attributes.clone()),
        }
    }

    /// As [`Attributes::id`].
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Here(attributes) => attributes.id(),
            Self::Apart(hash) => Some(id_of(hash)),
        }
    }

    /// The attributes themselves, where the metadata has them.
    pub fn attributes(&self) -> Attributes {
        match self {
            Self::Here(attributes) => attributes.clone(),
            Self::Nothing | Self::Apart(_) => Attributes::default(),
        }
    }
}

/// The key of the object that has the attributes whose text has this hash: of all
/// files that have the same.
pub fn key(prefix: &str, hash: &ContentHash) -> String {
    format!("{prefix}{OWN_FOLDER}/{ATTRIBUTES}{}", hash.to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(all: &[(&str, &[u8])]) -> Attributes {
        let mut out = Attributes::default();
        for (name, value) in all {
            out.insert((*name).to_owned(), value.to_vec());
        }
        out
    }

    #[test]
    fn the_text_is_what_the_format_page_says() {
        let all = of(&[
            ("user.comment", b"hello"),
            ("system.posix_acl_access", b"\x02\0\0\0"),
        ]);
        let text = "system.posix_acl_access:AgAAAA==,user.comment:aGVsbG8=";
        assert_eq!(all.to_text(), text);
        assert_eq!(Attributes::from_text(text), Some(all));
        let odd = of(&[("user.a=b:c,d é", b"")]);
        assert_eq!(odd.to_text(), "user.a=3Db=3Ac=2Cd=20=C3=A9:");
        assert_eq!(Attributes::from_text(&odd.to_text()), Some(odd));
        for broken in [
            "",
            "x",
            "user.a:?",
            "user.b:,user.a:",
            "user.a=3:",
            "user.=61:",
            ",",
            "user.a:,",
        ] {
            assert_eq!(Attributes::from_text(broken), None, "{broken}");
        }
        let long = format!("user.a:{}", "A".repeat(TEXT_BYTES_MAX));
        assert_eq!(Attributes::from_text(&long), None);
    }

    #[test]
    fn what_lends_rights_or_is_the_computers_is_not_kept() {
        for (name, want) in [
            ("user.comment", true),
            ("user.DOSATTRIB", true),
            ("system.posix_acl_access", true),
            ("system.posix_acl_default", true),
            ("security.NTACL", true),
            ("windows.attributes", true),
            ("windows.sddl", true),
            ("windows.other", false),
            ("security.capability", false),
            ("security.selinux", false),
            ("security.ima", false),
            ("trusted.overlay.opaque", false),
            ("system.nfs4_acl", false),
            ("user", false),
            ("", false),
        ] {
            assert_eq!(is_kept(name), want, "{name}");
        }
    }

    /// user::rw-, user:1001:rw-, group::---, mask::rw-, other::---; the mode says 0660.
    #[test]
    fn without_its_list_the_group_gets_no_more_than_its_own_entry() {
        let entry = |tag: u16, perm: u16, id: u32| {
            [
                &tag.to_le_bytes()[..],
                &perm.to_le_bytes(),
                &id.to_le_bytes(),
            ]
            .concat()
        };
        for (group, mode, want) in [
            (0, 0o660, 0o600),
            (4, 0o660, 0o640),
            (7, 0o640, 0o640),
            (5, 0o2770, 0o2750),
        ] {
            let list = [
                vec![2, 0, 0, 0],
                entry(1, 6, u32::MAX),
                entry(2, 6, 1001),
                entry(4, group, u32::MAX),
                entry(16, 6, u32::MAX),
                entry(32, 0, u32::MAX),
            ];
            let all = of(&[(ACL, &list.concat())]);
            assert_eq!(all.mode_without_acl(mode), want, "{mode:o}");
        }
        assert_eq!(of(&[(ACL, b"?")]).mode_without_acl(0o664), 0o604);
        assert_eq!(of(&[("user.a", b"?")]).mode_without_acl(0o664), 0o664);
    }

    #[test]
    fn metadata_and_an_object_of_its_own_tell_the_same_set() {
        let all = of(&[("user.a", b"x")]);
        let apart = Carried::Apart(ContentHash::of(all.to_text().as_bytes()));
        assert!(apart.id().is_some());
        assert_eq!([Carried::here(&all).id(), apart.id()], [all.id(), all.id()]);
        assert_eq!(Carried::here(&Attributes::default()), Carried::Nothing);
        assert_ne!(all.id(), of(&[("user.a", b"y")]).id());
    }

    proptest! {
        #[test]
        fn every_set_comes_back(all in proptest::collection::btree_map(".{1,20}", proptest::collection::vec(any::<u8>(), 0..50), 1..6)) {
            let all = Attributes(all);
            let text = all.to_text();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(Attributes::from_text(&text), Some(all));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,200}") {
            let _ = Attributes::from_text(&text);
        }
    }
}
