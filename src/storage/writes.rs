//! Writes on their way: what must not become coverage although its write succeeds.
//!
//! The bytes are written outside the lock. While that goes on, coverage may shrink or a new
//! generation may begin; were the write then taken for coverage, a reader would be served the hole
//! that was cut meanwhile, or bytes of the old generation. So every write and every cut has an
//! entry here from its start to its end, and:
//!
//! 1. what is withdrawn while a write is on its way does not become coverage by it;
//! 2. what is written while a cut is on its way does not become coverage where the two overlap;
//! 3. a write of a newer generation does not begin over one of an older, whose bytes might
//!    otherwise land last.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;

use super::coverage::Coverage;

/// The name of an entry, given at its start and handed back at its end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(crate) struct Ticket(u64);

/// All writes and cuts on their way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Number of the next ticket.
    next: u64,
    /// The entries.
    live: BTreeMap<Ticket, Entry>,
    /// How many writes wait for one of an older generation to end.
    pub(crate) queued: usize,
}

/// One write or cut on its way.
#[derive(Debug)]
struct Entry {
    /// Which bytes it touches.
    range: ByteRange,
    /// What it does to them.
    kind: Kind,
}

/// What an entry does to its bytes.
#[derive(Debug)]
enum Kind {
    /// They are being written.
    Write {
        /// The generation they belong to.
        generation: u64,
        /// Those of them that will not count.
        void: Coverage,
    },
    /// They are being given back to the disk.
    Cut,
}

impl Writes {
    /// A write of `range` begins.
    pub(crate) fn begin_write(&mut self, range: ByteRange, generation: u64) -> Ticket {
        let cuts = self.live.values().filter(|entry| matches!(entry.kind, Kind::Cut));
        let void = cuts.map(|cut| cut.range.intersect(range)).collect();
        self.enter(Entry { range, kind: Kind::Write { generation, void } })
    }

    /// A cut of `range` begins; [`Self::withdraw`] the range as well.
    pub(crate) fn begin_cut(&mut self, range: ByteRange) -> Ticket {
        self.enter(Entry { range, kind: Kind::Cut })
    }

    /// What is on its way into `range` will not count.
    pub(crate) fn withdraw(&mut self, range: ByteRange) {
        for entry in self.live.values_mut() {
            if let Kind::Write { void, .. } = &mut entry.kind {
                void.insert(entry.range.intersect(range));
            }
        }
    }

    /// Whether a write of an older generation than `generation` is on its way into `range`.
    pub(crate) fn has_older(&self, range: ByteRange, generation: u64) -> bool {
        self.live.values().any(|entry| match entry.kind {
            Kind::Write { generation: of, .. } => of < generation && entry.range.overlaps(range),
            Kind::Cut => false,
        })
    }

    /// A write or cut has ended; gives the parts that became coverage if it was a good write.
    pub(crate) fn end(&mut self, ticket: Ticket) -> Vec<ByteRange> {
        let ended = self.live.remove(&ticket);
        if self.live.is_empty() {
            // An emptied map keeps the room for eleven entries.
            self.live = BTreeMap::new();
        }
        match ended {
            Some(Entry { range, kind: Kind::Write { void, .. } }) => void.missing_in(range),
            Some(Entry { kind: Kind::Cut, .. }) | None => Vec::new(),
        }
    }

    fn enter(&mut self, entry: Entry) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.live.insert(ticket, entry);
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start, end)
    }

    #[test]
    fn s2_what_is_withdrawn_during_a_write_does_not_count() {
        let mut writes = Writes::default();
        let ticket = writes.begin_write(range(0, 100), 0);
        writes.withdraw(range(40, 60));
        writes.withdraw(range(90, 200));
        assert_eq!(writes.end(ticket), [range(0, 40), range(60, 90)]);
    }

    #[test]
    fn s2_what_is_written_during_a_cut_does_not_count() {
        let mut writes = Writes::default();
        let cut = writes.begin_cut(range(40, 60));
        let during = writes.begin_write(range(50, 70), 0);
        assert!(writes.end(cut).is_empty());
        let after = writes.begin_write(range(50, 70), 0);
        assert_eq!(writes.end(during), [range(60, 70)]);
        assert_eq!(writes.end(after), [range(50, 70)]);
    }

    #[test]
    fn n8_only_an_overlapping_write_of_an_older_generation_is_in_the_way() {
        let mut writes = Writes::default();
        let old = writes.begin_write(range(0, 10), 3);
        assert!(writes.has_older(range(9, 20), 4));
        assert!(!writes.has_older(range(10, 20), 4));
        assert!(!writes.has_older(range(0, 10), 3));
        writes.end(old);
        assert!(!writes.has_older(range(9, 20), 4));
    }
}
