//! The local HTTP server, over real sockets: what `docs/SERVE.md` says is answered to what.
//!
//! The clients here write their requests byte by byte, so that nothing is polite on the way.

#![allow(clippy::unwrap_used, missing_docs)]
#![cfg(all(feature = "serve", feature = "origin"))]

#[path = "serve/bounds.rs"]
mod bounds;
#[path = "serve/cases.rs"]
mod cases;
#[path = "serve/clients.rs"]
mod clients;
#[path = "serve/conformance.rs"]
mod conformance;
#[path = "serve/folder.rs"]
mod folder;
#[path = "serve/guarding.rs"]
mod guarding;
#[path = "serve/page.rs"]
mod page;
#[path = "serve/stage.rs"]
mod stage;
#[path = "serve/trouble.rs"]
mod trouble;
