//! Whose a destination is: the record in the bucket, and whether it is ours.
//!
//! Two computers that write to one place mark each other's files as deleted. So
//! each destination (bucket and prefix) has an owner, written as a small object
//! beside the manifests; docs/FORMAT.md has the rule for people. Pure: the tasks
//! read, write and persist; this decides. Invariant: another owner is never
//! replaced by a guess.

use super::format::Header;
use crate::types::{ContentHash, OWN_FOLDER, OWNER_RECORD, WallMs};
use serde::{Deserialize, Serialize};

/// Version of the record's format.
pub const OWNER_VERSION: u32 = 1;

/// A record has some hundred bytes; whatever is larger is none.
pub const OWNER_BYTES_MAX: usize = 64 * 1024;

/// What the id of an owner begins with that left no record: one of a version of
/// Keepwatch that wrote none.
const BEFORE: &str = "before-";

/// The key of the record of the destination with this prefix.
pub fn key(prefix: &str) -> String {
    format!("{prefix}{OWN_FOLDER}/{OWNER_RECORD}")
}

/// Prefixes that the one lies within, the outermost first, itself left out: an
/// owner of one of them owns all below.
pub fn above(prefix: &str) -> Vec<&str> {
    let ends = prefix.match_indices('/').map(|(at, _)| at + 1);
    std::iter::once(0)
        .chain(ends)
        .filter(|end| *end < prefix.len())
        .map(|end| &prefix[..end])
        .collect()
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Format version.
    pub keepwatch_owner: u32,
    /// Random, another one with each owner; the owner's state folder has it, too.
    pub id: String,
    /// The computer's name.
    pub computer: String,
    /// What tells computers of one name apart, where the system has it: a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The source's name.
    pub source: String,
    /// Its folder.
    pub root: String,
    /// Since when, for people (UTC).
    pub since: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// The version of Keepwatch that wrote it.
    pub keepwatch: String,
}

impl Owner {
    /// Read a record; `None` for what is none.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let owner: Self = serde_json::from_slice(bytes).ok()?;
        (owner.keepwatch_owner == OWNER_VERSION && !owner.id.is_empty()).then_some(owner)
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// Never, for what a record holds.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }

    /// The owner that a manifest tells of, where there is no record.
    pub fn of_manifest(header: &Header) -> Self {
        let told = format!("{}\0{}\0{}", header.host, header.root, header.source);
        let hash = ContentHash::of(told.as_bytes()).to_hex();
        Self {
            keepwatch_owner: OWNER_VERSION,
            id: format!("{BEFORE}{}", &hash[..16]),
            computer: header.host.clone(),
            machine: None,
            source: header.source.clone(),
            root: header.root.clone(),
            since: String::new(),
            since_ms: WallMs::default(),
            keepwatch: header.keepwatch.clone(),
        }
    }

    /// The owner of objects that say nothing of it.
    pub fn unknown() -> Self {
        Self {
            keepwatch_owner: OWNER_VERSION,
            id: format!("{BEFORE}unknown"),
            computer: String::new(),
            machine: None,
            source: String::new(),
            root: String::new(),
            since: String::new(),
            since_ms: WallMs::default(),
            keepwatch: String::new(),
        }
    }

    /// Who it is, for people; part of a sentence.
    pub fn who(&self) -> String {
        if self.computer.is_empty() {
            return "a Keepwatch that left no word of itself".to_owned();
        }
        let mut text = format!(
            "the computer {} (folder {}, source {}",
            self.computer, self.root, self.source
        );
        if let Some(day) = self.since.get(..10) {
            text += &format!(", since {day}");
        }
        text + ")"
    }
}

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computer {
    /// Its name.
    pub name: String,
    /// What the system calls it for ever; hashed, since it is nobody's business.
    pub machine: Option<String>,
}

impl Computer {
    /// The computer of this name and, where the system has one, machine id.
    pub fn new(name: String, machine_id: Option<&str>) -> Self {
        let machine = machine_id.map(|id| {
            let hash = ContentHash::of(format!("keepwatch\0{id}").as_bytes());
            hash.to_hex()[..16].to_owned()
        });
        Self { name, machine }
    }
}

/// One source of this computer, as far as it can own a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// This computer.
    pub computer: Computer,
    /// The source's name.
    pub source: String,
    /// Its folder.
    pub root: String,
    /// The ids under which this state folder has owned the destination, or was
    /// about to when it was cut off.
    pub ids: Vec<String>,
    /// The index knows what is in the bucket: this state folder wrote it before
    /// there were records.
    pub knows: bool,
    /// The owner that it may follow, as the configuration says.
    pub take_over: Option<String>,
}

/// Whose the destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Ours, and the record says so.
    Ours,
    /// Ours or nobody's, and the record must be written.
    Claimable,
    /// Somebody else's.
    Others,
}

impl Claimant {
    /// Whose a destination is where this was found; `None`: nothing at all.
    pub fn judge(&self, found: Option<&Owner>) -> Whose {
        let Some(owner) = found else {
            return Whose::Claimable;
        };
        let is_named = self.take_over.as_deref() == Some(owner.id.as_str());
        let is_before = owner.id.starts_with(BEFORE);
        let (same_computer, same_root) = (self.is_computer_of(owner), self.root == owner.root);
        if self.ids.contains(&owner.id) {
            return match (same_computer, &owner.machine, &self.computer.machine) {
                (true, ..) if same_root && self.computer.name == owner.computer => Whose::Ours,
                // The folder was moved, or the computer got another name.
                (true, ..) => Whose::Claimable,
                // The state folder was copied to another computer.
                (false, Some(_), Some(_)) => Whose::Others,
                // Nothing tells a copy from a new name. Whoever else has this id sees
                // that it is not the owner's any more.
                (false, ..) => Whose::Claimable,
            };
        }
        // A lost state folder is made again from the bucket. Where the machine proves
        // that it is the same computer, the record may stay as it is.
        let is_again = same_computer && same_root && self.computer.name == owner.computer;
        if is_again && owner.machine.is_some() && owner.machine == self.computer.machine {
            return Whose::Ours;
        }
        let is_again = same_computer && same_root;
        match is_named || is_again || (is_before && self.knows) {
            true => Whose::Claimable,
            false => Whose::Others,
        }
    }

    /// Where both are known the machine counts: names change, and many computers
    /// are called `raspberrypi`.
    fn is_computer_of(&self, owner: &Owner) -> bool {
        match (&owner.machine, &self.computer.machine) {
            (Some(then), Some(now)) => then == now,
            _ => owner.computer == self.computer.name,
        }
    }

    /// The record of this claimant under a new id.
    pub fn record(&self, id: String, now_ms: WallMs) -> Owner {
        let since = now_ms.timestamp().unwrap_or_default();
        Owner {
            keepwatch_owner: OWNER_VERSION,
            id,
            computer: self.computer.name.clone(),
            machine: self.computer.machine.clone(),
            source: self.source.clone(),
            root: self.root.clone(),
            since: since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            since_ms: now_ms,
            keepwatch: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(name: &str, machine: Option<&str>, root: &str, ids: &[&str]) -> Claimant {
        Claimant {
            computer: Computer::new(name.to_owned(), machine),
            source: "office".to_owned(),
            root: root.to_owned(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            knows: false,
            take_over: None,
        }
    }

    fn owner(id: &str, name: &str, machine: Option<&str>, root: &str) -> Owner {
        claimant(name, machine, root, &[]).record(id.to_owned(), WallMs(1_795_000_000_000))
    }

    #[test]
    fn whose_it_is() {
        use crate::manifest::owner::Whose::{Claimable, Others, Ours};
        let (m, n) = (Some("m"), Some("n"));
        let ours = owner("1", "pc", m, "/srv");
        for (what, me, want) in [
            ("as it was", claimant("pc", m, "/srv", &["1"]), Ours),
            (
                "cut off while it claimed",
                claimant("pc", m, "/srv", &["0", "1"]),
                Ours,
            ),
            ("renamed", claimant("new", m, "/srv", &["1"]), Claimable),
            ("folder moved", claimant("pc", m, "/mnt", &["1"]), Claimable),
            ("state lost", claimant("pc", m, "/srv", &[]), Ours),
            (
                "state lost, restored older",
                claimant("pc", m, "/srv", &["0"]),
                Ours,
            ),
            (
                "state lost, renamed",
                claimant("new", m, "/srv", &[]),
                Claimable,
            ),
            (
                "state lost, another folder",
                claimant("pc", m, "/mnt", &[]),
                Others,
            ),
            (
                "another computer",
                claimant("other", n, "/srv", &[]),
                Others,
            ),
            (
                "another computer of that name",
                claimant("pc", n, "/srv", &[]),
                Others,
            ),
            (
                "state copied to another computer",
                claimant("other", n, "/srv", &["1"]),
                Others,
            ),
            (
                "the same, of that name",
                claimant("pc", n, "/srv", &["1"]),
                Others,
            ),
            (
                "renamed where no machine has an id",
                claimant("new", None, "/srv", &["1"]),
                Claimable,
            ),
            (
                "another one there",
                claimant("new", None, "/srv", &[]),
                Others,
            ),
        ] {
            assert_eq!(me.judge(Some(&ours)), want, "{what}");
        }
        assert_eq!(claimant("pc", m, "/srv", &[]).judge(None), Claimable);
    }

    #[test]
    fn another_one_is_followed_by_its_very_id_alone() {
        let theirs = owner("1", "old", Some("m"), "/srv");
        let mut me = claimant("new", Some("n"), "/srv/office", &[]);
        for (named, want) in [("1", Whose::Claimable), ("2", Whose::Others)] {
            me.take_over = Some(named.to_owned());
            assert_eq!(me.judge(Some(&theirs)), want, "{named}");
        }
    }

    #[test]
    fn what_was_there_before_there_were_records() {
        let before = Owner {
            id: format!("{BEFORE}0123"),
            machine: None,
            ..owner("", "old", None, "/srv")
        };
        let mut me = claimant("new", Some("n"), "/srv", &[]);
        assert_eq!(me.judge(Some(&before)), Whose::Others);
        assert_eq!(me.judge(Some(&Owner::unknown())), Whose::Others);
        me.knows = true;
        assert_eq!(me.judge(Some(&before)), Whose::Claimable);
        assert_eq!(me.judge(Some(&Owner::unknown())), Whose::Claimable);
        // The index is no word against a record.
        let theirs = owner("1", "old", Some("m"), "/srv");
        assert_eq!(me.judge(Some(&theirs)), Whose::Others);
        // The same computer, its index lost.
        let same = claimant("old", Some("n"), "/srv", &[]);
        assert_eq!(same.judge(Some(&before)), Whose::Claimable);
    }

    #[test]
    fn a_record_is_read_back_and_nothing_else_is() {
        let one = owner("1", "pc", Some("m"), "/srv/Büro");
        let json = one.to_json().unwrap();
        assert!(json.len() < OWNER_BYTES_MAX);
        assert_eq!(Owner::from_json(&json), Some(one));
        for other in [
            "",
            "{}",
            "<html>",
            "{\"keepwatch_owner\":2,\"id\":\"1\",\"computer\":\"\",\"source\":\"\",\"root\":\"\",\"since\":\"\",\"since_ms\":0,\"keepwatch\":\"\"}",
        ] {
            assert_eq!(Owner::from_json(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn keys_and_prefixes_above() {
        assert_eq!(key("office/"), "office/.keepwatch/owner.json");
        assert!(crate::types::is_own(&key("office/")));
        assert!(above("").is_empty());
        assert_eq!(above("a/"), [""]);
        assert_eq!(above("a/b/c/"), ["", "a/", "a/b/"]);
    }
}
