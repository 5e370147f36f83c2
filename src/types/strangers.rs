//! Decides whether another account can change what only Keepwatch should change.
//!
//! Pure: `os` looks, this decides. Invariant: root and the account that runs the program are
//! trusted, and nobody else.

/// The account that the program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its number; 0 is root.
    pub id: u32,
    /// The number of its own group.
    pub group: u32,
}

/// What a file or folder says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Whose it is.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Who else may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It belongs to this other account.
    Owner(u32),
    /// All accounts of this group may write to it.
    Group(u32),
    /// Every account may write to it.
    Everybody,
}

/// Everybody may write to it.
const OTHERS_WRITE: u32 = 0o002;

/// Its group may write to it.
const GROUP_WRITES: u32 = 0o020;

/// In such a folder only the owner of a name may replace it.
const STICKY: u32 = 0o1000;

/// Who else may change this. `is_above`: it is a folder that what matters lies in,
/// where only replacing names does harm.
pub fn stranger(me: Account, it: Rights, is_above: bool) -> Option<Stranger> {
    let is_kept = is_above && it.mode & STICKY != 0;
    if it.owner != me.id && it.owner != 0 {
        return Some(Stranger::Owner(it.owner));
    }
    if it.mode & OTHERS_WRITE != 0 && !is_kept {
        return Some(Stranger::Everybody);
    }
    // Many systems give every account a group of its own.
    let is_foreign = it.group != 0 && it.group != me.group;
    (it.mode & GROUP_WRITES != 0 && is_foreign && !is_kept).then_some(Stranger::Group(it.group))
}

impl Stranger {
    /// As a clause after the place's name.
    pub fn text(self) -> String {
        match self {
            Self::Owner(id) => format!("belongs to another account (number {id})"),
            Self::Group(id) => format!("may be written to by another group (number {id})"),
            Self::Everybody => "may be written to by every account".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_account_are_trusted_and_nobody_else() {
        let (root, backup) = (0, 990);
        let of = |id| Account { id, group: id };
        let it = |owner, group, mode| Rights { owner, group, mode };
        for (me, rights, above, want) in [
            (root, it(0, 0, 0o700), false, None),
            (root, it(0, 0, 0o775), false, None),
            (root, it(990, 990, 0o700), false, Some(Stranger::Owner(990))),
            (root, it(990, 990, 0o700), true, Some(Stranger::Owner(990))),
            (root, it(0, 50, 0o775), false, Some(Stranger::Group(50))),
            (root, it(0, 0, 0o777), false, Some(Stranger::Everybody)),
            // /tmp: whoever owns a name in it keeps it.
            (root, it(0, 0, 0o1777), true, None),
            (root, it(0, 0, 0o1777), false, Some(Stranger::Everybody)),
            (backup, it(990, 990, 0o775), false, None),
            (backup, it(0, 0, 0o755), true, None),
            (
                backup,
                it(1000, 990, 0o770),
                false,
                Some(Stranger::Owner(1000)),
            ),
            (
                backup,
                it(990, 100, 0o775),
                false,
                Some(Stranger::Group(100)),
            ),
        ] {
            assert_eq!(
                stranger(of(me), rights, above),
                want,
                "{me} {rights:?} {above}"
            );
        }
    }
}
