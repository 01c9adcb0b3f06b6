//! What a store's error means.
//!
//! Nothing of an error is passed on but its innermost text: around that stand URLs, which may carry a signature.

use std::error::Error as StdError;

use http::StatusCode;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::stores::PlainHttp;
use super::told::Told;
use crate::error::{NetworkErrorKind, Stage};
use crate::net::fault::Seen;
use crate::net::{Fault, tls};
use crate::validator::Validator;

/// Most of an error's text that is kept, in bytes.
const LONGEST: usize = 512;

/// What an error means.
#[derive(Debug)]
pub(super) struct Failed {
    /// The fault.
    pub(super) fault: Fault,
    /// Whether the store may have meant that the range begins past the end.
    pub(super) may_be_past_end: bool,
}

/// What `error` means, given what the answer's head told. `shown` is the URL, redacted.
pub(super) fn of(error: &Error, told: &Told, shown: &str) -> Failed {
    let known = |fault| Failed { fault, may_be_past_end: false };
    let head = told.head();
    let kind = match error {
        Error::Precondition { .. } => return known(changed()),
        Error::NotFound { .. } => NetworkErrorKind::Status(404),
        Error::PermissionDenied { .. } => NetworkErrorKind::Status(403),
        Error::Unauthenticated { .. } => NetworkErrorKind::Status(401),
        Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
            NetworkErrorKind::Client(innermost(error))
        }
        _ => match head.map(|head| head.status) {
            Some(status) if status.is_redirection() => {
                NetworkErrorKind::Redirect("the bucket is in another region, it seems".into())
            }
            Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                let fault = Fault::at(shown, Stage::Headers, NetworkErrorKind::Status(416));
                return Failed { fault, may_be_past_end: true };
            }
            // A body that broke is told elsewhere: here it is the head that was refused.
            Some(status) if status.is_success() => NetworkErrorKind::Protocol(innermost(error)),
            Some(status) => NetworkErrorKind::Status(status.as_u16()),
            None => return unanswered(error, shown),
        },
    };
    let stage = match kind {
        NetworkErrorKind::Client(_) => Stage::Prepare,
        _ => Stage::Headers,
    };
    let mut fault = Fault::at(shown, stage, kind);
    if let Fault::Network(network) = &mut fault {
        network.retry_after = head.and_then(|head| head.retry_after);
        network.excerpt = excerpt(&innermost(error));
    }
    known(fault)
}

/// No answer came, or the store does not speak HTTP.
fn unanswered(error: &Error, shown: &str) -> Failed {
    if let Some(plain) = find::<PlainHttp>(error) {
        let kind = NetworkErrorKind::Client(plain.to_string());
        return Failed { fault: Fault::at(shown, Stage::Prepare, kind), may_be_past_end: false };
    }
    let http = find::<HttpError>(error).map(HttpError::kind);
    let refused = tls::certificate_refused(error).map(|error| format!("TLS: {error}"));
    let (stage, kind) = match (refused, http) {
        (Some(why), _) => (Stage::Connect, NetworkErrorKind::Protocol(why)),
        (None, Some(HttpErrorKind::Timeout)) => (Stage::Headers, NetworkErrorKind::TimedOut),
        (None, Some(HttpErrorKind::Connect)) => (Stage::Connect, NetworkErrorKind::Connection),
        (None, _) => (Stage::Headers, NetworkErrorKind::Connection),
    };
    let mut fault = Fault::at(shown, stage, kind);
    if let Fault::Network(network) = &mut fault {
        network.source = Some(Box::<dyn StdError + Send + Sync>::from(innermost(error)).into());
    }
    Failed { fault, may_be_past_end: http.is_none() }
}

fn changed() -> Fault {
    let validator = Validator::default();
    Fault::Changed(Box::new(Seen { total: None, validator, content_type: None }))
}

/// The error of type `E` in the chain.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the error at the bottom says.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    let end = (0..=LONGEST.min(text.len())).rfind(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].to_owned()
}

/// Code and message of the document in which stores tell errors. The rest of it may quote what was signed.
fn excerpt(text: &str) -> Option<String> {
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(part, _)| part.trim())
    };
    let code = part("Code")?;
    Some(part("Message").map_or(code.to_owned(), |message| format!("{code}: {message}")))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Version};

    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "test", source: text.to_owned().into() }
    }

    fn kind(failed: Failed) -> NetworkErrorKind {
        failed.fault.network().expect("a network fault").kind.clone()
    }

    #[test]
    fn n1_statuses_stay_typed() {
        let none = Told::default();
        let missing = Error::NotFound { path: "a".into(), source: "no".into() };
        assert_eq!(kind(of(&missing, &none, "u")), NetworkErrorKind::Status(404));
        let denied = Error::PermissionDenied { path: "a".into(), source: "no".into() };
        assert_eq!(kind(of(&denied, &none, "u")), NetworkErrorKind::Status(403));
        let changed = Error::Precondition { path: "a".into(), source: "no".into() };
        assert!(matches!(of(&changed, &none, "u").fault, Fault::Changed(_)));
    }

    #[test]
    fn n4_a_busy_store_is_asked_again_when_it_says() {
        let told = Told::default();
        let mut sent = HeaderMap::new();
        sent.insert(http::header::RETRY_AFTER, 7.into());
        told.note(StatusCode::SERVICE_UNAVAILABLE, Version::HTTP_11, &sent);
        let failed = of(&generic("<Error><Code>SlowDown</Code><X>s</X></Error>"), &told, "u");
        assert!(!failed.may_be_past_end && failed.fault.is_retryable());
        assert_eq!(failed.fault.retry_after(), Some(std::time::Duration::from_secs(7)));
        let network = failed.fault.network().unwrap();
        assert_eq!(network.excerpt.as_deref(), Some("SlowDown"));
    }

    #[test]
    fn n4_what_a_store_of_the_application_says_may_pass() {
        let failed = of(&generic("boom"), &Told::default(), "u");
        assert!(failed.may_be_past_end && failed.fault.is_retryable());
    }

    #[test]
    fn n1_no_url_and_nothing_signed_is_passed_on() {
        let text = "<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message>\
                    <StringToSign>SECRET</StringToSign></Error>";
        assert_eq!(excerpt(text).as_deref(), Some("SignatureDoesNotMatch: No."));
        let source = Box::new(generic("the end"));
        let outer = Error::Generic { store: "https://host/?sig=SECRET", source };
        assert_eq!(innermost(&outer), "the end");
    }
}
