//! One request, from `StartFetch` to `FetchEnded`: asks, checks, and streams the body to the writer.
//!
//! It talks to the scheduler at its start, through the writer for each batch, and at its end; it
//! never asks what to do. Memory: one chunk, what is gathered, and what the write budget lets it queue.
//!
//! A stop ends the body at once; what waits for room then is still handed over when there is some,
//! unless nobody wants it any more (see [`Stop`]).

mod body;

use futures::future::join;
use tokio::sync::watch;
use tracing::{Instrument as _, Span};

use crate::assets::Generation;
use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::engine::compare::Compare;
use crate::engine::follow::unless_brought;
use crate::engine::gather::Gathered;
use crate::engine::names;
use crate::engine::resource::{Info, OpenState, Resource};
use crate::engine::shared::Shared;
use crate::engine::stop::{Pace, Stop};
use crate::engine::writer::Job;
use crate::error::Error;
use crate::events::SessionEvent;
use crate::ids::{FetchId, Lane};
use crate::net::redact;
use crate::net::{Answer, AnswerShape, Expectation, Fault, Net, RangeRequest, Target};
use crate::observe::{meters, spans};
use crate::sched::{BodyShape, Class, Event, Failure, FetchOutcome, Remedy};
use crate::sync::{Arc, Ordering};
use crate::time::Micros;
use crate::validator::{Comparison, Validator};

/// What the scheduler ordered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) fetch: FetchId,
    pub(crate) range: ByteRange,
    pub(crate) lane: Lane,
    pub(crate) class: Class,
    pub(crate) attempt: u32,
}

/// Runs the request to its end and tells the scheduler.
pub(crate) fn run(
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    order: Order,
    stop: Stop,
    pace: watch::Receiver<Pace>,
) -> impl Future<Output = ()> + Send + 'static {
    // Made before the first poll, which never comes if the runtime is gone already.
    let ending = Ending { shared: shared.clone(), fetch: order.fetch, outcome: None };
    let Order { fetch, range, lane, class, attempt } = order;
    let span = spans::fetch(fetch, resource.id, range, names::class(class), lane, attempt);
    let task = async move {
        shared.note_io_thread();
        let (clock, span) = (shared.clock, Span::current());
        let began = clock.now();
        let generation = resource.info().generation;
        let (engine, known) = (shared.clone(), resource.clone());
        let mut fetch = Fetch {
            began,
            received_bytes: 0,
            shared,
            resource,
            order,
            generation,
            pace,
            received: Gathered::default(),
        };
        let transfer = unless_brought(&engine, &known, order.range.start, fetch.transfer());
        let outcome = match stop.receiving.run_until_cancelled(transfer).await.flatten() {
            Some(Ok(())) => FetchOutcome::Complete,
            Some(Err(failure)) => FetchOutcome::Failed(failure),
            None => {
                fetch.keep(&stop).await;
                FetchOutcome::Cancelled
            }
        };
        span.record("received_bytes", fetch.received_bytes)
            .record("outcome", names::outcome(&outcome));
        span.record("elapsed_ms", spans::ms(clock.now().since(began)));
        if let FetchOutcome::Failed(Failure { error, .. }) = &outcome {
            span.record("error", tracing::field::display(error));
            tracing::debug!(%error, "a fetch has failed");
        }
        ending.tell(outcome);
    };
    task.instrument(span)
}

/// Tells the scheduler of the end when it is dropped: also when the task was, by a panic or by the end of the
/// application's runtime. Then no request can be made any more, and nobody may wait for one.
struct Ending {
    shared: Arc<Shared>,
    fetch: FetchId,
    outcome: Option<FetchOutcome>,
}

impl Ending {
    fn tell(mut self, outcome: FetchOutcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let fetch = self.fetch;
        let dropped = || FetchOutcome::Failed(fatal(Error::Cancelled));
        let outcome = self.outcome.take().unwrap_or_else(dropped);
        let ended = Job::Ended { fetch, outcome: outcome.clone() };
        if self.shared.job(ended).is_err() {
            self.shared.sched(Event::FetchEnded { fetch, outcome });
        }
    }
}

struct Fetch {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    order: Order,
    /// Generation of the resource that this request is about.
    generation: u64,
    began: Micros,
    received_bytes: u64,
    pace: watch::Receiver<Pace>,
    /// What waits for more of its kind, or for room in the write budget. Kept here and not by the wait for it, which ends
    /// with the transfer.
    received: Gathered,
}

/// Why the head of an answer cannot be followed by its body.
enum Refusal {
    /// Nothing of the range exists; what that says about the length has been noted.
    PastEnd,
    /// See [`Failure`].
    Failed(Failure),
}

impl Fetch {
    async fn transfer(&mut self) -> Result<(), Failure> {
        let (Some(net), Some(target)) = (self.shared.net.clone(), self.resource.target()) else {
            return Err(fatal(Error::OfflineMiss { range: self.order.range.to_std() }));
        };
        let answer = match self.ask(net.as_ref(), &target).await {
            Ok(answer) => answer,
            Err(Refusal::PastEnd) => return Ok(()),
            Err(Refusal::Failed(failure)) => return Err(failure),
        };
        self.accept(&answer)?;
        self.stream(net.as_ref(), &target, answer).await
    }

    /// Sends the request. A change is asked about once more, around caches, before it is believed:
    /// an edge node may be stale.
    async fn ask(&self, net: &dyn Net, target: &Arc<Target>) -> Result<Answer, Refusal> {
        let mut bypass_caches = false;
        loop {
            let request = self.request(bypass_caches);
            match self.send(net, target, request).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Changed(seen)) if !bypass_caches => {
                    tracing::debug!(
                        resource_id = self.resource.id.0,
                        ?seen,
                        "changed, it seems; asking around caches"
                    );
                    bypass_caches = true;
                }
                Err(fault) => return Err(self.judge(fault)),
            }
        }
    }

    /// Sends the request; beside it, if need be, that for stored bytes which are compared. One that shows a
    /// change counts before whatever the other one brought: nothing in that is of the generation we know.
    async fn send(
        &self,
        net: &dyn Net,
        target: &Arc<Target>,
        request: RangeRequest,
    ) -> Result<Answer, Fault> {
        let (lane, unproven) = (self.order.lane, self.resource.info().unproven);
        let compare = async {
            if unproven {
                let (shared, resource) = (&self.shared, &self.resource);
                let compare = Compare { shared, resource, net, target, lane };
                compare.run(self.order.range.start, request.clone()).await?;
                resource.learn(self.generation, |info| info.unproven = false);
            }
            Ok(())
        };
        self.count_request();
        let asked = net.get_range(lane, target.clone(), request.clone());
        match join(asked, compare).await {
            (_, Err(changed @ Fault::Changed(_))) => Err(changed),
            (answer, compared) => answer.and_then(|answer| compared.map(|()| answer)),
        }
    }

    fn request(&self, bypass_caches: bool) -> RangeRequest {
        let info = self.resource.info();
        let validator = info.validator.clone();
        RangeRequest {
            range: Some(self.order.range),
            if_range: validator.as_ref().and_then(|v| v.if_range().map(str::to_owned)),
            bypass_caches,
            urgency: Some(urgency(self.order.class)),
            expect: Expectation {
                validator,
                total: self.resource.bytes.len(),
                content_type: info.content_type,
            },
        }
    }

    fn count_request(&self) {
        self.resource.counters.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn judge(&self, fault: Fault) -> Refusal {
        match fault {
            Fault::NotSatisfiable { total, validator } => self.past_end(total, &validator),
            fault => Refusal::Failed(failure_of(fault.after(self.order.attempt))),
        }
    }

    /// 416: the range begins at or past the end. That says the length if it was unknown, and corrects
    /// it if the validator agrees (N7); anything else means a change.
    fn past_end(&self, total: Option<u64>, seen: &Validator) -> Refusal {
        let start = self.order.range.start;
        let before = ByteRange::new(0, start);
        let len = match (self.resource.bytes.len(), total) {
            (Some(known), None) if start >= known => return Refusal::PastEnd,
            (Some(known), Some(total)) if start >= known && known == total => {
                return Refusal::PastEnd;
            }
            (Some(_), Some(total)) if total <= start && self.is_same(seen) => total,
            (Some(_), _) => return Refusal::Failed(changed()),
            (None, Some(total)) if total <= start => total,
            (None, None) if self.resource.bytes.missing_in(before).is_empty() => start,
            (None, _) => {
                let why = "416 for a range that the resource should have";
                return Refusal::Failed(self.protocol(why.to_owned()));
            }
        };
        match self.learn_len(len) {
            Ok(()) => {
                self.resource.set_opened(OpenState::Open);
                Refusal::PastEnd
            }
            Err(failure) => Refusal::Failed(failure),
        }
    }

    fn is_same(&self, seen: &Validator) -> bool {
        let info = self.resource.info();
        info.validator.is_some_and(|known| known.compare(seen) == Comparison::Same)
    }

    fn protocol(&self, why: String) -> Failure {
        let target = self.resource.target();
        let url = target.map(|target| redact::url(target.original())).unwrap_or_default();
        let error = crate::error::NetworkError {
            url,
            stage: crate::error::Stage::Headers,
            kind: crate::error::NetworkErrorKind::Protocol(why),
            excerpt: None,
            retry_after: None,
            attempts: self.order.attempt,
            source: None,
        };
        Failure { error: error.into(), remedy: Remedy::GiveUp }
    }

    /// Notes what the head says, and tells the scheduler that the body begins.
    fn accept(&self, answer: &Answer) -> Result<(), Failure> {
        let resource = &self.resource;
        let (connection, multiplexed) = (answer.connection, answer.multiplexed);
        let first_byte = self.shared.clock.now().since(self.began);
        Span::current()
            .record("connection", connection.name())
            .record("first_byte_ms", spans::ms(first_byte));
        meters::observe(&meters::FETCH_SECONDS, first_byte);
        if connection != ConnectionUse::Reused {
            resource.counters.connections.fetch_add(1, Ordering::Relaxed);
        }
        let news = resource.learn(self.generation, |info| News::of(info, answer));
        let news = news.ok_or_else(changed)?;
        if let Some(generation) = news.generation {
            self.queue(Job::BeginGeneration { resource: resource.clone(), generation })?;
        }
        if news.validated {
            self.queue(Job::Validated { resource: resource.id })?;
        }
        if news.whole {
            resource.events.emit(SessionEvent::RangesUnsupported);
        }
        if let Some(len) = answer.shape.total() {
            self.learn_len(len)?;
        }
        let shape = match answer.shape {
            AnswerShape::Part { range, .. } => BodyShape::Part(range),
            AnswerShape::Whole { .. } => BodyShape::Whole,
        };
        let fetch = self.order.fetch;
        self.shared.sched(Event::FetchStarted { fetch, shape, connection, multiplexed });
        Ok(())
    }

    /// Sets the length if it was unknown; one that contradicts what is known means a change.
    fn learn_len(&self, len: u64) -> Result<(), Failure> {
        let resource = &self.resource;
        if resource.bytes.len() == Some(len) {
            return Ok(());
        }
        let learnt = resource.learn(self.generation, |_| resource.bytes.set_len(len).is_ok());
        if learnt != Some(true) {
            return Err(changed());
        }
        self.queue(Job::LenKnown { resource: resource.id, len })?;
        self.shared.sched(Event::LenKnown { resource: resource.id, len });
        Ok(())
    }

    fn queue(&self, job: Job) -> Result<(), Failure> {
        self.shared.job(job).map_err(fatal)
    }
}

/// What an answer's head says for the first time in this generation.
struct News {
    /// The journal may begin.
    generation: Option<Generation>,
    /// What was stored before is still what the server has.
    validated: bool,
    /// The server does not do ranges.
    whole: bool,
}

impl News {
    fn of(info: &mut Info, answer: &Answer) -> Self {
        let pinned = info.validator.get_or_insert_with(|| answer.validator.clone()).clone();
        if info.content_type.is_none() {
            info.content_type.clone_from(&answer.content_type);
        }
        info.final_url = Some(redact::url(&answer.final_url));
        let begun = std::mem::replace(&mut info.journal_begun, true);
        let validated = std::mem::replace(&mut info.validated, true);
        let is_whole = matches!(answer.shape, AnswerShape::Whole { .. });
        let content_type = info.content_type.clone();
        Self {
            generation: (!begun).then_some(Generation { validator: pinned, content_type }),
            validated: begun && !validated,
            whole: is_whole && !std::mem::replace(&mut info.whole, is_whole),
        }
    }
}

fn fatal(error: Error) -> Failure {
    Failure { error, remedy: Remedy::Fatal }
}

fn changed() -> Failure {
    fatal(Error::Changed)
}

/// What may be done about `fault`.
pub(crate) fn failure_of(fault: Fault) -> Failure {
    let retry_after = fault.retry_after();
    let retryable = fault.is_retryable();
    let error = Error::from(fault);
    let remedy = match retryable {
        true => Remedy::Retry { after: retry_after.map(Into::into) },
        false if error.is_fatal() => Remedy::Fatal,
        false => Remedy::GiveUp,
    };
    Failure { error, remedy }
}

/// RFC 9218 urgency of a class: 0 is the most urgent, 7 background.
fn urgency(class: Class) -> u8 {
    match class {
        Class::Blocked => 0,
        Class::FirstWindow | Class::Hint => 1,
        Class::Secondary => 2,
        Class::Near => 3,
        Class::Far => 5,
        Class::Fill => 7,
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
