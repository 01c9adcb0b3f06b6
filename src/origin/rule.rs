//! Scripted faults: which requests a rule is for, and how it bends their answers.
//!
//! Of the rules of a path the first that fits is applied, and only that one; a rule fits while its
//! count is not used up. Everything a rule does is one or several edits of the honest `Answer`, so
//! `Rule::edit` can do whatever the named ones can't.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Framing, Piece, Step};
use super::gate::Gate;
use super::request::{Range, Request};

/// An edit of an answer.
type Edit = Arc<dyn Fn(&Request, &mut Answer) + Send + Sync>;

/// A condition on a request.
type Condition = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// A scripted fault: which requests of a path it is for and what becomes of their answers.
///
/// Made by one of the constructors; further edits are added with `and`, in that order.
#[derive(Clone)]
pub struct Rule {
    /// All must hold.
    conditions: Vec<Condition>,
    /// Fitting requests that are let go before the rule acts.
    skip: u64,
    /// How often it acts; `None`: always.
    times: Option<u64>,
    /// What it does.
    edits: Vec<Edit>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("skip", &self.skip).field("times", &self.times).finish()
    }
}

/// For which requests.
impl Rule {
    /// Only for the first fitting request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only for so many fitting requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Not for the first `count` fitting requests.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Only for the `n`-th fitting request, counted from 1 and from when the rule was added.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.skip(n.saturating_sub(1)).once()
    }

    /// Only for requests of that method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        self.when(move |request| request.method == method)
    }

    /// Only for requests with a range that begins at `start`.
    #[must_use]
    pub fn starting_at(self, start: u64) -> Self {
        self.when(move |request| matches!(request.range(), Some(Range::From(at, _)) if at == start))
    }

    /// Only for requests that ask for the byte at `offset`, with or without a range.
    #[must_use]
    pub fn covering(self, offset: u64) -> Self {
        self.when(move |request| match request.range() {
            None => true,
            Some(Range::From(first, last)) => {
                first <= offset && last.is_none_or(|last| offset <= last)
            }
            Some(Range::Suffix(_)) => false,
        })
    }

    /// Only for requests with a range (or, with `false`, without).
    #[must_use]
    pub fn ranged(self, ranged: bool) -> Self {
        self.when(move |request| request.range().is_some() == ranged)
    }

    /// Only for requests that `condition` accepts.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Adds the edits of `other`, whose own conditions and counts are left aside.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.edits.extend(other.edits);
        self
    }

    /// Whether the rule acts on this request; counts it.
    pub(super) fn takes(&mut self, request: &Request) -> bool {
        if self.times == Some(0) || !self.conditions.iter().all(|fits| fits(request)) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }

    /// Bends the answer.
    pub(super) fn apply(&self, request: &Request, answer: &mut Answer) {
        for edit in &self.edits {
            edit(request, answer);
        }
    }
}

/// Time: waiting, stalling, cutting.
impl Rule {
    /// Whatever else: any edit of the answer.
    #[must_use]
    pub fn edit(edit: impl Fn(&Request, &mut Answer) + Send + Sync + 'static) -> Self {
        Self { conditions: Vec::new(), skip: 0, times: None, edits: vec![Arc::new(edit)] }
    }

    /// The honest answer; useful with a count, to let requests pass a later rule.
    #[must_use]
    pub fn honest() -> Self {
        Self::edit(|_, _| ())
    }

    /// Does `step` before the head.
    #[must_use]
    pub fn before_head(step: Step) -> Self {
        Self::edit(move |_, answer| answer.before_head.push(step.clone()))
    }

    /// Waits at `gate` before the head.
    #[must_use]
    pub fn gate_head(gate: &Gate) -> Self {
        Self::before_head(Step::Gate(gate.clone()))
    }

    /// Waits that long before the head.
    #[must_use]
    pub fn delay_head(delay: Duration) -> Self {
        Self::before_head(Step::Delay(delay))
    }

    /// Does `step` after `bytes` of the head.
    #[must_use]
    pub fn mid_head(bytes: usize, step: Step) -> Self {
        Self::edit(move |_, answer| answer.mid_head = Some((bytes, step.clone())))
    }

    /// Does `step` after `bytes` of the body.
    #[must_use]
    pub fn in_body(bytes: u64, step: Step) -> Self {
        Self::edit(move |_, answer| {
            answer.in_body.push((bytes, step.clone()));
            answer.in_body.sort_by_key(|(at, _)| *at);
        })
    }

    /// Waits at `gate` after `bytes` of the body.
    #[must_use]
    pub fn gate_body(bytes: u64, gate: &Gate) -> Self {
        Self::in_body(bytes, Step::Gate(gate.clone()))
    }

    /// Waits at `gate` before the byte at `offset` of the resource, and before every one behind it.
    #[must_use]
    pub fn gate_at(offset: u64, gate: &Gate) -> Self {
        let step = Step::Gate(gate.clone());
        Self::edit(move |request, answer| {
            let start = match request.range() {
                Some(Range::From(start, _)) => start,
                Some(Range::Suffix(_)) | None => 0,
            };
            answer.in_body.push((offset.saturating_sub(start), step.clone()));
            answer.in_body.sort_by_key(|(at, _)| *at);
        })
    }

    /// Sends nothing after `bytes` of the body and leaves the connection open.
    #[must_use]
    pub fn stall_after(bytes: u64) -> Self {
        Self::in_body(bytes, Step::Stall)
    }

    /// Resets the connection after `bytes` of the body.
    #[must_use]
    pub fn reset_after(bytes: u64) -> Self {
        Self::in_body(bytes, Step::Reset)
    }

    /// Closes the connection in good order after `bytes` of the body, whatever was promised.
    #[must_use]
    pub fn close_after(bytes: u64) -> Self {
        Self::in_body(bytes, Step::Close)
    }

    /// Sends the body in portions of `bytes`, with `step` before each.
    #[must_use]
    pub fn drip(bytes: u64, step: Step) -> Self {
        Self::edit(move |_, answer| answer.drip = Some((bytes.max(1), step.clone())))
    }
}

/// Other answers.
impl Rule {
    /// Any status, with a text as body and none of the content's headers.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::edit(move |_, answer| answer.replace_by(Answer::text(status, &body)))
    }

    /// `status`, 429 or 503, with `Retry-After`: seconds or a date.
    #[must_use]
    pub fn retry_after(status: u16, value: &str) -> Self {
        Self::status(status, "come back later\n").and(Self::header("Retry-After", value))
    }

    /// 416; with a total `Content-Range: bytes */total`, without none.
    #[must_use]
    pub fn not_satisfiable(total: Option<u64>) -> Self {
        Self::edit(move |_, answer| {
            // The validators stay: the client compares them.
            answer.status = 416;
            answer.body.clear();
            answer.remove_header("Content-Range");
            if let Some(total) = total {
                answer.set_header("Content-Range", &format!("bytes */{total}"));
            }
        })
    }

    /// A redirect. A `location` that is the path itself makes a loop.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status, "").and(Self::header("Location", location))
    }

    /// A login page: 200 and HTML, whatever was asked for.
    #[must_use]
    pub fn login_page() -> Self {
        let page = "<!doctype html><title>Welcome</title><form>Please log in</form>\n";
        Self::status(200, page).and(Self::header("Content-Type", "text/html; charset=utf-8"))
    }

    /// 200 with other bytes in place of the content, with headers as `edit` leaves them.
    #[must_use]
    pub fn body(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::edit(move |_, answer| answer.body = vec![Piece::Bytes(bytes.clone())])
    }

    /// The whole with 200, although a range was asked for.
    #[must_use]
    pub fn ignore_range() -> Self {
        Self::edit(|_, answer| {
            if answer.status != 206 {
                return;
            }
            answer.status = 200;
            answer.remove_header("Content-Range");
            for piece in &mut answer.body {
                if let Piece::Content { fill, start, len } = piece {
                    (*start, *len) = (0, fill.len());
                }
            }
        })
    }

    /// The parts of the answer as multipart/byteranges.
    #[must_use]
    pub fn multipart() -> Self {
        Self::edit(|_, answer| {
            let range = answer.header("Content-Range").unwrap_or("bytes 0-0/1").to_owned();
            let head = format!(
                "--limit\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n"
            );
            answer.remove_header("Content-Range");
            answer.set_header("Content-Type", "multipart/byteranges; boundary=limit");
            answer.body.insert(0, Piece::Bytes(head.into_bytes()));
            answer.body.push(Piece::Bytes(b"\r\n--limit--\r\n".to_vec()));
        })
    }
}

/// Lies in the head.
impl Rule {
    /// Sets a header.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::edit(move |_, answer| answer.set_header(&name, &value))
    }

    /// Adds a header beside those of the same name.
    #[must_use]
    pub fn add_header(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::edit(move |_, answer| answer.headers.push((name.clone(), value.clone())))
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without_header(name: &str) -> Self {
        let name = name.to_owned();
        Self::edit(move |_, answer| answer.remove_header(&name))
    }

    /// Adds `count` headers of `size` bytes each.
    #[must_use]
    pub fn header_bomb(count: usize, size: usize) -> Self {
        Self::edit(move |_, answer| {
            for number in 0..count {
                answer.headers.push((format!("X-Bomb-{number}"), "x".repeat(size)));
            }
        })
    }

    /// Interim heads before the answer: `103` and the like.
    #[must_use]
    pub fn interim(status: u16, times: usize) -> Self {
        Self::edit(move |_, answer| {
            let head = format!("HTTP/1.1 {status} Interim\r\n\r\n");
            answer.interim.extend(std::iter::repeat_n(head, times));
        })
    }

    /// These bytes in place of the whole head, last empty line included.
    #[must_use]
    pub fn raw_head(head: impl Into<Vec<u8>>) -> Self {
        let head = head.into();
        Self::edit(move |_, answer| answer.raw_head = Some(head.clone()))
    }

    /// Tells the end of the body in another way, or with another length.
    #[must_use]
    pub fn framing(framing: Framing) -> Self {
        Self::edit(move |_, answer| answer.framing = framing)
    }

    /// Sends a `Content-Range` of that text; the body stays.
    #[must_use]
    pub fn content_range(value: &str) -> Self {
        Self::header("Content-Range", value)
    }

    /// Moves both body and `Content-Range` by `delta` bytes: another range than asked, told honestly.
    #[must_use]
    pub fn shifted(delta: i64) -> Self {
        Self::edit(move |_, answer| {
            let Some(Piece::Content { fill, start, len }) = answer.body.first_mut() else { return };
            *start = start.saturating_add_signed(delta).min(fill.len().saturating_sub(1));
            *len = (*len).min(fill.len() - *start);
            if *len > 0 {
                let value = format!("bytes {start}-{}/{}", *start + (*len - 1), fill.len());
                answer.set_header("Content-Range", &value);
            }
        })
    }

    /// Says `*` for the total.
    #[must_use]
    pub fn total_unknown() -> Self {
        Self::total("*")
    }

    /// Says another total in `Content-Range`.
    #[must_use]
    pub fn total(total: &str) -> Self {
        let total = total.to_owned();
        Self::edit(move |_, answer| {
            let range = answer.header("Content-Range").and_then(|value| value.split_once('/'));
            if let Some((range, _)) = range {
                let value = format!("{range}/{total}");
                answer.set_header("Content-Range", &value);
            }
        })
    }

    /// Sends only the first `bytes` of the range and says so everywhere.
    #[must_use]
    pub fn shorter(bytes: u64) -> Self {
        Self::edit(move |_, answer| {
            let Some(Piece::Content { fill, start, len }) = answer.body.first_mut() else { return };
            *len = (*len).min(bytes.max(1));
            let value = format!("bytes {start}-{}/{}", *start + (*len - 1), fill.len());
            if answer.status == 206 {
                answer.set_header("Content-Range", &value);
            }
        })
    }

    /// Sends only the first `bytes` of the body and closes, with a head that promises all of it.
    #[must_use]
    pub fn truncated(bytes: u64) -> Self {
        Self::close_after(bytes)
    }

    /// Sends `extra` bytes more than `Content-Range` says; the length is true or (`lying`) that of the
    /// range.
    #[must_use]
    pub fn longer(extra: u64, lying: bool) -> Self {
        Self::edit(move |_, answer| {
            if lying {
                answer.framing = Framing::Lying(answer.body_len());
            }
            let extra = usize::try_from(extra).expect("a surplus that fits in memory");
            answer.body.push(Piece::Bytes(vec![b'!'; extra]));
        })
    }

    /// Sends `Content-Encoding: gzip` over bytes that are none.
    #[must_use]
    pub fn gzip() -> Self {
        Self::header("Content-Encoding", "gzip")
    }
}
