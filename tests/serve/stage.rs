//! An origin, a server before it, and a client that sees every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use kithara_file::origin::{Content, Gate, Origin, Rule, pattern};
use kithara_file::serve::{Catalog, Media, ServeConfig, Server};
use kithara_file::{CancellationToken, Config, Engine};

pub(crate) const MIB: u64 = 1 << 20;

/// Only a hang takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs, before an origin with `/file` of self-checking content.
pub(crate) struct Stage {
    pub(crate) origin: Origin,
    pub(crate) catalog: Catalog,
    pub(crate) file: Media,
    pub(crate) addr: SocketAddr,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

/// What may differ from the defaults.
pub(crate) struct Setup {
    pub(crate) engine: Config,
    pub(crate) serve: ServeConfig,
    pub(crate) content: Content,
}

impl Setup {
    pub(crate) fn of(content: Content) -> Self {
        let mut engine = Config::default();
        let retry = &mut engine.tunables.retry;
        retry.max_attempts = 3;
        retry.backoff = Duration::from_millis(1);
        retry.max_backoff = Duration::from_millis(2);
        // Gates hold answers up for as long as they like, and requests are counted.
        engine.tunables.hedging.enabled = false;
        let mut serve = ServeConfig::default();
        serve.grace = Duration::from_millis(100);
        Self { engine, serve, content }
    }

    pub(crate) fn start(self) -> Stage {
        let origin = Origin::start();
        origin.put("/file", self.content);
        let engine = Engine::builder().config(self.engine).build().unwrap();
        let catalog = Catalog::new(engine, self.serve).unwrap();
        let file = catalog.add(origin.url("/file")).unwrap();
        let stop = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let (inside, until) = (catalog.clone(), stop.clone());
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let server = Server::bind(&inside, ([127, 0, 0, 1], 0).into()).unwrap();
                tell.send(server.addr()).unwrap();
                server.run(until).await;
            });
        });
        let addr = told.recv().unwrap();
        Stage { origin, catalog, file, addr, stop, running: Some(running) }
    }
}

impl Stage {
    pub(crate) fn new(len: u64) -> Self {
        Setup::of(Content::pattern(len)).start()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.client().ask(method, path, headers)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers)
    }

    /// Stops the server and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.join().unwrap();
        }
    }

    /// Positions of the file's readers, with clients and without.
    pub(crate) fn cursors(&self) -> Vec<u64> {
        self.file.session().map_or_else(Vec::new, |session| session.snapshot().cursors)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Looks until `holds`; what is looked at must happen in the end.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never happens: {what}");
        std::thread::yield_now();
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    host: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that its head promised.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Status and text, for messages.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host: addr.to_string() }
    }

    /// Sends a request, with our own `Host` unless `headers` has one; `path` may be a whole request target.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
            head.push_str(&format!("Host: {}\r\n", self.host));
        }
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.send_raw(&head);
    }

    pub(crate) fn send_raw(&mut self, head: &str) {
        // Whoever is refused early may find the connection closed.
        let _ = self.stream.write_all(head.as_bytes());
    }

    /// Status and headers; `None` if the connection ends before.
    pub(crate) fn try_head(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("silence"),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Some(Answer { status, headers: headers.collect(), body: Vec::new(), whole: false })
    }

    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        self.try_head().expect("a head comes")
    }

    /// Up to `len` bytes of a body; fewer if the connection ends.
    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        let mut body = Vec::new();
        let _ = (&mut self.stream).take(len as u64).read_to_end(&mut body);
        body
    }

    /// Sends a request and reads all of the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.send(method, path, headers);
        self.answer(method)
    }

    /// Reads the answer to a request with `method`.
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let head = self.head();
        self.body(method, head)
    }

    /// Reads what follows the head of the answer to a request with `method`.
    pub(crate) fn body(&mut self, method: &str, mut answer: Answer) -> Answer {
        let bodiless = method == "HEAD" || matches!(answer.status, 204 | 304);
        if bodiless {
            answer.whole = true;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.whole) = self.chunks();
        } else if let Some(len) = answer.header("content-length") {
            let len = len.parse().unwrap();
            answer.body = self.take(len);
            answer.whole = answer.body.len() == len;
        } else {
            answer.body = self.take(usize::MAX);
            answer.whole = true;
        }
        answer
    }

    /// A chunked body, and whether its last chunk came.
    fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let byte = self.take(1);
                if byte.is_empty() {
                    return (body, false);
                }
                line.extend(byte);
            }
            let line = String::from_utf8(line).unwrap();
            let len = usize::from_str_radix(line.trim(), 16).unwrap();
            let chunk = self.take(len);
            let short = chunk.len() < len;
            body.extend(chunk);
            if short || self.take(2).len() < 2 {
                return (body, false);
            }
            if len == 0 {
                return (body, true);
            }
        }
    }
}
