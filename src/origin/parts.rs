//! The order of sending a body: which bytes, and the script's steps at their exact offsets between
//! them. Nothing is sent here.

use super::answer::{Answer, Step};

/// What comes next of a body.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// Something to do first.
    Step(&'a Step),
    /// Bytes to send.
    Bytes(&'a [u8]),
}

/// A body on its way.
pub(super) struct Parts<'a> {
    /// What is sent.
    answer: &'a Answer,
    /// Largest run of bytes at once goes in here.
    buf: Vec<u8>,
    /// Index of the piece that is sent.
    piece: usize,
    /// Bytes of that piece that were sent.
    at: u64,
    /// Bytes of all pieces that were sent.
    sent: u64,
    /// Steps of `in_body` that were done.
    steps: usize,
    /// The step in front of the portion that begins at `sent` was done.
    dripped: bool,
}

impl<'a> Parts<'a> {
    /// The body of `answer` in runs of at most `run` bytes.
    pub(super) fn new(answer: &'a Answer, run: usize) -> Self {
        let buf = vec![0; run];
        Self { answer, buf, piece: 0, at: 0, sent: 0, steps: 0, dripped: false }
    }

    /// Bytes that were given out.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Part<'_>> {
        let answer = self.answer;
        if let Some((offset, step)) = answer.in_body.get(self.steps)
            && *offset <= self.sent
        {
            self.steps += 1;
            return Some(Part::Step(step));
        }
        let piece = loop {
            let piece = answer.body.get(self.piece)?;
            if self.at < piece.len() {
                break piece;
            }
            (self.piece, self.at) = (self.piece + 1, 0);
        };
        let mut len = (piece.len() - self.at).min(self.buf.len() as u64);
        if let Some((offset, _)) = answer.in_body.get(self.steps) {
            len = len.min(offset - self.sent);
        }
        if let Some((portion, step)) = &answer.drip {
            if self.sent.is_multiple_of(*portion) && !self.dripped {
                self.dripped = true;
                return Some(Part::Step(step));
            }
            self.dripped = false;
            len = len.min(portion - self.sent % portion);
        }
        let run = &mut self.buf[..len as usize];
        piece.fill(self.at, run);
        self.at += len;
        self.sent += len;
        Some(Part::Bytes(run))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::Gate;
    use super::super::{Answer, Content, Piece, Step};
    use super::{Part, Parts};

    /// Sizes of runs, with 0 for each step.
    fn sizes(answer: &Answer, run: usize) -> Vec<usize> {
        let mut parts = Parts::new(answer, run);
        let mut sizes = Vec::new();
        while let Some(part) = parts.next() {
            sizes.push(match part {
                Part::Step(_) => 0,
                Part::Bytes(bytes) => bytes.len(),
            });
        }
        assert_eq!(parts.sent(), sizes.iter().sum::<usize>() as u64);
        sizes
    }

    #[test]
    fn steps_come_at_their_offsets_and_not_past_the_end() {
        let mut answer = Answer::empty(200);
        let fill = Content::pattern(100).fill();
        answer.body.push(Piece::Content { fill, start: 0, len: 10 });
        answer.body.push(Piece::Bytes(vec![1; 5]));
        answer.in_body = [0, 3, 3, 15, 16].map(|at| (at, Step::Stall)).to_vec();
        assert_eq!(sizes(&answer, 4), [0, 3, 0, 0, 4, 3, 4, 1, 0]);
        assert_eq!(sizes(&answer, 100), [0, 3, 0, 0, 7, 5, 0]);
    }

    #[test]
    fn a_drip_puts_its_step_before_each_portion() {
        let mut answer = Answer::text(200, "0123456789");
        answer.drip = Some((4, Step::Gate(Gate::new())));
        assert_eq!(sizes(&answer, 3), [0, 3, 1, 0, 3, 1, 0, 2]);
    }

    #[test]
    fn an_empty_body_still_has_its_steps() {
        let mut answer = Answer::empty(200);
        answer.in_body.push((0, Step::Reset));
        assert_eq!(sizes(&answer, 3), [0]);
    }
}
