//! Whether the origin still has the bytes that are stored, where no strong validator says so (N8).
//!
//! A weak validator, or none, lets another version of the same length go unnoticed. So before anything is added
//! to stored bytes, a few of those that lie nearest are asked for once more, beside the request for what is
//! missing, and compared. By a request of their own: the answer to the other one is then what it would be, and a
//! place in the middle of a hole has no stored neighbour that its own answer could begin with.

use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::engine::resource::Resource;
use crate::engine::shared::Shared;
use crate::engine::writer::Job;
use crate::ids::Lane;
use crate::net::fault::Seen;
use crate::net::{Answer, AnswerShape, Fault, Net, RangeRequest, Target};
use crate::storage::Look;
use crate::sync::{Arc, Ordering};

/// Most bytes compared: enough that two versions of anything compressed differ in them, little beside a request.
const MOST: u64 = 4096;

/// One comparison.
pub(crate) struct Compare<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) resource: &'a Arc<Resource>,
    pub(crate) net: &'a dyn Net,
    pub(crate) target: &'a Arc<Target>,
    pub(crate) lane: Lane,
}

impl Compare<'_> {
    /// Compares what is stored next to `near`. `request` is what is sent, but for its range. Cancel safe.
    ///
    /// # Errors
    ///
    /// `Changed` if the bytes differ, or if the origin does not have them; else why they could not be asked for.
    pub(crate) async fn run(&self, near: u64, request: RangeRequest) -> Result<(), Fault> {
        let Some((start, stored)) = self.stored(near).await else { return Ok(()) };
        let range = ByteRange::at(start, stored.len() as u64);
        let request = RangeRequest { range: Some(range), ..request };
        self.resource.counters.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match self.net.get_range(self.lane, self.target.clone(), request).await {
            Err(Fault::NotSatisfiable { total, validator }) => {
                let seen = Seen { total, validator, content_type: None };
                return Err(Fault::Changed(Box::new(seen)));
            }
            answer => answer?,
        };
        let (stored, start) = match answer.shape {
            AnswerShape::Part { .. } => (stored, start),
            // No ranges: what comes is the beginning, and whatever is stored elsewhere cannot be asked for.
            AnswerShape::Whole { .. } => (self.stored_at(0).await, 0),
        };
        self.hold_against(answer, start, &stored).await
    }

    /// Compares the body with what is stored at `start`, as far as it comes.
    async fn hold_against(
        &self,
        mut answer: Answer,
        start: u64,
        stored: &[u8],
    ) -> Result<(), Fault> {
        let counters = &self.resource.counters;
        if answer.connection != ConnectionUse::Reused {
            counters.connections.fetch_add(1, Ordering::Relaxed);
        }
        let mut at = match answer.shape {
            AnswerShape::Part { range, .. } => range.start,
            AnswerShape::Whole { .. } => 0,
        };
        let end = start + stored.len() as u64;
        let mut same = !stored.is_empty();
        while at < end
            && let Some(bytes) = answer.body.chunk().await?
        {
            let len = bytes.len() as u64;
            // They come a second time, and are not kept (P6).
            counters.bytes_fetched.fetch_add(len, Ordering::Relaxed);
            counters.bytes_wasted.fetch_add(len, Ordering::Relaxed);
            let both = ByteRange::at(at, len).intersect(ByteRange::new(start, end));
            same &= part(&bytes, at, both) == part(stored, start, both);
            at += len;
        }
        if same {
            return Ok(());
        }
        let Answer { shape, validator, content_type, .. } = answer;
        Err(Fault::Changed(Box::new(Seen { total: shape.total(), validator, content_type })))
    }

    /// The stored bytes that lie nearest to `near`, and where they begin; `None` if nothing is stored any more.
    async fn stored(&self, near: u64) -> Option<(u64, Vec<u8>)> {
        let (shared, resource) = (self.shared.clone(), self.resource.clone());
        let reading = move || {
            // Ends: what cannot be read is not covered the next time.
            while let Some(range) = nearest(&resource.bytes.covered(), near) {
                if let Some(bytes) = read(&shared, &resource, range) {
                    return Some((range.start, bytes));
                }
                if let Look::Failed(_) = resource.bytes.look(range.start) {
                    break;
                }
            }
            None
        };
        self.shared.own.spawn_blocking(reading).await.ok().flatten()
    }

    /// The bytes that are stored from `start` on.
    async fn stored_at(&self, start: u64) -> Vec<u8> {
        let (shared, resource) = (self.shared.clone(), self.resource.clone());
        let reading = move || read(&shared, &resource, ByteRange::at(start, MOST));
        self.shared.own.spawn_blocking(reading).await.ok().flatten().unwrap_or_default()
    }
}

/// Of `bytes`, which begin at `start`, those of `range`, which must be among them unless it is empty.
fn part(bytes: &[u8], start: u64, range: ByteRange) -> &[u8] {
    let index = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    bytes.get(index(range.start)..index(range.end)).unwrap_or_default()
}

/// Of what is `covered`, the end of what lies before `near`, else the beginning of what lies after it.
fn nearest(covered: &[ByteRange], near: u64) -> Option<ByteRange> {
    let before = covered.iter().rev().find(|range| range.start < near);
    let end = before.map(|range| range.end.min(near));
    match (before, end) {
        (Some(range), Some(end)) => {
            Some(ByteRange::new(end.saturating_sub(MOST).max(range.start), end))
        }
        _ => covered.first().map(|range| ByteRange::at(range.start, MOST).until(range.end)),
    }
}

/// What is stored of `range` from its start on. `None` if nothing is, or no longer; what the disk does not give
/// back is taken out, as if a reader had met it.
fn read(shared: &Shared, resource: &Arc<Resource>, range: ByteRange) -> Option<Vec<u8>> {
    let Look::Covered(mut run) = resource.bytes.look(range.start) else { return None };
    let part = run.range().intersect(range);
    let mut bytes = vec![0; usize::try_from(part.len()).ok()?];
    let read = resource.bytes.read_run(&mut run, part.start, &mut bytes);
    if run.take_opened() {
        let _ = shared.job(Job::Opened { resource: resource.id });
    }
    match read {
        Ok(read) => read.map(|_| bytes),
        Err(error) => {
            resource.bytes.shrink(part);
            let _ = shared.job(Job::Unreadable { resource: resource.clone(), range: part, error });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n8_what_lies_nearest_is_compared() {
        let covered = [ByteRange::new(100, 10_000), ByteRange::new(20_000, 20_010)];
        let at = |near| nearest(&covered, near).map(|range| (range.start, range.end));
        assert_eq!(at(0), Some((100, 4196)), "nothing lies before");
        assert_eq!(at(100), Some((100, 4196)));
        assert_eq!(at(10_000), Some((5904, 10_000)));
        assert_eq!(at(15_000), Some((5904, 10_000)));
        assert_eq!(at(30_000), Some((20_000, 20_010)), "no more than there is");
        assert_eq!(at(200), Some((100, 200)));
        assert_eq!(nearest(&[], 5), None);
    }

    #[test]
    fn n8_only_bytes_of_the_same_place_are_compared() {
        let bytes = [1, 2, 3, 4];
        assert_eq!(part(&bytes, 10, ByteRange::new(11, 13)), [2, 3]);
        assert!(part(&bytes, 10, ByteRange::new(5, 5)).is_empty());
        assert_eq!(part(&bytes, 10, ByteRange::new(10, 14)), bytes);
    }
}
