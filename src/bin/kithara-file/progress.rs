//! How far a download or an export is: a bar on a terminal, nothing elsewhere.

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kithara_file::Snapshot;

/// The bar with a known length, and without.
const BAR: &str =
    "{wide_bar:.cyan/blue} {bytes}/{total_bytes} {percent:>3}% {bytes_per_sec} {eta} left{msg}";
const NO_LENGTH: &str = "{spinner} {bytes} {bytes_per_sec}{msg}";

/// Shows how far something is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Hidden where it is not wanted, or standard error is no terminal.
    bar: ProgressBar,
    len: Option<u64>,
}

impl Progress {
    /// For something of which `at_start` bytes are there already.
    pub(crate) fn new(quiet: bool, at_start: u64) -> Self {
        let target = match quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        Self::on(target, at_start)
    }

    fn on(target: ProgressDrawTarget, at_start: u64) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(NO_LENGTH));
        if at_start > 0 {
            bar.set_message(format!(" ({} were stored)", HumanBytes(at_start)));
        }
        // What was there is not progress of this run, and must not count for the rate.
        bar.set_position(at_start);
        bar.reset_eta();
        Self { bar, len: None }
    }

    /// Shows what is stored now.
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        self.at(snapshot.covered_bytes(), snapshot.len);
    }

    /// Shows that `done` bytes of `len` are done.
    pub(crate) fn at(&mut self, done: u64, len: Option<u64>) {
        if self.len != len {
            self.len = len;
            self.bar.set_length(len.unwrap_or(done));
            self.bar.set_style(style(if len.is_some() { BAR } else { NO_LENGTH }));
        }
        self.bar.set_position(done);
    }

    /// Says beside the bar what is going on.
    pub(crate) fn say(&self, doing: &str) {
        self.bar.set_message(format!(" {doing}"));
    }

    /// Says something else in between.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates of this file are valid")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal of 100 columns that keeps what is written.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("not poisoned").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().expect("not poisoned").clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_tells_share_time_left_and_what_was_stored_before() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let mut progress = Progress::on(target, 1 << 20);
        progress.at(3 << 20, Some(4 << 20));
        progress.bar.force_draw();
        let drawn = paper.0.lock().expect("not poisoned").clone();
        for part in ["3.00 MiB/4.00 MiB", " 75% ", "/s ", " left", "(1.00 MiB were stored)"] {
            assert!(drawn.contains(part), "{part:?} in {drawn:?}");
        }
    }

    #[test]
    fn where_it_is_not_wanted_nothing_is_drawn() {
        assert!(Progress::new(true, 0).bar.is_hidden());
        // Tests have no terminal for standard error, or one for which a bar is right.
        let mut progress = Progress::on(ProgressDrawTarget::hidden(), 0);
        progress.at(1, None);
        let mut said = false;
        progress.aside(|| said = true);
        assert!(said);
        progress.finish();
    }
}
