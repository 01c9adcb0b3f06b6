//! Every other player: a local HTTP server over the engine (feature `serve`).
//!
//! What is in a [`Catalog`] is served at `/<name>` with ranges as RFC 9110 has them. Each request is a cursor in the
//! medium's [`Session`](crate::Session), and all share what is stored. A body is read as fast as its client takes it, so
//! that read-ahead follows what is played; a client that hangs up takes its demand back at once.
//! `docs/SERVE.md` tells what is answered to what.
//!
//! With a listener of its own:
//!
//! ```no_run
//! use kithara_file::serve::{Catalog, ServeConfig, Server};
//! use kithara_file::{CancellationToken, Engine};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::new(Engine::new()?, ServeConfig::default())?;
//! let film = catalog.add("https://media.example/film.mp4")?;
//! let server = Server::bind(&catalog, ([127, 0, 0, 1], 0).into())?;
//! println!("http://{}{}", server.addr(), film.path());
//! let stop = CancellationToken::new(); // cancel it, and `run` returns
//! server.run(stop).await;
//! catalog.close().await; // waits until all that was received is durable
//! # Ok(()) }
//! ```
//!
//! In an application's own server, below a path of its choice:
//!
//! ```
//! use kithara_file::Engine;
//! use kithara_file::serve::{Catalog, ServeConfig, router};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ServeConfig::default();
//! config.hosts.push("player.example".into()); // what others call that server
//! let catalog = Catalog::new(Engine::new()?, config)?;
//! catalog.add("https://media.example/film.mp4")?;
//! let app = axum::Router::<()>::new().nest("/media", router(&catalog)); // serves /media/film.mp4
//! # drop(app);
//! # Ok(()) }
//! ```
//!
//! # Who may ask
//!
//! A request must be addressed to `127.0.0.1`, `[::1]`, `localhost` or one of [`ServeConfig::hosts`], so that no
//! foreign name leads here; it must not come from another origin's page, unless that is one of
//! [`ServeConfig::cors`]; and it must have the [`ServeConfig::token`] in its path if there is one. Only what was added is
//! served, and what [`ServeConfig::allow`] names.

mod allow;
mod body;
mod catalog;
mod conditions;
mod config;
mod connections;
mod entry;
mod error;
mod folder;
mod guard;
mod held;
mod listen;
mod media;
mod names;
mod page;
mod parts;
mod range;
mod refusal;
mod routes;
mod seeks;
mod types;

pub use catalog::{Catalog, Media};
pub use config::ServeConfig;
pub use error::ServeError;
pub use listen::Server;

/// All routes of `catalog`, to be mounted in an application's own server. That one bounds connections and heads.
///
/// The type is that of axum 0.8.
pub fn router(catalog: &Catalog) -> axum::Router {
    routes::router(catalog, None)
}
