//! What the integration tests share. Each test crate uses a part of it.
#![allow(dead_code)]

pub(crate) mod bounded;
pub(crate) mod checked;
pub(crate) mod raw;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod wakes;
