//! What the integration tests share. Each test crate uses a part of it.
#![allow(dead_code)]

pub(crate) mod raw;
pub(crate) mod tls;
