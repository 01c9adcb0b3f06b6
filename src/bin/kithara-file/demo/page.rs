//! The page beside the demo: the same engine, so that its map moves as the demo reads.

use std::io::SeekFrom;
use std::time::Duration;

use kithara_file::serve::{Catalog, Media, ServeConfig, Server};
use kithara_file::{CancellationToken, Engine};
use tokio::io::AsyncSeekExt as _;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::READ;
use crate::failure::Failure;
use crate::figures::Random;
use crate::remark;

/// When the report is out, the page goes on to show a seek this often.
const WANDER: Duration = Duration::from_secs(1);

/// A server that runs until the program is told to stop.
pub(super) struct Page {
    catalog: Catalog,
    music: Media,
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
        let (stop, opened) = (stop.clone(), music.clone());
        let running = tokio::spawn(async move {
            // What fails here fails in the demo too, which tells it.
            let _ = opened.open().await;
            server.run(stop).await;
        });
        Ok(Self { catalog, music, address, running })
    }

    /// Goes on until the program is told to stop.
    pub(super) async fn until_stopped(self) {
        remark(&format!("play and scrub it at {} yourself; Ctrl-C ends", self.address));
        let wandering = tokio::spawn(async move { wander(&self.music).await });
        let _ = self.running.await;
        wandering.abort();
        self.catalog.close().await;
    }
}

/// Seeks about, so that whoever opens the page late sees it move too, until somebody plays. Ends at any failure.
async fn wander(music: &Media) -> Option<()> {
    let session = music.open().await.ok()?;
    let (before, len) = (session.snapshot().bytes_read, session.len()?);
    let mut reader = session.async_reader();
    let (mut random, mut buf, mut own) = (Random::new(11), vec![0; READ], 0);
    let mut ticks = interval(WANDER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if session.snapshot().bytes_read > before + own {
            return Some(());
        }
        reader.seek(SeekFrom::Start(random.below(len))).await.ok()?;
        own += reader.read(&mut buf).await.ok()? as u64;
    }
}
