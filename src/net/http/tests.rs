//! The client against a server that answers with exactly the bytes it is told.

mod answers;
mod client;
mod errors;
mod h2;
mod places;
mod spare;

use super::*;
use crate::byte_range::ByteRange;
use crate::net::body::BodyEnd;
use crate::net::test_server::{Reply, Server, full, raw};
use crate::net::{AnswerShape, BoundHeader};

/// A client as the engine has it, without the decorators.
fn net() -> HttpNet {
    HttpNet::new(&Config::default(), None).unwrap()
}

fn net_with(change: impl FnOnce(&mut Config)) -> HttpNet {
    let mut config = Config::default();
    change(&mut config);
    HttpNet::new(&config, None).unwrap()
}

/// A source at `path` of `server`.
fn at(server: &Server, path: &str) -> Arc<Target> {
    Target::new(server.url(path), Vec::new(), None).unwrap()
}

fn ask(start: u64, end: u64) -> RangeRequest {
    RangeRequest::of(ByteRange::new(start, end))
}

/// The ten bytes `0123456789`, as a part of them.
fn part(start: usize, end: usize) -> Reply {
    let range = format!("Content-Range: bytes {start}-{}/10", end - 1);
    full("206 Partial Content", &[&range], &"0123456789"[start..end])
}

/// Everything a body gives, and its end.
async fn read(answer: &mut Answer) -> Result<(String, BodyEnd), Fault> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.body.chunk().await? {
        text.extend_from_slice(&chunk);
    }
    Ok((String::from_utf8(text).unwrap(), answer.body.end().unwrap()))
}

/// Asks for bytes and reads them.
async fn fetch(net: &HttpNet, target: &Arc<Target>, start: u64, end: u64) -> (String, BodyEnd) {
    let mut answer = net.get_range(Lane::Demand, target.clone(), ask(start, end)).await.unwrap();
    read(&mut answer).await.unwrap()
}

/// The network error of a call that has to fail.
async fn failed(net: &HttpNet, target: &Arc<Target>, request: RangeRequest) -> NetworkError {
    match net.get_range(Lane::Demand, target.clone(), request).await {
        Err(Fault::Network(error)) => *error,
        other => panic!("{other:?}"),
    }
}
