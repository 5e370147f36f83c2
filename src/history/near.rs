//! Decides whether two names differ by no more than a typing slip. Pure.

/// By how many letters two paths with the same number of names differ, where that may be
/// a slip; `None` for equal paths and for others.
pub(crate) fn near(typed: &[&str], there: &[&str]) -> Option<usize> {
    if typed.len() != there.len() {
        return None;
    }
    let mut sum = 0;
    for (typed, there) in typed.iter().zip(there) {
        if typed != there {
            sum += slips(typed, there)?;
        }
    }
    (sum > 0).then_some(sum)
}

/// Slips allowed in a name of so many letters: in a short one each letter counts.
const fn allowed(letters: usize) -> usize {
    match letters {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Letters that are missing, added, wrong, or swapped with their neighbour.
fn slips(typed: &str, there: &str) -> Option<usize> {
    let (letters, others) = (typed.chars().count(), there.chars().count());
    let most = allowed(letters.min(others));
    // Most names have quite another length and need no counting.
    if most == 0 || letters.abs_diff(others) > most {
        return None;
    }
    Some(strsim::osa_distance(typed, there)).filter(|slips| *slips <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_slip() {
        for (typed, there, want) in [
            ("breif.txt", "brief.txt", Some(1)),
            ("brief.tx", "brief.txt", Some(1)),
            ("custmers", "customers", Some(1)),
            ("kudnen", "kunden", Some(1)),
            ("rechnnug.odt", "rechnung.odf", Some(2)),
            ("a.md", "b.md", Some(1)),
            ("abc", "abd", None),
            ("kunden", "knuned", None),
            ("offer.docx", "letter.docx", None),
            ("same", "same", None),
        ] {
            assert_eq!(near(&[typed], &[there]), want, "{typed} {there}");
            assert_eq!(near(&["x", typed], &["x", there]), want, "{typed} {there}");
        }
        assert_eq!(near(&["a", "b"], &["b"]), None);
    }
}
