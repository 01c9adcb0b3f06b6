//! Just enough of SVG: lines, text, circles, and two axes.
//!
//! Logarithmic where a peer may be a thousand times slower than another.

use std::fmt::Write as _;

/// Size of a plot, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;

/// Room for axes: left, right, top, bottom.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 48.0;

/// How a peer is drawn: colours that differ for colour-blind eyes too, and dashes.
pub(super) fn style(peer: &str) -> (&'static str, &'static str) {
    match peer {
        "ours" => ("#0072b2", ""),
        "naive" => ("#555555", "6 3"),
        "stream-download" => ("#d55e00", "2 3"),
        _ => ("#009e73", "8 3 2 3"),
    }
}

/// From values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) logarithmic: bool,
}

impl Axis {
    /// The share of the way from one end to the other at which `value` lies.
    fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        match self.logarithmic {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        }
    }

    /// A logarithmic one that holds all `values`, from a power of ten to a power of ten.
    pub(super) fn decades(values: &[f64], least: f64) -> Self {
        let low = values.iter().copied().fold(f64::MAX, f64::min).max(least);
        let high = values.iter().copied().fold(low * 10.0, f64::max);
        let power = |exponent: f64| 10f64.powf(exponent);
        Self { from: power(low.log10().floor()), to: power(high.log10().ceil()), logarithmic: true }
    }

    /// Where there is a line and a number.
    fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return (0..=4)
                .map(|i| self.from + (self.to - self.from) * f64::from(i) / 4.0)
                .collect();
        }
        let mut ticks = vec![];
        let mut tick = self.from;
        while tick <= self.to * 1.001 {
            ticks.push(tick);
            tick *= 10.0;
        }
        ticks
    }
}

/// A plot under way.
#[derive(Debug)]
pub(super) struct Plot {
    body: String,
    x: Axis,
    y: Axis,
    /// Entries of the legend so far.
    entries: u32,
}

impl Plot {
    /// With axes and their names.
    pub(super) fn new(title: &str, (x, x_name): (Axis, &str), (y, y_name): (Axis, &str)) -> Self {
        let mut plot = Self { body: String::new(), x, y, entries: 0 };
        plot.put(WIDTH / 2.0, 20.0, "middle", "14", title);
        plot.put(LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 10.0, "middle", "12", x_name);
        let middle = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        plot.body += &format!(
            "<text x='16' y='{middle}' text-anchor='middle' font-size='12' transform='rotate(-90 16 {middle})'>{}</text>\n",
            escaped(y_name)
        );
        for tick in x.ticks() {
            let at = plot.left(tick);
            plot.rule((at, TOP), (at, HEIGHT - BOTTOM), "#ddd", "");
            plot.put(at, HEIGHT - BOTTOM + 16.0, "middle", "11", &number(tick));
        }
        for tick in y.ticks() {
            let at = plot.top(tick);
            plot.rule((LEFT, at), (WIDTH - RIGHT, at), "#ddd", "");
            plot.put(LEFT - 6.0, at + 4.0, "end", "11", &number(tick));
        }
        plot
    }

    fn left(&self, value: f64) -> f64 {
        LEFT + self.x.share(value) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn put(&mut self, x: f64, y: f64, anchor: &str, size: &str, text: &str) {
        let text = escaped(text);
        self.body += &format!(
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' font-size='{size}'>{text}</text>\n"
        );
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dashes: &str) {
        self.body += &format!(
            "<line x1='{:.1}' y1='{:.1}' x2='{:.1}' y2='{:.1}' stroke='{colour}' stroke-dasharray='{dashes}'/>\n",
            from.0, from.1, to.0, to.1
        );
    }

    /// A vertical line at a value that matters, with its name.
    pub(super) fn mark(&mut self, x: f64, name: &str) {
        let at = self.left(x);
        self.rule((at, TOP), (at, HEIGHT - BOTTOM), "#999", "3 3");
        self.put(at + 3.0, TOP + 10.0, "start", "11", name);
    }

    /// A line through `points`.
    pub(super) fn line(&mut self, points: &[(f64, f64)], (colour, dashes): (&str, &str)) {
        let mut path = String::new();
        for (x, y) in points {
            // Writing to a string cannot fail.
            let _ = write!(path, "{:.1},{:.1} ", self.left(*x), self.top(*y));
        }
        let path = path.trim_end();
        self.body += &format!(
            "<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dashes}'/>\n"
        );
    }

    /// A dot with a word beside it.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), colour: &str, word: &str) {
        let (x, y) = (self.left(x), self.top(y));
        self.body += &format!("<circle cx='{x:.1}' cy='{y:.1}' r='4' fill='{colour}'/>\n");
        self.put(x + 6.0, y + 4.0, "start", "10", word);
    }

    /// One more line of the legend.
    pub(super) fn legend(&mut self, name: &str, (colour, dashes): (&str, &str)) {
        let y = TOP + 14.0 + 18.0 * f64::from(self.entries);
        self.entries += 1;
        self.rule((WIDTH - RIGHT + 10.0, y), (WIDTH - RIGHT + 34.0, y), colour, dashes);
        self.put(WIDTH - RIGHT + 40.0, y + 4.0, "start", "11", name);
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}' \
             font-family='sans-serif'>\n<rect width='100%' height='100%' fill='white'/>\n{}</svg>\n",
            self.body
        )
    }
}

fn number(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{}k", v / 1000.0),
        v if v >= 1.0 => format!("{v}"),
        v => format!("{}", (v * 1000.0).round() / 1000.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_runs_from_decade_to_decade() {
        let axis = Axis::decades(&[3.0, 420.0], 0.1);
        assert!((axis.from - 1.0).abs() < 1e-9 && (axis.to - 1000.0).abs() < 1e-6);
        assert_eq!(axis.ticks().len(), 4);
        assert!((axis.share(10.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(axis.share(0.0001), 0.0);
    }

    #[test]
    fn a_plot_is_well_formed_text() {
        let axis = Axis { from: 0.0, to: 1.0, logarithmic: false };
        let mut plot = Plot::new("a < b", (axis, "x"), (axis, "y"));
        plot.line(&[(0.0, 0.0), (1.0, 1.0)], style("ours"));
        let text = plot.finish();
        assert!(text.contains("a &lt; b") && text.ends_with("</svg>\n"));
        assert_eq!(text.matches("<text").count(), text.matches("</text>").count());
    }
}
