//! Decides whether two names differ by no more than a typing slip. Pure.

/// By how many letters paths of the same number of names differ, where that may be
/// a slip; `None` for the same path and for others.
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

/// Slips that a name of so many letters may have: in a short one each letter counts.
const fn allowed(letters: usize) -> usize {
    match letters {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Letters that are left out, too many, others, or exchanged with their neighbour.
fn slips(typed: &str, there: &str) -> Option<usize> {
    let (letters, others) = (typed.chars().count(), there.chars().count());
    let most = allowed(letters.min(others));
    // Without counting: most names there are of quite another length.
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
