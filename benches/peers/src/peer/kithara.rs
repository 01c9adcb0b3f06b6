//! The published crates `kithara-file` and companions: other people's, of the same name and for the same job.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use kithara_assets::AssetStore;
use kithara_bufpool::{OverallBudget, PoolConfig, PoolRegion};
use kithara_stream::Stream;
use peer_kithara_file::{File, FileConfig, FileSrc};
use tokio::runtime::Runtime;

use super::{Peer, Player, runtime};

kithara_bufpool::pool_schema! { Pools { bytes: u8, } }

/// As in their example.
const BUDGET: usize = 64 << 20;

/// Store, pools and a runtime.
pub(crate) struct Published {
    pools: PoolRegion<Pools>,
    store: AssetStore<Pools>,
    runtime: Arc<Runtime>,
}

impl Published {
    pub(crate) fn new() -> Result<Self> {
        let pools = Pools::builder(OverallBudget(BUDGET));
        let pools = pools.bytes(PoolConfig::builder().max_buffers(128).build()).build();
        let pools = pools.map_err(|error| anyhow!("{error:?}"))?;
        // Without a named place the store is a fresh temporary folder.
        let store = AssetStore::builder(pools.clone()).build();
        Ok(Self { pools, store, runtime: Arc::new(runtime()?) })
    }
}

impl Peer for Published {
    fn settings(&self) -> String {
        "kithara-file 0.0.1-alpha5 as published; disk store, buffer pool of 64 MiB, the rest as it comes \
         (look_ahead_bytes unset)"
            .into()
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        let source = FileSrc::Remote(url.parse()?);
        let config =
            FileConfig::for_src(source).store(self.store.clone()).pools(self.pools.clone()).build();
        let open = Stream::<File<Pools>>::new(config);
        let reader = self.runtime.block_on(open).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Box::new(Open { reader, _runtime: self.runtime.clone() }))
    }
}

/// A reader, and the runtime that it needs.
struct Open {
    reader: Stream<File<Pools>>,
    _runtime: Arc<Runtime>,
}

impl Read for Open {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Seek for Open {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

impl Player for Open {}
