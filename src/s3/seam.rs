//! Joins the pages of a list.
//!
//! The server's marker for the next page is not believed: some give it encoded and some do
//! not ([`Differs::MarkerNotEncoded`]), and a key with `%FF` or `+` then begins the next
//! page too early or too late. So the next page is asked for by the items that came, a few
//! before the last one. Invariant: a page is joined at an item that came before and comes
//! again. If none comes again, either all of them are gone by now, or the server leaves
//! something out between its pages; the caller asks which.
//!
//! [`Differs::MarkerNotEncoded`]: super::differences::Differs::MarkerNotEncoded

/// Items that come again with the next page: more than one, so that a deletion meanwhile
/// breaks no seam; few, since each is sent twice.
const OVERLAP_ITEMS: usize = 8;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Next {
    /// What the server is asked to begin behind.
    after: Spot,
    /// The items that came behind that: the next page begins with them. Empty
    /// where nothing can prove the seam.
    again: Vec<Spot>,
    /// The server's own token, for one that does not take a key.
    token: Option<String>,
}

/// One item's place in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) key: String,
    /// Empty in lists of objects, and for a whole key.
    pub(super) version_id: String,
}

/// What a server says about whether more follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
    /// The page is full, and the server says nothing or "no": only a next page without news
    /// shows that it was the last.
    Perhaps,
}

/// A page as it came, in the server's order.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) spots: &'a [Spot],
    pub(super) more: More,
    /// Lists of objects: the server's token.
    pub(super) token: Option<String>,
    /// Lists of versions: the keys that the server's marker may stand for, and
    /// its version.
    pub(super) marker: Option<Marker>,
}

/// The server's own word on where the next page begins.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    /// As it came, and decoded.
    pub(super) keys: [String; 2],
    pub(super) version_id: String,
}

/// How a page goes on from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seam {
    /// Items before this one have come already.
    pub(super) new_from: usize,
    /// Nothing can be missing in between.
    pub(super) is_proved: bool,
}

impl Next {
    /// Behind a key that need not be there.
    pub fn after_key(key: &str) -> Self {
        Self {
            after: Spot::of_key(key),
            again: Vec::new(),
            token: None,
        }
    }

    /// No page has come before it.
    pub(super) fn is_begin(&self) -> bool {
        self.again.is_empty() && self.token.is_none() && self.after.version_id.is_empty()
    }

    /// Behind a version that came.
    #[cfg(test)]
    pub(super) fn midst() -> Self {
        let came = ["1", "2"].map(|id| Spot {
            key: "a".to_owned(),
            version_id: id.to_owned(),
        });
        Self {
            after: came[0].clone(),
            again: came[1..].to_vec(),
            token: None,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.after.key
    }

    pub(super) fn version_id(&self) -> Option<&str> {
        Some(self.after.version_id.as_str()).filter(|id| !id.is_empty())
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// What has come and must come again, the last one first.
    pub(super) fn again(&self) -> impl Iterator<Item = &Spot> {
        self.again.iter().rev()
    }

    /// Behind the last of these items, with some that must come again.
    fn behind(spots: &[Spot], by_keys: bool) -> Option<Self> {
        let last = spots.len().checked_sub(1)?;
        let key_ends = (0..last).rev().find(|n| spots[*n].key != spots[n + 1].key);
        let (after, from) = match key_ends.filter(|_| by_keys) {
            Some(end) => (Spot::of_key(&spots[end].key), end + 1),
            None => {
                let end = last - OVERLAP_ITEMS.min(spots.len() / 2);
                (spots[end].clone(), end + 1)
            }
        };
        let again = &spots[from..];
        let again = &again[again.len().saturating_sub(OVERLAP_ITEMS)..];
        Some(Self {
            after,
            again: again.to_vec(),
            token: None,
        })
    }
}

impl Spot {
    pub(super) fn of_key(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            version_id: String::new(),
        }
    }

    fn is_of(&self, other: &Self) -> bool {
        self.key == other.key
            && (other.version_id.is_empty() || self.version_id == other.version_id)
    }
}

/// How the page goes on from where it was asked to begin. An empty one that others
/// follow leaves that to them.
pub(super) fn seam(after: Option<&Next>, given: &Given<'_>) -> Seam {
    let spots = given.spots;
    let Some(next) = after else {
        return Seam {
            new_from: 0,
            is_proved: true,
        };
    };
    let again = spots.iter().rposition(|spot| next.again.contains(spot));
    let known = again.or_else(|| spots.iter().rposition(|spot| spot.is_of(&next.after)));
    Seam {
        new_from: known.map_or(0, |place| place + 1),
        is_proved: next.again.is_empty()
            || again.is_some()
            || (spots.is_empty() && given.more == More::Yes),
    }
}

/// Where the list goes on behind this page; `None` at its end.
///
/// # Errors
/// What is wrong with the list, when it cannot go on.
pub(super) fn next(
    after: Option<&Next>,
    given: Given<'_>,
    new_from: usize,
) -> Result<Option<Next>, &'static str> {
    let brings_new = new_from < given.spots.len();
    match given.more {
        More::No => return Ok(None),
        More::Perhaps if !brings_new => return Ok(None),
        More::Perhaps | More::Yes => {}
    }
    const AGAIN: &str = "it gives the same pages again and again";
    let Some(last) = given.spots.last() else {
        let next = behind_nothing(after, given)?;
        return match after == Some(&next) {
            true => Err(AGAIN),
            false => Ok(Some(next)),
        };
    };
    let by_token = |token| Next {
        after: last.clone(),
        again: Vec::new(),
        token: Some(token),
    };
    let went_by_token = after.is_some_and(|next| next.token.is_some());
    if brings_new {
        if went_by_token && let Some(token) = given.token {
            return Ok(Some(by_token(token)));
        }
        let by_keys = given.marker.is_some_and(|m| m.version_id.is_empty());
        return Ok(Next::behind(given.spots, by_keys));
    }
    // It does not take a key, or its pages are no longer than what comes again.
    match (given.token, after) {
        (Some(token), Some(_)) if !went_by_token => Ok(Some(by_token(token))),
        (_, Some(next)) if !next.again.is_empty() => Ok(Some(Next {
            after: last.clone(),
            again: Vec::new(),
            token: None,
        })),
        _ => Err(AGAIN),
    }
}

/// A page without items says by its marker alone where the next begins. Where
/// the marker can be read in two ways the earlier one leaves nothing out, as
/// long as it lies further on.
fn behind_nothing(after: Option<&Next>, given: Given<'_>) -> Result<Next, &'static str> {
    const NOWHERE: &str = "it says that more follows, and not where";
    let here = after.map_or("", Next::key);
    // What had to come again still has to.
    let again = after.map_or_else(Vec::new, |next| next.again.clone());
    if let Some(token) = given.token {
        return Ok(Next {
            after: Spot::of_key(here),
            again,
            token: Some(token),
        });
    }
    let marker = given.marker.ok_or(NOWHERE)?;
    let keys = marker.keys.into_iter().filter(|key| key.as_str() >= here);
    let key = keys.min().filter(|key| !key.is_empty()).ok_or(NOWHERE)?;
    Ok(Next {
        after: Spot {
            key,
            version_id: marker.version_id,
        },
        again,
        token: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(names: &[&str]) -> Vec<Spot> {
        let spot = |name: &&str| {
            let (key, version_id) = name.split_once('@').unwrap_or((name, ""));
            Spot {
                key: key.to_owned(),
                version_id: version_id.to_owned(),
            }
        };
        names.iter().map(spot).collect()
    }

    fn given(spots: &[Spot], more: More) -> Given<'_> {
        Given {
            spots,
            more,
            token: None,
            marker: None,
        }
    }

    fn numbered(range: std::ops::Range<u32>) -> Vec<Spot> {
        range.map(|n| Spot::of_key(&format!("{n:04}"))).collect()
    }

    #[test]
    fn the_next_page_is_asked_for_before_the_end_of_this_one() {
        for (items, begins_after, comes_again) in
            [(1, 0, 0), (2, 0, 1), (3, 1, 1), (10, 4, 5), (1000, 991, 8)]
        {
            let page = numbered(0..items);
            let next = next(None, given(&page, More::Yes), 0).unwrap().unwrap();
            assert_eq!(next.after, page[begins_after], "{items}");
            assert_eq!(next.again.len(), comes_again, "{items}");
            assert_eq!(next.again().next(), page.last().filter(|_| comes_again > 0));
        }
    }

    #[test]
    fn what_comes_again_is_left_out_and_proves_the_seam() {
        let first = numbered(0..100);
        let at = next(None, given(&first, More::Yes), 0).unwrap().unwrap();
        let with = |spots: &[Spot]| {
            let seam = seam(Some(&at), &given(spots, More::No));
            (seam.new_from, seam.is_proved)
        };
        assert_eq!(with(&numbered(92..200)), (8, true), "as asked");
        assert_eq!(with(&numbered(91..200)), (9, true), "markers inclusive");
        assert_eq!(with(&numbered(0..200)), (100, true), "from the beginning");
        assert_eq!(with(&numbered(50..100)), (50, true), "nothing new");
        assert_eq!(with(&numbered(100..200)), (0, false), "begins too late");
        assert_eq!(with(&numbered(150..200)), (0, false), "leaves out");
        assert_eq!(with(&[]), (0, false), "ends too soon");
        assert!(seam(Some(&at), &given(&[], More::Yes)).is_proved, "not yet");
        let mut some_gone = numbered(92..200);
        some_gone.drain(4..8);
        assert_eq!(with(&some_gone), (4, true), "some were deleted");
        let inclusive_alone = spots(&["0091", "0150"]);
        assert_eq!(with(&inclusive_alone), (1, false));
    }

    #[test]
    fn versions_of_one_key_are_told_apart() {
        let page = spots(&["a@3", "a@2", "a@1", "b@9", "b@8", "b@7"]);
        let marked = |version_id: &str| Given {
            marker: Some(Marker {
                keys: ["b".into(), "b".into()],
                version_id: version_id.into(),
            }),
            ..given(&page, More::Yes)
        };
        let at = next(None, marked("7"), 0).unwrap().unwrap();
        assert_eq!((at.key(), at.version_id()), ("a", Some("1")));
        let more = spots(&["b@9", "b@8", "b@7", "b@6"]);
        assert_eq!(seam(Some(&at), &given(&more, More::No)).new_from, 3);
        // A server that knows no versions as markers is asked by keys.
        let at = next(None, marked(""), 0).unwrap().unwrap();
        assert_eq!((at.key(), at.version_id()), ("a", None));
        assert_eq!(at.again.len(), 3);
        let one = spots(&["b@9", "b@8"]);
        let by_keys = Given {
            spots: &one,
            ..marked("")
        };
        let at = next(None, by_keys, 0).unwrap().unwrap();
        assert_eq!((at.key(), at.version_id()), ("b", Some("9")));
    }

    #[test]
    fn pages_that_bring_nothing_new_end_one_way_or_the_other() {
        let page = numbered(0..100);
        let at = next(None, given(&page, More::Yes), 0).unwrap().unwrap();
        // A full page is the last when the next brings nothing.
        assert_eq!(next(Some(&at), given(&page, More::Perhaps), 100), Ok(None));
        assert_eq!(next(Some(&at), given(&page, More::No), 0), Ok(None));
        // Once more without items that come again; then it is given up.
        let alone = next(Some(&at), given(&page, More::Yes), 100);
        let alone = alone.unwrap().unwrap();
        assert_eq!((&alone.after, alone.again.len()), (&page[99], 0));
        assert!(next(Some(&alone), given(&page, More::Yes), 100).is_err());
        // By the server's token, and no further than that.
        let token = || Given {
            token: Some("t".into()),
            ..given(&page, More::Yes)
        };
        let by_token = next(Some(&at), token(), 100).unwrap().unwrap();
        assert_eq!(by_token.token(), Some("t"));
        let on = next(Some(&by_token), token(), 0).unwrap().unwrap();
        assert_eq!(on.token(), Some("t"), "it goes on by tokens");
        assert!(next(Some(&by_token), token(), 100).is_err());
    }

    #[test]
    fn an_empty_page_goes_on_by_the_earlier_reading_of_its_marker() {
        let marker = |raw: &str, decoded: &str| Given {
            marker: Some(Marker {
                keys: [raw.into(), decoded.into()],
                version_id: "v".into(),
            }),
            ..given(&[], More::Yes)
        };
        let here = Next::after_key("k");
        let at = |raw, decoded| next(Some(&here), marker(raw, decoded), 0);
        let key = |at: Result<Option<Next>, _>| at.unwrap().unwrap().after.key;
        assert_eq!(key(at("m%41", "mA")), "m%41");
        assert_eq!(key(at("a+", "n ")), "n ");
        assert!(at("a", "b").is_err() && next(None, marker("", ""), 0).is_err());
        assert!(next(None, given(&[], More::Yes), 0).is_err());
        let token = Given {
            token: Some("t".into()),
            ..given(&[], More::Yes)
        };
        let by_token = next(Some(&here), token, 0).unwrap().unwrap();
        assert_eq!((by_token.key(), by_token.token()), ("k", Some("t")));
        let token = Given {
            token: Some("t".into()),
            ..given(&[], More::Yes)
        };
        assert!(next(Some(&by_token), token, 0).is_err(), "the same again");
    }
}
