//! What tells one version of a resource from another (RFC 9110 section 8.8).

/// The validators that came with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Validator {
    /// The entity tag as sent, with its quotes; weak ones keep their `W/`.
    pub(crate) etag: Option<String>,
    /// `Last-Modified` as sent.
    pub(crate) last_modified: Option<String>,
    /// Whether `last_modified` was at least 60 s older than `Date`, and so is strong (RFC 9110
    /// section 8.8.2.2).
    pub(crate) strong_date: bool,
}

/// What comparing two validators tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A strong validator agrees.
    Same,
    /// A validator disagrees.
    Different,
    /// There is nothing strong to compare; only the length can tell.
    Unknown,
}

impl Validator {
    /// The entity tag, if it is a strong one.
    pub(crate) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/"))
    }

    /// What goes out as `If-Range`: a strong tag, else a strong date (RFC 9110 section 13.1.5).
    pub(crate) fn if_range(&self) -> Option<&str> {
        match &self.etag {
            Some(_) => self.strong_etag(),
            None => self.last_modified.as_deref().filter(|_| self.strong_date),
        }
    }

    /// Compares what is stored (`self`) with what an answer says. An answer that lacks a validator
    /// says nothing about it; CDNs strip tags.
    pub(crate) fn compare(&self, answer: &Self) -> Comparison {
        if let (Some(a), Some(b)) = (&self.etag, &answer.etag) {
            let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
            if weak(a) != weak(b) {
                return Comparison::Different;
            }
            if self.strong_etag().is_some() && answer.strong_etag().is_some() {
                return Comparison::Same;
            }
            return Comparison::Unknown;
        }
        match (&self.last_modified, &answer.last_modified) {
            (Some(a), Some(b)) if a != b => Comparison::Different,
            (Some(_), Some(_)) if self.strong_date => Comparison::Same,
            _ => Comparison::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Validator};

    fn tag(tag: &str) -> Validator {
        Validator { etag: Some(tag.into()), ..Validator::default() }
    }

    fn date(date: &str, strong: bool) -> Validator {
        Validator { last_modified: Some(date.into()), strong_date: strong, ..Validator::default() }
    }

    #[test]
    fn n8_a_weak_tag_never_goes_out_as_if_range() {
        assert_eq!(tag("\"a\"").if_range(), Some("\"a\""));
        assert_eq!(tag("W/\"a\"").if_range(), None);
        assert_eq!(date("d", true).if_range(), Some("d"));
        assert_eq!(date("d", false).if_range(), None);
        // A weak tag says that the bytes may differ, so the date beside it is no proof either.
        let both = Validator { etag: Some("W/\"a\"".into()), ..date("d", true) };
        assert_eq!(both.if_range(), None);
    }

    #[test]
    fn n8_comparison_knows_same_different_and_unknown() {
        assert_eq!(tag("\"a\"").compare(&tag("\"a\"")), Comparison::Same);
        assert_eq!(tag("\"a\"").compare(&tag("\"b\"")), Comparison::Different);
        assert_eq!(tag("W/\"a\"").compare(&tag("W/\"a\"")), Comparison::Unknown);
        assert_eq!(tag("W/\"a\"").compare(&tag("W/\"b\"")), Comparison::Different);
        assert_eq!(tag("\"a\"").compare(&Validator::default()), Comparison::Unknown);
        assert_eq!(date("d", true).compare(&date("d", true)), Comparison::Same);
        assert_eq!(date("d", false).compare(&date("d", false)), Comparison::Unknown);
        assert_eq!(date("d", false).compare(&date("e", false)), Comparison::Different);
    }
}
