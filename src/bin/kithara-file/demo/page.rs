//! The page beside the demo: the same engine, so that its map moves as the demo reads.

use kithara_file::serve::{Catalog, ServeConfig, Server};
use kithara_file::{CancellationToken, Engine};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::remark;

/// A server that runs until the program is told to stop.
pub(super) struct Page {
    catalog: Catalog,
    address: String,
    running: JoinHandle<()>,
}

impl Page {
    /// Serves the music at `url` through `engine`, and says where.
    pub(super) fn open(
        engine: &Engine,
        url: &str,
        port: u16,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let catalog = Catalog::new(engine.clone(), ServeConfig::default())?;
        let music = catalog.add(url)?;
        let server = Server::bind(&catalog, ([127, 0, 0, 1], port).into())?;
        let address = format!("http://{}/", server.addr());
        remark(&format!(
            "to watch, open {address} in a browser (playing there takes its share of the link)"
        ));
        let stop = stop.clone();
        let running = tokio::spawn(async move {
            // What fails here fails in the demo too, which tells it.
            let _ = music.open().await;
            server.run(stop).await;
        });
        Ok(Self { catalog, address, running })
    }

    /// Goes on until the program is told to stop.
    pub(super) async fn until_stopped(self) {
        remark(&format!("play and scrub it at {} yourself; Ctrl-C ends", self.address));
        let _ = self.running.await;
        self.catalog.close().await;
    }
}
