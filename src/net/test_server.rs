//! A server for tests that answers with exactly the bytes it is told, and keeps what it was asked.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::sync::{Arc, Mutex};

/// What follows the bytes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The connection takes another request.
    KeepAlive,
    /// The connection is closed in order.
    Close,
    /// Nothing, with the connection open.
    Hang,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

/// `bytes` as they are, and the connection stays.
pub(super) fn reply(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply { bytes: bytes.into(), then: Then::KeepAlive }
}

/// A complete answer: status line, headers, `Content-Length`, body.
pub(super) fn full(status: &str, headers: &[&str], body: &str) -> Reply {
    let len = format!("Content-Length: {}", body.len());
    let mut lines = vec![len.as_str()];
    lines.extend(headers);
    raw(status, &lines, body)
}

/// Status line, headers and body as they are.
pub(super) fn raw(status: &str, headers: &[&str], body: &str) -> Reply {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    reply(text)
}

/// A redirect to `location`.
pub(super) fn redirect(status: u16, location: &str) -> Reply {
    full(&format!("{status} Elsewhere"), &[&format!("Location: {location}")], "")
}

impl Reply {
    /// The same, with something else to follow.
    pub(super) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Which connection it came over, counted from 0.
    pub(super) connection: usize,
    /// Request line and headers.
    pub(super) head: String,
}

impl Asked {
    /// Method and path.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    /// The value of a header, if it came.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let same = |found: &str| found.eq_ignore_ascii_case(name);
        let mut pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        pairs.find(|(found, _)| same(found)).map(|(_, value)| value)
    }
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A running server; it ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Server {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server that answers by `script`.
    pub(super) async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { addr: listener.local_addr().unwrap(), asked: Arc::new(Mutex::new(Vec::new())) };
        let (asked, script): (_, Script) = (server.asked.clone(), Arc::new(script));
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, asked.clone(), script.clone()));
            }
        });
        server
    }

    /// A server that gives these replies in order, and afterwards the last one.
    pub(super) async fn replies(replies: Vec<Reply>) -> Self {
        let count = Mutex::new(0);
        Self::start(move |_| {
            let mut count = count.lock();
            let reply = replies[(*count).min(replies.len() - 1)].clone();
            *count += 1;
            reply
        })
        .await
    }

    /// A URL of this server.
    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.addr)).unwrap()
    }

    /// What came so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// Method and path of what came so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.line().to_owned()).collect()
    }
}

/// Serves one connection.
async fn serve(
    mut stream: TcpStream,
    connection: usize,
    log: Arc<Mutex<Vec<Asked>>>,
    script: Script,
) {
    let mut received = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8(received.drain(..end).collect()).unwrap();
        let asked = Asked { connection, head };
        log.lock().push(asked.clone());
        let reply = script(&asked);
        if stream.write_all(&reply.bytes).await.is_err() {
            return;
        }
        match reply.then {
            Then::KeepAlive => {}
            Then::Close => return,
            Then::Hang => std::future::pending().await,
        }
    }
}
