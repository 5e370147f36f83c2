//! Whether a run's keys may read anything at all, when objects are denied to them. Pure.
//!
//! Some single objects may be locked away; if all are, it is the keys, and the run ends with
//! that. The answer is the same in whatever order the jobs end, but for those that are under
//! way when the last of the first ones ends: if one of them may be read, the run goes on.

use crate::types::Fault;
use std::collections::BTreeMap;

/// What the end of one job says about the keys.
#[derive(Debug)]
pub(super) enum Access {
    /// They may read the object, whatever else came of it.
    Granted,
    /// They may not.
    Denied(Fault),
    /// Nothing: the server or this disk failed.
    Unknown,
}

/// The jobs that were begun first, this many, decide: if all of them are denied, nobody waits
/// for a million others. Asking for a thousand takes seconds, and a folder that is locked away
/// and comes first in the list, with fewer files than that, does not keep the others from
/// coming back.
pub(super) const FIRST_JOBS: u64 = 1_000;

/// What is known of the keys so far.
#[derive(Debug)]
pub(super) struct Trial {
    /// How many jobs decide: [`FIRST_JOBS`], fewer in tests.
    first: u64,
    /// How many of them were denied.
    first_denied: u64,
    /// Denials that are not noted yet, by the number of the job: the keys may be to blame,
    /// and then one failure says it. At most `first`.
    held: BTreeMap<u64, Fault>,
    /// The denial of the job with the lowest number.
    earliest: Option<(u64, Fault)>,
    is_granted: bool,
    is_over: bool,
}

impl Trial {
    pub(super) fn of(first: u64) -> Self {
        Self {
            first,
            first_denied: 0,
            held: BTreeMap::new(),
            earliest: None,
            is_granted: false,
            is_over: false,
        }
    }

    /// The job that was begun as the `number`th, from 0 on, has ended. Gives the denials to
    /// note now.
    pub(super) fn ended(&mut self, number: u64, access: Access) -> Vec<Fault> {
        match access {
            Access::Granted => {
                self.is_granted = true;
                return self.released();
            }
            Access::Unknown => {}
            Access::Denied(fault) => {
                let is_first = number < self.first && !self.is_over;
                self.first_denied += u64::from(is_first);
                if self.earliest.as_ref().is_none_or(|(at, _)| number < *at) {
                    self.earliest = Some((number, fault.clone()));
                }
                if !is_first || self.is_granted {
                    return vec![fault];
                }
                self.held.insert(number, fault);
            }
        }
        Vec::new()
    }

    /// The failure that ends the run at once: all of the first jobs were denied, and nothing
    /// has been read.
    pub(super) fn denied_first(&self) -> Option<&Fault> {
        let is_so = self.first_denied == self.first && !self.is_granted && !self.is_over;
        self.earliest.as_ref().filter(|_| is_so).map(|(_, it)| it)
    }

    /// No more jobs come: the failure that all of it was, or the denials to note.
    pub(super) fn over(&mut self) -> Result<Vec<Fault>, Fault> {
        self.is_over = true;
        match &self.earliest {
            Some((_, fault)) if !self.is_granted => {
                // This one says it for all of them.
                self.held.clear();
                Err(fault.clone())
            }
            _ => Ok(self.released()),
        }
    }

    /// The denials that were held, in the order of their jobs.
    pub(super) fn released(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.held).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Class;

    /// How one job ends: `g`ranted, `d`enied, `u`nknown.
    fn access(end: u8, number: usize) -> Access {
        match end {
            b'g' => Access::Granted,
            b'd' => Access::Denied(Fault::new(
                Class::Denied,
                "download",
                format!("{number}"),
                "no",
            )),
            _ => Access::Unknown,
        }
    }

    /// The whole of a run whose jobs end in this order: the subject of the failure that it
    /// ends with, or what is noted.
    fn run(first: u64, ends: &[u8], order: &[usize]) -> Result<Vec<String>, String> {
        let mut trial = Trial::of(first);
        let mut noted = Vec::new();
        for number in order {
            noted.extend(trial.ended(*number as u64, access(ends[*number], *number)));
            assert!(trial.held.len() as u64 <= first);
            if let Some(fault) = trial.denied_first() {
                return Err(fault.subject.clone());
            }
        }
        noted.extend(trial.over().map_err(|fault| fault.subject)?);
        let mut noted: Vec<String> = noted.into_iter().map(|fault| fault.subject).collect();
        noted.sort();
        Ok(noted)
    }

    /// Every order of so many jobs.
    fn orders(jobs: usize) -> Vec<Vec<usize>> {
        (0..jobs).fold(vec![Vec::new()], |orders, job| {
            let with = |order: &Vec<usize>| -> Vec<Vec<usize>> {
                let places = 0..=order.len();
                let insert = |at| {
                    let mut order = order.clone();
                    order.insert(at, job);
                    order
                };
                places.map(insert).collect()
            };
            orders.iter().flat_map(with).collect()
        })
    }

    /// Named after the bug: the same run ended with 1 or with 3, by which of two answers came
    /// first.
    #[test]
    fn what_denials_mean_does_not_depend_on_which_job_ends_first() {
        for (first, ends, want) in [
            (3, "dg", Ok(vec!["0"])),
            (3, "gd", Ok(vec!["1"])),
            (3, "dd", Err("0")),
            (3, "du", Err("0")),
            (3, "ud", Err("1")),
            (3, "uu", Ok(vec![])),
            (3, "gg", Ok(vec![])),
            (3, "ddgdd", Ok(vec!["0", "1", "3", "4"])),
            (3, "ddudd", Err("0")),
            (3, "ddudg", Ok(vec!["0", "1", "3"])),
            (3, "", Ok(vec![])),
        ] {
            let want = want
                .map(|noted| noted.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            for order in orders(ends.len()) {
                assert_eq!(
                    run(first, ends.as_bytes(), &order),
                    want,
                    "{ends} {order:?}"
                );
            }
        }
    }

    #[test]
    fn an_object_that_may_be_read_keeps_the_run_going_though_all_before_it_were_denied() {
        let late = run(3, b"dddgd", &[0, 1, 2, 3, 4]);
        assert_eq!(late, Err("0".to_owned()));
        let in_time = run(3, b"dddgd", &[0, 3, 1, 2, 4]).unwrap();
        assert_eq!(in_time, ["0", "1", "2", "4"]);
    }
}
