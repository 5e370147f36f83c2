//! Whether two names differ by no more than a slip of the keyboard. Pure.

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
    let typed: Vec<char> = typed.chars().collect();
    let there: Vec<char> = there.chars().collect();
    let most = allowed(typed.len().min(there.len()));
    if most == 0 || typed.len().abs_diff(there.len()) > most {
        return None;
    }
    // The table's rows for the letter before the last one, the last one and this one.
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=there.len()).collect();
    for (row, letter) in typed.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, other) in there.iter().enumerate() {
            let changed = last[column] + usize::from(letter != other);
            let mut least = changed.min(last[column + 1] + 1).min(this[column] + 1);
            let is_exchanged =
                row > 0 && column > 0 && typed[row - 1] == *other && there[column - 1] == *letter;
            if is_exchanged {
                let both: &Vec<usize> = &before;
                least = least.min(both[column - 1] + 1);
            }
            this.push(least);
        }
        before = std::mem::replace(&mut last, this);
    }
    last.last().copied().filter(|slips| *slips <= most)
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
