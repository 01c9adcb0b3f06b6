//! Which version of the resource a session reads.

use super::Session;
#[cfg(feature = "serve")]
use crate::validator::Validator;

impl Session {
    /// The entity tag of what is read, as the server sent it: with its quotes, a weak one with its `W/` (RFC 9110 section
    /// 8.8.3). Also known from the store, before any answer. A local file has one made of its length and time of change.
    pub fn etag(&self) -> Option<String> {
        self.shared.resource.info().validator?.etag
    }

    /// When what is read was last changed, as the server sent it (RFC 9110 section 8.8.2), or as the file says.
    pub fn last_modified(&self) -> Option<String> {
        self.shared.resource.info().validator?.last_modified
    }

    /// What an answer over HTTP says of the resource, all of one generation. Does not count as told to the
    /// application: whoever passes it on must see afterwards whether it still holds.
    #[cfg(feature = "serve")]
    pub(crate) fn version(&self) -> Version {
        let resource = &self.shared.resource;
        loop {
            let info = resource.info();
            let len = resource.bytes.len();
            // A restart begins with the one and ends with the other, on one thread without waiting.
            if resource.bytes.generation() == info.generation
                && resource.info().generation == info.generation
            {
                let validator = info.validator.unwrap_or_default();
                let (generation, content_type) = (info.generation, info.content_type);
                return Version { generation, len, validator, content_type };
            }
            std::thread::yield_now();
        }
    }
}

/// What an answer over HTTP says of a resource.
#[cfg(feature = "serve")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Counts the restarts.
    pub(crate) generation: u64,
    /// Length in bytes, if known.
    pub(crate) len: Option<u64>,
    /// What tells it from other versions.
    pub(crate) validator: Validator,
    /// Media type.
    pub(crate) content_type: Option<String>,
}
