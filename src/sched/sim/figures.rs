//! What a run of a workload measures, by the names under which the harness on the real link reports the same.

use crate::sched::sim::LinkProfile;
use crate::sched::sim::player::Seek;
use crate::sched::sim::table::POLICIES;
use crate::sched::sim::workload::{Outcome, Workload};
use crate::time::Micros;

/// Seeds of the openings of one run are so far apart from those of the next.
const OPENINGS: u64 = 16;

/// What one simulated run measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Seeks, by which bytes and requests are to be divided; openings where there is no seek.
    pub seeks: u64,
    /// Times in milliseconds, by the name of their series.
    pub series: Vec<(&'static str, Vec<f64>)>,
    /// Single figures, with their unit in the name.
    pub values: Vec<(&'static str, f64)>,
    /// Bytes over the link towards the player, headers included.
    pub bytes: u64,
    /// The part of them that came and was stored already.
    pub twice: u64,
    /// Requests made.
    pub requests: u64,
    /// Connections made.
    pub connections: u64,
}

/// Names of the links, the workloads and the policies, the shipped scheduler first.
#[must_use]
pub fn names() -> [Vec<&'static str>; 3] {
    [
        LinkProfile::ALL.iter().map(|link| link.name).collect(),
        Workload::ALL.iter().map(|workload| workload.name()).collect(),
        POLICIES.iter().map(|(name, _)| *name).collect(),
    ]
}

/// Simulates a run; `None` if there is no such link, workload or policy, or the policy serves one resource only.
#[must_use]
pub fn figures(link: &str, workload: &str, policy: &str, run: u64) -> Option<Figures> {
    let profile = LinkProfile::ALL.into_iter().find(|one| one.name == link)?;
    let workload = Workload::ALL.into_iter().find(|one| one.name() == workload)?;
    let nth = POLICIES.iter().position(|(name, _)| *name == policy)?;
    if nth > 0 && workload.is_of_two() {
        return None;
    }
    let once = |seed| POLICIES[nth].1(workload, profile, seed);
    let outcomes: Vec<Outcome> = match workload.times() {
        1 => vec![once(run)],
        times => (0..times).map(|opening| once(run * OPENINGS + opening)).collect(),
    };
    Some(told(workload, &outcomes))
}

fn told(workload: Workload, outcomes: &[Outcome]) -> Figures {
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum();
    let mut figures = Figures {
        bytes: sum(|one| one.bytes),
        twice: sum(|one| one.twice),
        requests: sum(|one| one.requests as u64),
        connections: sum(|one| one.connections),
        ..Figures::default()
    };
    let all = |time: fn(&Outcome) -> Micros| outcomes.iter().map(|one| ms(time(one))).collect();
    let seeks = outcomes.first().map_or(&[][..], |one| &one.seeks);
    figures.seeks = if workload.times() > 1 { outcomes.len() } else { seeks.len() } as u64;
    let firsts = |seeks: &[Seek]| seeks.iter().map(|seek| ms(seek.first)).collect();
    let wholes = |seeks: &[Seek]| seeks.iter().map(|seek| ms(seek.all)).collect();
    figures.series = match workload {
        Workload::Open => {
            vec![("first byte", all(|one| one.open)), ("64 KiB", all(|one| one.opened))]
        }
        Workload::Tail => {
            let at = |one: &Outcome, n: usize| one.seeks.get(n).map_or(Micros(0), |seek| seek.all);
            let whole = |one: &Outcome| ms(one.opened + at(one, 0) + at(one, 1));
            vec![
                ("all of it", outcomes.iter().map(whole).collect()),
                ("tail", outcomes.iter().map(|one| ms(at(one, 0))).collect()),
                ("head", outcomes.iter().map(|one| ms(at(one, 1))).collect()),
            ]
        }
        Workload::Skip => {
            let (forth, back) = seeks.split_at(seeks.len() / 2);
            vec![("forth", firsts(forth)), ("back", firsts(back))]
        }
        Workload::Drag | Workload::DragFaster | Workload::DragBack | Workload::DragRandom => {
            let (drag, last) = seeks.split_at(seeks.len().saturating_sub(1));
            let last = [("last seek", firsts(last)), ("last seek, 64 KiB", wholes(last))];
            [("first byte", firsts(drag))].into_iter().chain(last).collect()
        }
        _ => vec![("first byte", firsts(seeks)), ("64 KiB", wholes(seeks))],
    };
    if matches!(workload, Workload::Busy | Workload::Two | Workload::Alone) {
        let stalls = outcomes.iter().flat_map(|one| &one.stalls).map(|(_, time)| ms(*time));
        let stalls: Vec<f64> = stalls.collect();
        figures.values = vec![
            ("stalls", stalls.len() as f64),
            ("longest stall, ms", stalls.iter().copied().fold(0.0, f64::max)),
            ("stalled in all, ms", stalls.iter().sum()),
        ];
    }
    figures
}

fn ms(time: Micros) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_the_series_of_the_harness() {
        let of = |workload| figures("A", workload, "naive", 1).expect("there is such a cell");
        let open = of("open");
        assert_eq!(open.seeks, 8);
        let names: Vec<&str> = open.series.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["first byte", "64 KiB"]);
        assert!(open.series.iter().all(|(_, ms)| ms.len() == 8));
        let drag = of("drag-random");
        let counts: Vec<usize> = drag.series.iter().map(|(_, ms)| ms.len()).collect();
        assert_eq!((drag.seeks, counts), (60, vec![59, 1, 1]));
        let tail = of("tail");
        let sums = tail.series[0].1.iter().zip(&tail.series[1].1).zip(&tail.series[2].1);
        assert!(
            tail.seeks == 3 && sums.into_iter().all(|((all, tail), head)| all > &(tail + head))
        );
    }

    #[test]
    fn what_there_is_not_has_no_figures() {
        assert_eq!(figures("E", "far", "naive", 1), None);
        assert_eq!(figures("A", "near", "naive", 1), None);
        assert_eq!(figures("A", "far", "nobody", 1), None);
        assert_eq!(figures("A", "two", "naive", 1), None);
    }
}
