//! A page of head, sections and lists that fits into a number of bytes.
//!
//! Only lists and, when there are thousands, sections are cut, always between
//! lines and always saying how many are left out. The head always survives.

use crate::types::number;

/// Bytes kept for the line that says how many are left out.
const MORE_BYTES_MAX: usize = 96;

/// A whole text.
pub(crate) struct Page {
    /// Always shown whole; the caller keeps it short.
    pub head: Vec<String>,
    /// Shown in order.
    pub sections: Vec<Section>,
    /// What a section is called when some are left out.
    pub section_noun: &'static str,
}

/// Figures and lists about one thing.
pub(crate) struct Section {
    /// Shown whole, or the section not at all.
    pub lines: Vec<String>,
    /// Shown after the lines, as far as there is room.
    pub lists: Vec<List>,
}

/// A title and lines of which some may be missing.
pub(crate) struct List {
    /// Says how many there are.
    pub title: String,
    /// What is known of them, the important ones first.
    pub lines: Vec<String>,
    /// How many there are; more than `lines` when the caller kept a few only.
    pub total: u64,
}

impl List {
    fn fixed_bytes(&self) -> usize {
        line_bytes(&self.title) + MORE_BYTES_MAX
    }

    fn lines_bytes(&self) -> usize {
        self.lines.iter().map(|line| line_bytes(line)).sum()
    }

    fn render(&self, room: usize, out: &mut String) {
        push(out, &self.title);
        let end = out.len().saturating_add(room);
        let mut shown = 0;
        for line in &self.lines {
            if out.len() + line_bytes(line) > end {
                break;
            }
            push(out, line);
            shown += 1;
        }
        let left = self.total.max(self.lines.len() as u64) - shown;
        if left > 0 {
            push(out, &format!("    ... and {} more", number(left)));
        }
    }
}

impl Section {
    fn fixed_bytes(&self) -> usize {
        let lines: usize = self.lines.iter().map(|line| line_bytes(line)).sum();
        let lists: usize = self.lists.iter().map(List::fixed_bytes).sum();
        lines + lists
    }
}

impl Page {
    /// The text, at most `bytes_max` long as long as the head is.
    pub(crate) fn render(&self, bytes_max: usize) -> String {
        let mut out = String::new();
        for line in &self.head {
            push(&mut out, line);
        }
        let room = bytes_max.saturating_sub(out.len() + MORE_BYTES_MAX);
        let (shown, fixed) = self.sections_within(room);
        let lists: Vec<&List> = shown.iter().flat_map(|section| &section.lists).collect();
        let mut rooms = share(&lists, room - fixed).into_iter();
        for section in shown {
            for line in &section.lines {
                push(&mut out, line);
            }
            for list in &section.lists {
                list.render(rooms.next().unwrap_or(0), &mut out);
            }
        }
        let left = self.sections.len() - shown.len();
        if left > 0 {
            let left = number(left as u64);
            push(&mut out, "");
            push(
                &mut out,
                &format!(
                    "... and {left} more {}; the figures at the top count them",
                    self.section_noun
                ),
            );
        }
        out
    }

    /// The first sections that fit, and the bytes of their fixed lines. Unless
    /// all fit, half of the room is left to their lists.
    fn sections_within(&self, room: usize) -> (&[Section], usize) {
        let all: usize = self.sections.iter().map(Section::fixed_bytes).sum();
        if all <= room {
            return (&self.sections, all);
        }
        let mut fixed = 0;
        let mut shown = 0;
        for section in &self.sections {
            let next = fixed + section.fixed_bytes();
            if next > room / 2 {
                break;
            }
            fixed = next;
            shown += 1;
        }
        (&self.sections[..shown], fixed)
    }
}

/// Bytes for the lines of each list: short lists whole, the long ones alike.
fn share(lists: &[&List], mut room: usize) -> Vec<usize> {
    let mut by_size: Vec<usize> = (0..lists.len()).collect();
    by_size.sort_by_key(|at| lists[*at].lines_bytes());
    let mut shares = vec![0; lists.len()];
    for (done, at) in by_size.into_iter().enumerate() {
        let fair = room / (lists.len() - done);
        shares[at] = lists[at].lines_bytes().min(fair);
        room -= shares[at];
    }
    shares
}

fn line_bytes(line: &str) -> usize {
    line.len() + 1
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
