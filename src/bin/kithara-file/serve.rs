//! `serve`: gives every other player the engine, through a local URL.

use std::net::SocketAddr;
use std::path::Path;

use kithara_file::serve::{Catalog, Media, ServeConfig, ServeError, Server};
use kithara_file::{CancellationToken, Config, Engine, OnChange};

use crate::args::{From, Serve};
use crate::failure::{Failure, chain};
use crate::{remark, say, source};

/// Random bytes in a token: no one finds it by trying.
const TOKEN: usize = 16;

/// Size of requests, in bytes, for players that hang up at each seek: the first one is what a player takes before it shows
/// anything, and those for read-ahead end soon, so that a seek finds a connection that was busy a moment ago, its window open.
const PORTION: u64 = 1 << 20;

/// Runs the command.
pub(crate) async fn run(args: Serve, stop: CancellationToken) -> Result<(), Failure> {
    let dir = source::store_dir(args.store.clone())?;
    let mut config = Config::default();
    // A player asks anew when an answer breaks off, and finds the new version.
    config.net.on_change = OnChange::Restart;
    let fetch = &mut config.tunables.fetch;
    (fetch.demand_min, fetch.demand_max, fetch.segment_max) = (PORTION, PORTION, PORTION);
    let engine = Engine::builder().config(config).offline(args.offline).store_dir(&dir).build()?;
    let catalog = Catalog::new(engine, args.config()?)?;
    let (mut all, mut opened) = (Vec::new(), Vec::new());
    for place in &args.urls {
        let path = Path::new(place);
        if path.is_dir() {
            // Opened when they are asked for: there may be more than a program may have open.
            let found = catalog.add_folder(path)?;
            if found.is_empty() {
                remark(&format!("kithara-file: no media file is below {place}"));
            }
            all.extend(found);
            continue;
        }
        let media = match path.is_file() {
            true => catalog.add(path)?,
            false => {
                let (url, headers) = (place.clone(), args.headers.clone());
                catalog.add(From { url, headers, key: None, attempts: None }.source()?)?
            }
        };
        opened.push(media.clone());
        all.push(media);
    }
    let server = Server::bind(&catalog, SocketAddr::new(args.host, args.port))?;
    announce(&server, &catalog, &all)?;
    for media in opened {
        tokio::spawn(open(media));
    }
    server.run(stop).await;
    remark("stopping; what was received is being stored");
    catalog.close().await;
    Ok(())
}

impl Serve {
    fn config(&self) -> Result<ServeConfig, Failure> {
        let mut config = ServeConfig::default();
        config.allow.clone_from(&self.allow);
        config.cors.clone_from(&self.cors);
        config.hosts.clone_from(&self.names);
        config.public = !self.host.is_loopback();
        // Whoever lets others in has them know a secret.
        if self.token || config.public {
            config.token = Some(token()?);
        }
        Ok(config)
    }
}

/// The addresses go to standard output, one a line, so that a script can take them.
fn announce(server: &Server, catalog: &Catalog, all: &[Media]) -> Result<(), Failure> {
    let root = format!("http://{}", server.addr());
    let lines = all.iter().map(|media| format!("{root}{}\n", media.path()));
    say(&lines.collect::<String>())?;
    let token = catalog.config().token.as_ref();
    let token = token.map(|token| format!("{token}/")).unwrap_or_default();
    remark(&format!("page: {root}/{token}   (Ctrl-C ends)"));
    if !catalog.config().allow.is_empty() {
        remark(&format!("what is allowed: {root}/{token}open?url=URL, escaped"));
    }
    Ok(())
}

/// Opens it before the player comes, and says what is wrong with it while somebody looks.
async fn open(media: Media) {
    if let Err(error) = media.open().await {
        remark(&format!("kithara-file: {}: {}", media.name(), chain(&error)));
    }
}

fn token() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Failure::new("the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl std::convert::From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Source(error) => error.into(),
            ServeError::Bind { .. } => {
                Self::new(chain(&error)).advise("choose another --port, or 0 for any")
            }
            ServeError::Folder { .. } => {
                Self::new(chain(&error)).advise("name a folder with fewer, or one that can be read")
            }
            _ => Self::usage(chain(&error)).advise("see --help"),
        }
    }
}
