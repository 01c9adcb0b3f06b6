//! Why a command ended badly, in one line: what happened, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use kithara_file::{Error, NetworkError, NetworkErrorKind, Stage};

/// Exit code after Ctrl-C, as shells have it: 128 and the signal's number.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command's bad end.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    text: String,
    advice: Option<String>,
    code: u8,
}

impl Failure {
    /// Something failed.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), advice: None, code: 1 }
    }

    /// The command line asks for what cannot be.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(text) }
    }

    /// Somebody pressed Ctrl-C; `text` says what stays.
    pub(crate) fn interrupted(text: impl Into<String>) -> Self {
        Self { code: INTERRUPTED, ..Self::new(text) }
    }

    /// Something failed with the system's error.
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        Self::new(format!("{doing}: {error}"))
    }

    /// Says what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What a read of the engine failed with.
    pub(crate) fn read(error: &io::Error) -> Self {
        match Error::from_io(error) {
            Some(typed) => typed.clone().into(),
            None => Self::io("reading", error),
        }
    }

    /// What happened, without what to do about it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The one line.
    fn line(&self) -> String {
        let advice = self.advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        format!("kithara-file: {}{advice}", self.text)
    }

    /// Tells it, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        crate::remark(&self.line());
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut text = chain(&error);
        if let Error::Network(network) = &error
            && let Some(excerpt) = network.excerpt.as_deref().and_then(excerpt)
        {
            // Writing to a string does not fail.
            let _ = write!(text, ": the server said {excerpt:?}");
        }
        let usage = matches!(error, Error::InvalidInput { .. } | Error::InvalidConfig { .. });
        let failure = if usage { Self::usage(text) } else { Self::new(text) };
        match advice(&error) {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

/// The error and what it came from, each said once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {said}");
        }
        next = source.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// The first words of an error page that is text for people.
fn excerpt(body: &str) -> Option<String> {
    /// More than that is no message but a page.
    const MOST: usize = 80;
    let line = body.lines().map(str::trim).find(|line| !line.is_empty())?;
    let readable = !line.starts_with(['<', '{']) && !line.chars().any(char::is_control);
    readable.then(|| line.chars().take(MOST).collect())
}

fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::Network(network) => network_advice(network),
        Error::Storage(_) => Some("check the folder and its room, or name another with --store"),
        Error::OfflineMiss { .. } => Some("run it once without --offline to fetch what is missing"),
        Error::Changed => Some("run it again to fetch the new version"),
        Error::Truncated { .. } => Some("run it again; what was received is kept"),
        Error::InvalidInput { .. } => Some("see --help"),
        _ => None,
    }
}

fn network_advice(error: &NetworkError) -> Option<&'static str> {
    match (&error.kind, error.stage) {
        (NetworkErrorKind::Status(401 | 403), _) => {
            Some("give credentials with --header 'Authorization: ...'")
        }
        (NetworkErrorKind::Status(404 | 410), _) => Some("check the address"),
        (NetworkErrorKind::Status(408 | 425 | 429 | 500..=599), _) => Some("try again later"),
        (NetworkErrorKind::Connection, Stage::Connect) => {
            Some("check the address and that the server runs; what is stored is kept")
        }
        (NetworkErrorKind::Connection | NetworkErrorKind::TimedOut, _) => {
            Some("run it again; what was received is kept")
        }
        (NetworkErrorKind::NotMedia(_), _) => {
            Some("the server may want a login first: see --header")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_advice() {
        let failure = Failure::from(Error::OfflineMiss { range: 3..9 });
        let line = failure.line();
        assert!(line.contains("3..9") && line.contains("--offline"), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert_eq!(failure.code, 1);
    }

    #[test]
    fn what_the_user_wrote_wrong_is_wrong_usage() {
        let error = kithara_file::Source::url("not a url").expect_err("no URL");
        assert_eq!(Failure::from(error).code, 2);
    }

    #[test]
    fn only_words_of_a_server_are_shown() {
        assert_eq!(excerpt("\n come back later \nx").as_deref(), Some("come back later"));
        assert_eq!(excerpt("<!doctype html>"), None);
        assert_eq!(excerpt("\u{1b}[31mred"), None);
        assert_eq!(excerpt(""), None);
    }
}
