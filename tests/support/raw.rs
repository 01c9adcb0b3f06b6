//! A client that sees every byte: one blocking socket, no pool, no retries, no politeness.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection.
pub(crate) struct Raw {
    /// The socket.
    pub(crate) stream: TcpStream,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// Status code.
    pub(crate) status: u16,
    /// In order; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of the header `name` (lower case).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `Content-Length` as a number.
    pub(crate) fn len(&self) -> usize {
        let len = self.get("content-length").expect("an answer with a length");
        len.parse().expect("a length that is a number")
    }
}

impl Raw {
    /// Connects; reads are bounded so that a silent origin fails the test.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the origin accepts");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a bound is set");
        stream.set_nodelay(true).expect("small writes go at once");
        Self { stream }
    }

    /// Sends a request; `headers` are whole lines without their ends.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: origin\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).expect("a request is sent");
    }

    /// Reads byte by byte up to the empty line, and not a byte further.
    pub(crate) fn try_head(&mut self) -> io::Result<Head> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head in ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header line");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Ok(Head { status: status.parse().expect("a status"), headers: headers.collect() })
    }

    /// The head of the next answer.
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().expect("a head comes")
    }

    /// Exactly `len` bytes.
    pub(crate) fn exactly(&mut self, len: usize) -> Vec<u8> {
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).expect("so many bytes come");
        body
    }

    /// Whatever comes, and how it ended.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut body = Vec::new();
        let end = self.stream.read_to_end(&mut body).map(drop);
        (body, end)
    }

    /// Sends a GET and reads the answer by its length.
    pub(crate) fn get(&mut self, path: &str, headers: &[&str]) -> (Head, Vec<u8>) {
        self.send("GET", path, headers);
        let head = self.head();
        let body = self.exactly(head.len());
        (head, body)
    }
}
