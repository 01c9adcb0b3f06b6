//! The crate `stream-download`: one request at a time into a temporary file.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use stream_download::http::HttpStream;
use stream_download::http::reqwest::Client;
use stream_download::storage::temp::TempStorageProvider;
use stream_download::{Settings, StreamDownload};
use tokio::runtime::Runtime;

use super::{Peer, Player, runtime};

/// Its default makes every read after a seek wait for 256 KiB; it is read here as soon as a block is there.
const PREFETCH: u64 = 4096;

/// Its default, the granularity of a wake-up.
const BATCH: usize = 4096;

/// The client and a runtime for its tasks.
pub(crate) struct StreamDownloads {
    client: Client,
    runtime: Arc<Runtime>,
}

impl StreamDownloads {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { client: Client::new(), runtime: Arc::new(runtime()?) })
    }
}

impl Peer for StreamDownloads {
    fn settings(&self) -> String {
        format!(
            "stream-download 0.24.5 over reqwest; temporary file; prefetch_bytes {PREFETCH} (default 262144, which \
             delays each first byte), batch_write_size {BATCH} (default), retry_timeout 5 s (default)"
        )
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        let settings = Settings::default().prefetch_bytes(PREFETCH);
        let open = async {
            let stream = HttpStream::new(self.client.clone(), url.parse()?).await;
            let stream = stream.map_err(|error| anyhow!("{error}"))?;
            let reader = StreamDownload::from_stream(stream, TempStorageProvider::new(), settings);
            reader.await.map_err(|error| anyhow!("{error}"))
        };
        let reader = self.runtime.block_on(open)?;
        Ok(Box::new(Open { reader, _runtime: self.runtime.clone() }))
    }
}

/// A reader, and the runtime that it needs.
struct Open {
    reader: StreamDownload<TempStorageProvider>,
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
