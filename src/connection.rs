//! What is known about the connection that a request went over.

/// Whether a connection had to be made for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionUse {
    /// Made for this request.
    New,
    /// Made before, and used for the first time.
    Spare,
    /// Used before.
    Reused,
}

impl ConnectionUse {
    /// What spans call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Spare => "spare",
            Self::Reused => "reused",
        }
    }
}
