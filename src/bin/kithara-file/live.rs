//! The coverage bar while things happen: in place on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kithara_file::Snapshot;

use crate::coverage;

/// A bar that is drawn anew at its place.
#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
}

impl Live {
    /// A bar on standard error.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix}\n{msg}");
        bar.set_style(style.expect("the template is valid"));
        Self { bar }
    }

    /// Whether nobody sees it; then a line now and then must do.
    pub(crate) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// Shows the session now, with what is going on.
    pub(crate) fn show(&self, snapshot: &Snapshot, doing: &str) {
        if !self.is_hidden() {
            self.bar.set_prefix(coverage::bar(snapshot));
            self.bar.set_message(doing.to_owned());
            self.bar.tick();
        }
    }

    /// Takes it away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
