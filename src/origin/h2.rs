//! HTTP/2 through hyper: heads are honest in form, bodies follow the script.
//!
//! A step that cuts resets the stream; the connection goes on. Interim heads, raw heads and cuts in a
//! head are HTTP/1.1's alone and are left out here.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;

use super::answer::{Answer, Framing, Step};
use super::log::End;
use super::parts::{Part, Parts};
use super::request::Request;
use super::shared::Shared;
use super::wire::Stream;

/// What hyper may hold of bodies beyond what was sent: little, so that the log tells the truth.
const SEND_BUFFER: usize = 64 * 1024;

/// A body on its way to hyper.
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves a connection until the client ends it.
pub(super) async fn serve(shared: Arc<Shared>, connection: u64, stream: Stream) {
    shared.is_http2(connection);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { respond(shared, connection, &to_request(&request)).await }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_send_buf_size(SEND_BUFFER);
    // How a connection ends is in the log, as the end of its requests.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// The head as the rules know it.
fn to_request(request: &http::Request<Incoming>) -> Request {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let headers = request.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Request::new(request.method().as_str(), target, headers.collect())
}

/// Makes the head of the answer, and lets a task send the body.
async fn respond(
    shared: Arc<Shared>,
    connection: u64,
    request: &Request,
) -> Result<Response<Body>, io::Error> {
    let (number, answer) = shared.begin(connection, request);
    let mut running = Running { shared, number, end: End::Aborted };
    for step in &answer.before_head {
        running.step(step).await?;
    }
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    let headers = response.headers_mut();
    for (name, value) in all_headers(&answer) {
        // What is no header in HTTP/2 is left out.
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    running.shared.head_sent(number);
    if request.method == "HEAD" || matches!(answer.status, 204 | 304) {
        running.end = End::Finished;
        return Ok(response);
    }
    // One run at a time, so that hyper's asking for more is what lets the script go on.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(send_body(running, answer, sender));
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let frame: Result<Frame<Bytes>, io::Error> = receiver.recv().await?;
        Some((frame, receiver))
    });
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    Ok(response)
}

/// The headers with the one that tells the length.
fn all_headers(answer: &Answer) -> Vec<(String, String)> {
    let mut headers = answer.headers.clone();
    let length = match answer.framing {
        Framing::Length => Some(answer.body_len()),
        Framing::Lying(len) => Some(len),
        Framing::Chunked | Framing::Close | Framing::Silent => None,
    };
    headers.extend(length.map(|len| ("content-length".to_owned(), len.to_string())));
    headers
}

/// Sends the body in runs, with the script's steps between them.
async fn send_body(
    mut running: Running,
    answer: Answer,
    sender: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
) {
    let write_size = running.shared.write_size();
    let mut parts = Parts::new(&answer, write_size);
    while let Some(part) = parts.next() {
        match part {
            Part::Bytes(bytes) => {
                let (len, frame) = (bytes.len(), Frame::data(Bytes::copy_from_slice(bytes)));
                if sender.send(Ok(frame)).await.is_err() {
                    return;
                }
                running.shared.body_sent(running.number, len as u64);
            }
            Part::Step(step) => {
                let done = tokio::select! {
                    biased;
                    done = running.step(step) => done,
                    () = sender.closed() => return,
                };
                if let Err(cut) = done {
                    // A closed channel means that the stream is gone already.
                    let _ = sender.send(Err(cut)).await;
                    return;
                }
            }
        }
    }
    running.end = End::Finished;
}

/// An answer under way; dropping it logs its end.
struct Running {
    /// The log.
    shared: Arc<Shared>,
    /// Number of the request.
    number: u64,
    /// How it ended, if it ends now.
    end: End,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.ended(self.number, self.end);
    }
}

impl Running {
    /// Does one step of the script; an error cuts the stream.
    async fn step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Gate(gate) => gate.pass().await,
            Step::Delay(delay) => tokio::time::sleep(*delay).await,
            Step::Stall => std::future::pending().await,
            Step::Reset | Step::Close => {
                self.end = End::Cut;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        Ok(())
    }
}
