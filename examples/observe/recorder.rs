//! A recorder of the `metrics` facade that keeps sums, for displays and tests. A service takes an exporter instead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
    SharedString, Unit,
};

/// What a metric said it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'static str,
    /// In what it counts.
    pub(crate) unit: Option<Unit>,
    /// In words.
    pub(crate) what: String,
}

/// Sum and number of what was recorded under one key.
#[derive(Debug, Default)]
struct Cell(Mutex<(f64, u64)>);

impl Cell {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *cell = (change(cell.0), cell.1 + 1);
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.change(|sum| sum + value);
    }
    fn decrement(&self, value: f64) {
        self.change(|sum| sum - value);
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.change(|sum| sum + value);
    }
}

#[derive(Debug, Default)]
struct Kept {
    described: BTreeMap<String, Described>,
    cells: BTreeMap<String, Arc<Cell>>,
}

/// See the module. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Kept>>);

impl Recorder {
    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn describe(&self, kind: &'static str, name: KeyName, unit: Option<Unit>, what: SharedString) {
        let described = Described { kind, unit, what: what.into_owned() };
        self.kept(|kept| kept.described.insert(name.as_str().to_owned(), described));
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}=\"{}\"", label.key(), label.value())).collect();
        let name = match labels.is_empty() {
            true => key.name().to_owned(),
            false => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        self.kept(|kept| kept.cells.entry(name).or_default().clone())
    }

    /// Sum of what was recorded under `name` with its labels, and how often.
    pub(crate) fn value(&self, name: &str) -> (f64, u64) {
        let cell = self.kept(|kept| kept.cells.get(name).cloned()).unwrap_or_default();
        *cell.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each metric said it is, by name.
    pub(crate) fn described(&self) -> BTreeMap<String, Described> {
        self.kept(|kept| kept.described.clone())
    }

    /// A line each, as Prometheus reads them; of a histogram its sum and its count.
    pub(crate) fn text(&self) -> String {
        let described = self.described();
        let names: Vec<String> = self.kept(|kept| kept.cells.keys().cloned().collect());
        let mut text = String::new();
        for name in names {
            let (sum, count) = self.value(&name);
            let is_histogram = described.get(&name).is_some_and(|it| it.kind == "histogram");
            text += &match is_histogram {
                true => format!("{name}_sum {sum:.6}\n{name}_count {count}\n"),
                false => format!("{name} {sum}\n"),
            };
        }
        text
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe("counter", key, unit, what);
    }
    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe("gauge", key, unit, what);
    }
    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe("histogram", key, unit, what);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}
