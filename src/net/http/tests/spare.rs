//! Spare connections: opened without a request, taken by the first one that finds no idle connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// The URL of a listener.
fn url_of(listener: &TcpListener) -> Url {
    Url::parse(&format!("http://{}/f", listener.local_addr().unwrap())).unwrap()
}

fn target(listener: &TcpListener) -> Arc<Target> {
    Target::new(url_of(listener), Vec::new(), None).unwrap()
}

/// Over which connection a request for nine bytes goes, and what that connection was.
async fn use_of(net: &HttpNet, lane: Lane, target: &Arc<Target>) -> ConnectionUse {
    let mut answer = net.get_range(lane, target.clone(), ask(0, 9)).await.unwrap();
    read(&mut answer).await.unwrap();
    answer.connection
}

#[tokio::test]
async fn p3_a_request_takes_the_spare_connection_and_the_next_one_uses_it_again() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let (net, target) = (net(), at(&server, "/f"));
    let spare = net.preconnect(target.clone()).await;
    assert!(spare.is_some());
    assert!(server.asked().is_empty(), "nothing is asked for over it");
    assert_eq!(use_of(&net, Lane::Demand, &target).await, ConnectionUse::Spare);
    assert_eq!(use_of(&net, Lane::Demand, &target).await, ConnectionUse::Reused);
    drop(spare);
    assert_eq!(use_of(&net, Lane::Demand, &target).await, ConnectionUse::Reused);
    let connections: Vec<usize> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn p3_a_request_that_finds_an_idle_connection_leaves_the_spare_one_alone() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let (net, target) = (net(), at(&server, "/f"));
    assert_eq!(use_of(&net, Lane::Demand, &target).await, ConnectionUse::New);
    let _spare = net.preconnect(target.clone()).await.unwrap();
    assert_eq!(use_of(&net, Lane::Demand, &target).await, ConnectionUse::Reused);
    // Two at once: the idle one, and the spare one.
    let (a, b) = (net.get_range(Lane::Demand, target.clone(), ask(0, 9)), async {
        net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await
    });
    let (a, b) = tokio::join!(a, b);
    let uses = [a.unwrap().connection, b.unwrap().connection];
    assert_eq!(uses, [ConnectionUse::Reused, ConnectionUse::Spare]);
}

#[tokio::test]
async fn p3_other_lanes_and_other_origins_never_get_it() {
    let (here, there) =
        (Server::replies(vec![part(0, 9)]).await, Server::replies(vec![part(0, 9)]).await);
    let net = net();
    let _spare = net.preconnect(at(&here, "/f")).await.unwrap();
    assert_eq!(use_of(&net, Lane::Demand, &at(&there, "/f")).await, ConnectionUse::New);
    assert_eq!(use_of(&net, Lane::Bulk(0), &at(&here, "/f")).await, ConnectionUse::New);
    assert_eq!(use_of(&net, Lane::Demand, &at(&here, "/f")).await, ConnectionUse::Spare);
}

#[tokio::test]
async fn p3_a_spare_connection_that_the_server_has_closed_is_not_used() {
    for farewell in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (net, target) = (net(), target(&listener));
        let _spare = net.preconnect(target.clone()).await.unwrap();
        let (mut first, _) = listener.accept().await.unwrap();
        first.write_all(farewell).await.unwrap();
        first.shutdown().await.unwrap();
        settle().await;
        let answering = async {
            let (mut second, _) = listener.accept().await.unwrap();
            let mut head = [0; 512];
            let _ = second.read(&mut head).await.unwrap();
            let body = "HTTP/1.1 206 P\r\nContent-Range: bytes 0-8/10\r\nContent-Length: 9\r\n\r\n012345678";
            second.write_all(body.as_bytes()).await.unwrap();
        };
        let (connection, ()) = tokio::join!(use_of(&net, Lane::Demand, &target), answering);
        assert_eq!(connection, ConnectionUse::New);
    }
}

/// Until the runtime has heard of all that loopback has delivered: events are heard in their order.
async fn settle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    client.write_all(b"!").await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn d1_dropping_a_spare_connection_closes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let net = net();
    let spare = net.preconnect(target(&listener)).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(spare);
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "not a byte came");
}

#[tokio::test]
async fn p3_a_request_waits_for_a_spare_connection_that_is_being_opened() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let (net, target) = (net(), at(&server, "/f"));
    let (spare, connection) =
        tokio::join!(net.preconnect(target.clone()), use_of(&net, Lane::Demand, &target));
    assert!(spare.is_some());
    assert_eq!(connection, ConnectionUse::Spare);
}

#[tokio::test]
async fn n1_a_spare_connection_that_cannot_be_opened_is_none_and_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(&listener);
    drop(listener);
    let net = net();
    assert!(net.preconnect(target.clone()).await.is_none());
    let error = failed(&net, &target, ask(0, 9)).await;
    assert_eq!(error.stage, Stage::Connect, "{error}");
}
