//! What a read and a seek do, whatever way the caller waits.
//!
//! A read looks at these in this order: the session's end, a fatal error given before, orders from a
//! handle, bytes it may read without asking, the store's coverage. Only a byte that is missing makes a
//! demand, and only a demand can cause a request.

use std::io::SeekFrom;
use std::task::{Context, Poll};

use crate::byte_range::ByteRange;
use crate::engine::reader_state::ReaderState;
use crate::engine::shared::Command;
use crate::engine::writer::{Job, Then};
use crate::error::{Error, StorageError};
use crate::ids::DemandId;
use crate::observe::{Outcome, Waiting};
use crate::sched::{Event, Urgency};
use crate::session::SessionShared;
use crate::storage::{Look, Run, Waited, Waiter};
use crate::sync::{Arc, Ordering};

/// What a read came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// So many bytes are in the buffer; zero only at a proven end, or for an empty buffer.
    Done(usize),
    /// The byte at the cursor is missing, and asked for.
    Missing(Demanded),
}

/// A demand that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demanded {
    demand: DemandId,
    at: u64,
}

impl Demanded {
    /// A read waits for its first byte alone; the others are a bonus.
    fn first_byte(self) -> ByteRange {
        ByteRange::at(self.at, 1)
    }
}

/// A position in a session, and the means to read there.
#[derive(Debug)]
pub(crate) struct Cursor {
    session: Arc<SessionShared>,
    shared: Arc<ReaderState>,
    waiter: Waiter,
    /// What may be read without asking.
    run: Run,
    position: u64,
    /// Where the scheduler believes that reading goes on; `None` before the first read, of which it hears in
    /// any case: read-ahead begins with it, and not only where the opening request's bytes end.
    expected: Option<u64>,
    /// The demand that nothing has answered yet.
    demanded: Option<Demanded>,
    /// The wait that this demand is about, for whoever watches.
    waiting: Option<Waiting>,
    /// Whoever nudged may mean that what was demanded is forgotten: it is demanded anew.
    nudged: bool,
    /// A fatal error, given again to every later read (E7).
    fatal: Option<Error>,
}

impl Cursor {
    /// A cursor at the start.
    pub(crate) fn new(session: Arc<SessionShared>) -> Self {
        let id = session.engine().shared.names.reader();
        let waiter = session.resource.bytes.waiter(id);
        let shared = Arc::new(ReaderState::new(id, waiter.nudger()));
        session.add_reader(shared.clone());
        let resource = session.resource.clone();
        let reader = shared.clone();
        // After the end of the engine nobody hears it, and every read says so.
        let _ = session.engine().shared.command(Command::ReaderOpened {
            resource,
            reader,
            position: 0,
        });
        Self {
            session,
            shared,
            waiter,
            run: Run::none(),
            position: 0,
            expected: None,
            demanded: None,
            waiting: None,
            nudged: false,
            fatal: None,
        }
    }

    /// What a handle needs.
    pub(crate) fn shared(&self) -> &Arc<ReaderState> {
        &self.shared
    }

    /// The session it belongs to.
    pub(crate) fn session(&self) -> &Arc<SessionShared> {
        &self.session
    }

    /// Reads what is there. Never waits.
    pub(crate) fn step(&mut self, buf: &mut [u8]) -> Result<Step, Error> {
        if buf.is_empty() {
            return Ok(Step::Done(0));
        }
        let step = self.look_around().and_then(|()| self.read_or_demand(buf));
        step.inspect_err(|error| self.keep_fatal(error))
    }

    fn keep_fatal(&mut self, error: &Error) {
        if error.is_fatal() {
            self.fatal.get_or_insert_with(|| error.clone());
        }
    }

    fn look_around(&mut self) -> Result<(), Error> {
        if self.session.is_ended() {
            return Err(Error::Cancelled);
        }
        if let Some(error) = &self.fatal {
            return Err(error.clone());
        }
        let Some(orders) = self.shared.take_orders() else { return Ok(()) };
        if let Some(position) = orders.seek {
            self.go_to(position);
        }
        if orders.interrupt {
            // Nobody waits any more; the next read asks anew.
            self.withdraw();
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn go_to(&mut self, position: u64) {
        self.position = position;
        self.shared.position.store(position, Ordering::Relaxed);
    }

    fn read_or_demand(&mut self, buf: &mut [u8]) -> Result<Step, Error> {
        loop {
            let bytes = &self.session.resource.bytes;
            match bytes.read_run(&mut self.run, self.position, buf) {
                Ok(Some(n)) => {
                    #[cfg(test)]
                    assert!(self.is_covered(n), "a read left coverage");
                    if self.run.take_opened() {
                        self.tell_opened();
                    }
                    self.advance(n);
                    return Ok(Step::Done(n));
                }
                Ok(None) => {}
                Err(error) => self.give_back(buf.len(), error)?,
            }
            match self.waiter.look(self.position) {
                Look::Covered(run) => self.take(run),
                // No length reaches past the largest offset, so no resource has a byte there.
                Look::Missing if self.position == u64::MAX => return Ok(Step::Done(0)),
                Look::End => {
                    self.withdraw();
                    return Ok(Step::Done(0));
                }
                Look::Missing => return Ok(Step::Missing(self.demand(buf.len()))),
                Look::Failed(error) if self.session.need_not_tell(&error) => self.demanded = None,
                Look::Failed(error) => return Err(error),
            }
        }
    }

    /// The file that was read had come to rest. Somebody must close it again.
    #[cold]
    fn tell_opened(&self) {
        let resource = self.session.resource.id;
        let _ = self.session.engine().shared.job(Job::Opened { resource });
    }

    /// Bytes at the cursor are stored and cannot be read. Where there is a network they are fetched again.
    fn give_back(&mut self, wanted: usize, error: StorageError) -> Result<(), Error> {
        let engine = &self.session.engine().shared;
        let resource = &self.session.resource;
        let range = self.run.part(self.position, wanted);
        let Some(range) = range.filter(|_| engine.net.is_some() && resource.target().is_some())
        else {
            return Err(error.into());
        };
        // Here, so that nobody tries again; the writer is to tell the scheduler, as of all that comes and goes.
        resource.bytes.shrink(range);
        engine.job(Job::Unreadable { resource: resource.clone(), range, error })
    }

    /// Whether the `n` bytes at the cursor are covered, or went only after they were read.
    #[cfg(test)]
    fn is_covered(&self, n: usize) -> bool {
        let bytes = &self.session.resource.bytes;
        let range = ByteRange::at(self.position, n as u64);
        let missing = crate::sync::uncounted(|| bytes.missing_in(range));
        missing.is_empty() || bytes.epoch() != self.run.epoch()
    }

    /// Bytes were found by asking: the scheduler hears of it, since this may be another place than where
    /// it reads ahead.
    fn take(&mut self, run: Run) {
        self.run = run;
        if self.demanded.is_some_and(|demanded| demanded.at == self.position) {
            self.end_wait(Outcome::Arrived);
        }
        self.withdraw();
        if self.expected != Some(self.position) {
            self.tell_position();
        }
    }

    fn tell_position(&mut self) {
        if self.run.is_whole() {
            // Nothing is missing, so nobody has anything to fetch. As soon as something is, the run is void, and the next
            // one is told.
            self.expected = None;
            return;
        }
        self.expected = Some(self.position);
        let mark = self.shared.refill_at.load(Ordering::Acquire);
        if self.position >= mark {
            // Told once. A mark that is still ahead holds: the scheduler may not set it again. A newer one
            // that has come just now holds as well.
            let (passed, never) = (mark, u64::MAX);
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            let _ = self.shared.refill_at.compare_exchange(passed, never, order.0, order.1);
        }
        let (reader, position) = (self.shared.id, self.position);
        self.shared.tells(self.position);
        self.session.engine().shared.sched(Event::Moved { reader, position });
    }

    fn advance(&mut self, n: usize) {
        match self.demanded {
            Some(demanded) if demanded.at == self.position => {
                self.demanded = None;
                self.end_wait(Outcome::Arrived);
            }
            Some(_) => self.withdraw(),
            None => {
                self.shared.hits.fetch_add(1, Ordering::Relaxed);
            }
        }
        let shared = &self.shared;
        self.position += n as u64;
        shared.bytes_read.fetch_add(n as u64, Ordering::Relaxed);
        let passed = shared.has_read(self.position);
        self.session.resource.mark_used();
        if self.expected == Some(self.position - n as u64) {
            self.expected = Some(self.position);
            if passed {
                self.tell_position();
            }
        } else {
            self.tell_position();
        }
    }

    /// Asks for the byte at the cursor, once for each place.
    fn demand(&mut self, wanted: usize) -> Demanded {
        let nudged = std::mem::take(&mut self.nudged);
        if let Some(demanded) = self.demanded
            && demanded.at == self.position
            && !nudged
        {
            return demanded;
        }
        let engine = &self.session.engine().shared;
        let demand = DemandId(engine.names.demand.next());
        let demanded = Demanded { demand, at: self.position };
        self.demanded = Some(demanded);
        self.begin_wait();
        let engine = &self.session.engine().shared;
        self.expected = Some(self.position);
        let (reader, range) = (self.shared.id, ByteRange::at(self.position, wanted as u64));
        let asked = Event::Demand { reader, demand, range, urgency: Urgency::Blocked };
        self.shared.tells(self.position);
        let resource = &self.session.resource;
        if resource.along.is_some() && engine.net.is_none() {
            // No request is going to look whether another engine has it by now.
            let (resource, then) = (resource.clone(), Then::Sched(asked));
            let _ = engine.job(Job::Follow { resource, then });
        } else {
            engine.sched(asked);
        }
        // Counted once it is told: whoever sees the count knows that the wait has begun.
        self.shared.waits.fetch_add(1, Ordering::Release);
        demanded
    }

    fn begin_wait(&mut self) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.at == self.position) {
            return;
        }
        self.end_wait(Outcome::Left);
        let names = (self.session.resource.id, self.shared.id);
        let now = self.session.engine().shared.clock.now();
        let (span, at) = (&self.session.span, self.position);
        self.waiting = Some(Waiting::begin(span, names, self.expected, at, now));
    }

    fn end_wait(&mut self, outcome: Outcome<'_>) {
        if let Some(waiting) = self.waiting.take() {
            waiting.end(self.session.engine().shared.clock.now(), outcome);
        }
    }

    /// Takes back the demand that nothing has answered yet, if there is one.
    pub(crate) fn withdraw(&mut self) {
        let Some(Demanded { demand, .. }) = self.demanded.take() else { return };
        self.end_wait(Outcome::Left);
        self.waiter.withdraw();
        let reader = self.shared.id;
        self.session.engine().shared.sched(Event::DemandWithdrawn { reader, demand });
    }

    /// Waits for what `step` demanded; ready means that another `step` is worth it.
    pub(crate) fn poll_wait(
        &mut self,
        demanded: Demanded,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let waited = self.waiter.poll_ready(demanded.first_byte(), demanded.demand, cx);
        waited.map(|waited| self.waited(waited))
    }

    /// The same, blocking the thread.
    pub(crate) fn wait(&mut self, demanded: Demanded) -> Result<(), Error> {
        let waited = self.waiter.wait_ready(demanded.first_byte(), demanded.demand);
        self.waited(waited)
    }

    fn waited(&mut self, waited: Waited) -> Result<(), Error> {
        match waited {
            Waited::Ready(run) => self.run = run,
            Waited::End => {}
            Waited::Nudged => self.nudged = true,
            Waited::Failed(error) => {
                self.demanded = None;
                if self.session.need_not_tell(&error) {
                    return Ok(());
                }
                // Whoever ended the session wanted to say just that.
                let error = if self.session.is_ended() { Error::Cancelled } else { error };
                self.end_wait(Outcome::Failed(&error));
                self.keep_fatal(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Where the next read begins. A seek that a handle ordered counts from when it is noticed.
    pub(crate) fn position(&self) -> u64 {
        self.shared.position.load(Ordering::Relaxed)
    }

    /// Moves the cursor: no I/O, no waiting (E5).
    pub(crate) fn seek(&mut self, to: SeekFrom) -> Result<u64, Error> {
        if let Some(position) = self.shared.take_seek() {
            self.go_to(position);
        }
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => {
                let len = self.session.len().ok_or(Error::UnknownLength)?;
                len.checked_add_signed(by)
            }
        };
        let Some(position) = position else {
            return Err(Error::invalid("seek", "the position would be negative or past 2^64"));
        };
        self.go_to(position);
        Ok(position)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.end_wait(Outcome::Left);
        self.session.remove_reader(&self.shared);
        self.session.engine().shared.sched(Event::ReaderClosed { reader: self.shared.id });
    }
}
