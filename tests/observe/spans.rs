//! A subscriber that keeps all that the crate tells.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A span as it was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) parent: Option<u64>,
    pub(crate) closed: bool,
    /// All fields that it may have.
    pub(crate) names: Vec<&'static str>,
    fields: Fields,
}

impl Span {
    /// A field that has a value.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.0.get(field).unwrap_or_else(|| panic!("no {field} in {self:?}"))
    }

    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap_or_else(|_| panic!("{field} of {self:?}"))
    }
}

/// An event as it was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) message: String,
    fields: Fields,
}

#[derive(Debug, Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[derive(Debug, Default)]
struct Seen {
    spans: Vec<Span>,
    events: Vec<Told>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Seen>>);

impl Spans {
    /// Hears all of the process from now on.
    pub(crate) fn install() -> Self {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
        spans
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn forget(&self) {
        self.seen(|seen| *seen = Seen::default());
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Span> {
        self.seen(|seen| seen.spans.iter().filter(|span| span.name == name).cloned().collect())
    }

    pub(crate) fn events(&self) -> Vec<Told> {
        self.seen(|seen| seen.events.clone())
    }

    /// All of it as text.
    pub(crate) fn everything(&self) -> String {
        self.seen(|seen| {
            let mut text = String::new();
            seen.spans.iter().for_each(|span| writeln!(text, "{span:?}").unwrap());
            for event in &seen.events {
                writeln!(text, "{} {:?}", event.message, event.fields).unwrap();
            }
            text
        })
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("kithara_file")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !is_ours(metadata.target()) {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| span.parent().map(|it| it.id().into_u64()));
        let span = Span {
            id: id.into_u64(),
            name: metadata.name(),
            level: *metadata.level(),
            parent,
            closed: false,
            names: metadata.fields().iter().map(|field| field.name()).collect(),
            fields,
        };
        self.seen(|seen| seen.spans.push(span));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.seen(|seen| {
            let open = seen.spans.iter_mut().rfind(|span| span.id == id.into_u64());
            open.into_iter().for_each(|span| values.record(&mut span.fields));
        });
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !is_ours(event.metadata().target()) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.get("message").cloned().unwrap_or_default();
        let told = Told { level: *event.metadata().level(), message, fields };
        self.seen(|seen| seen.events.push(told));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.seen(|seen| {
            let open = seen.spans.iter_mut().rfind(|span| span.id == id.into_u64());
            open.into_iter().for_each(|span| span.closed = true);
        });
    }
}
