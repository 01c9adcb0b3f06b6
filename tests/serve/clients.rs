//! What clients do: many at once, slow ones, ones that hang up and come back.

use std::time::Duration;

use crate::stage::{Client, Content, Gate, MIB, Rule, Setup, Stage, eventually, pattern};

/// A hundred clients of one resource, each from where `start` says.
fn a_hundred_clients(start: impl Fn(u64) -> u64 + Sync) -> Stage {
    let stage = Stage::new(LEN);
    std::thread::scope(|scope| {
        for number in 0..100_u64 {
            let (stage, start) = (&stage, &start);
            scope.spawn(move || {
                let start = start(number);
                let answer = stage.get("/file", &[&format!("Range: bytes={start}-")]);
                assert!(answer.whole && answer.status == 206, "{}", answer.status);
                assert_eq!(answer.body.len() as u64, LEN - start);
                assert_eq!(pattern::first_wrong(&answer.body, start, 0), None);
            });
        }
    });
    stage
}

const LEN: u64 = 4 * MIB + 77;

/// Each byte crosses the network once, as the origin's log has it.
#[test]
fn p6_a_hundred_clients_at_once_fetch_each_byte_once() {
    let stage = a_hundred_clients(|_| 0);
    let log = stage.origin.log();
    assert_eq!(log.sent_twice("/file"), 0);
    assert_eq!(log.body_bytes(), LEN);
}

/// Where requests meet some bytes may come twice; each client gets its own.
#[test]
fn a_hundred_clients_at_different_places_share_what_comes() {
    let stage = a_hundred_clients(|number| number * LEN / 100);
    let snapshot = stage.file.session().unwrap().snapshot();
    assert!(snapshot.complete);
    assert!(snapshot.bytes_fetched - snapshot.bytes_wasted <= LEN, "{snapshot:?}");
    assert!(snapshot.bytes_fetched < 2 * LEN, "a hundred would be {}", 50 * LEN);
}

/// A huge resource, of which only a little is read ahead.
fn huge(linger: Duration) -> Setup {
    let mut setup = Setup::of(Content::pattern(1 << 40));
    let readahead = &mut setup.engine.tunables.readahead;
    readahead.initial_window = 256 << 10;
    readahead.min_window = MIB;
    readahead.max_window = 4 * MIB;
    setup.serve.linger = linger;
    setup
}

/// What may lie between the origin and a client that takes nothing: the window, what is in flight at its edge, and what
/// the system and hyper buffer.
const SLACK: u64 = 4 * MIB + 8 * MIB + 8 * MIB;

/// `bytes=0-` of a terabyte, and nobody reads.
#[test]
fn an_open_ended_request_fetches_no_more_than_is_read_ahead() {
    let stage = huge(Duration::from_secs(5)).start();
    let mut client = stage.client();
    client.send("GET", "/file", &["Range: bytes=0-"]);
    assert_eq!(client.head().status, 206);
    let taken = client.take(MIB as usize);
    assert_eq!(pattern::first_wrong(&taken, 0, 0), None);
    // Requests end at their bounds, and then there is silence.
    let log = stage.origin.wait_until(|log| log.body_bytes() > MIB && log.running() == 0);
    assert!(log.body_bytes() <= MIB + SLACK, "{} bytes", log.body_bytes());
    // It goes on where the client goes on.
    let taken = client.take(2 * SLACK as usize);
    assert_eq!(taken.len() as u64, 2 * SLACK);
    assert_eq!(pattern::first_wrong(&taken, MIB, 0), None);
    let fetched = stage.origin.log().body_bytes();
    assert!(fetched <= MIB + 3 * SLACK, "{fetched} bytes");
}

#[test]
fn a_client_that_hangs_up_leaves_nothing_behind_once_it_had_time_to_come_back() {
    let stage = huge(Duration::from_millis(1)).start();
    let mut client = stage.client();
    client.send("GET", "/file", &["Range: bytes=1000000-"]);
    client.head();
    let taken = client.take(MIB as usize);
    assert_eq!(pattern::first_wrong(&taken, 1_000_000, 0), None);
    drop(client);
    eventually("its reader goes", || stage.cursors().is_empty());
    let log = stage.origin.wait_until(|log| log.running() == 0);
    assert!(log.body_bytes() <= MIB + SLACK, "{} bytes", log.body_bytes());
    // Whatever else happens, nothing more is asked for it.
    stage.origin.put("/other", Content::pattern(MIB));
    stage.catalog.add(stage.origin.url("/other")).unwrap();
    assert!(stage.get("/other", &[]).whole);
    assert_eq!(stage.origin.log().of("/file").count(), log.of("/file").count());
}

/// Before a head was sent, and after: the reader is free at once, with nothing that it waits for.
#[test]
fn a_client_that_hangs_up_withdraws_what_it_waits_for() {
    // Nobody is waited for, so a reader that is free is seen by its absence.
    let stage = huge(Duration::ZERO).start();
    let gate = Gate::new();
    let far = 1 << 30;
    stage.origin.rule("/file", Rule::gate_head(&gate).starting_at(far));
    stage.origin.rule("/file", Rule::gate_body(1000, &gate).starting_at(2 * far));
    for start in [far, 2 * far] {
        let mut client = stage.client();
        client.send("GET", "/file", &[&format!("Range: bytes={start}-")]);
        if start == 2 * far {
            client.head();
            assert_eq!(client.take(1000).len(), 1000);
        }
        gate.wait_arrived(start / far);
        assert_eq!(stage.cursors().len(), 1);
        drop(client);
        eventually("its reader is free", || stage.cursors().is_empty());
        let session = stage.file.session().unwrap();
        eventually("nothing is wanted", || session.snapshot().wanted.is_empty());
    }
    gate.open();
    let log = stage.origin.wait_until(|log| log.running() == 0);
    assert!(log.body_bytes() <= SLACK, "{} bytes", log.body_bytes());
}

/// A player seeks by asking anew: to the engine that is one reader that seeks. On one connection, since there the next
/// request is looked at when the last one has ended; a hang-up is seen when it is seen.
#[test]
fn a_player_that_comes_back_goes_on_with_its_reader() {
    let stage = huge(Duration::from_secs(600)).start();
    let mut client = stage.client();
    for seek in 0..20_u64 {
        let start = (seek * 7919 % 31) * 3 * MIB;
        let range = format!("Range: bytes={start}-{}", start + 65_535);
        let answer = client.ask("GET", "/file", &[&range]);
        assert_eq!(pattern::first_wrong(&answer.body, start, 0), None);
        assert_eq!((answer.body.len(), stage.cursors().len()), (65_536, 1));
    }
    drop(client);
    let mut clients: Vec<_> = (0..8).map(|_| stage.client()).collect();
    for client in &mut clients {
        client.send("GET", "/file", &["Range: bytes=0-"]);
        client.head();
    }
    eventually("each has its own", || stage.cursors().len() == 8);
    drop(clients);
    eventually("few wait for their players", || stage.cursors().len() == 4);
}

const PLAYER: &str = "User-Agent: player/1";

/// A client that was sent the first MiB and takes no more, and one that then asks for what is far away, and gets it.
fn two_clients(stage: &Stage, first: &str, second: &str) -> (Client, Client) {
    let mut clients = (stage.client(), stage.client());
    for (client, start, name) in [(&mut clients.0, 0, first), (&mut clients.1, 1 << 30, second)] {
        client.send("GET", "/file", &[&format!("Range: bytes={start}-"), name]);
        assert_eq!(client.head().status, 206);
        let taken = client.take(MIB as usize);
        assert_eq!(taken.len() as u64, MIB);
        assert_eq!(pattern::first_wrong(&taken, start, 0), None);
    }
    clients
}

/// As FFmpeg seeks: it hangs up only when the head of the next answer is there.
#[test]
fn a_player_that_hangs_up_after_it_asked_anew_is_one_reader_that_seeks() {
    let stage = huge(Duration::from_secs(600)).start();
    let (old, new) = two_clients(&stage, PLAYER, PLAYER);
    assert_eq!(stage.cursors().len(), 1);
    assert!(stage.cursors()[0] > 1 << 30, "{:?}", stage.cursors());
    drop((old, new));
    eventually("the only reader waits", || {
        stage.file.session().unwrap().snapshot().wanted.is_empty()
    });
    assert_eq!(stage.cursors().len(), 1);
}

#[test]
fn players_of_different_kinds_do_not_take_each_others_readers() {
    let stage = huge(Duration::from_secs(600)).start();
    let _clients = two_clients(&stage, PLAYER, "User-Agent: another/1");
    assert_eq!(stage.cursors().len(), 2);
}

/// Two of one kind: the first one is served on, and the next ones take from nobody.
#[test]
fn an_answer_that_lost_its_reader_and_is_read_on_gets_another() {
    let stage = huge(Duration::from_secs(600)).start();
    let (mut old, _new) = two_clients(&stage, PLAYER, PLAYER);
    assert_eq!(stage.cursors().len(), 1);
    let taken = old.take(2 * SLACK as usize);
    assert_eq!(taken.len() as u64, 2 * SLACK);
    assert_eq!(pattern::first_wrong(&taken, MIB, 0), None);
    assert_eq!(stage.cursors().len(), 2);
    let mut third = stage.client();
    third.send("GET", "/file", &["Range: bytes=5000000000-", PLAYER]);
    assert_eq!(third.head().status, 206);
    assert_eq!(stage.cursors().len(), 3);
}

/// Connections are kept, and each request on one is a request.
#[test]
fn one_connection_serves_many_requests() {
    let stage = Stage::new(MIB);
    let mut client = stage.client();
    for start in [0_u64, 999, 500_000, 7] {
        let end = start + 1000;
        let answer = client.ask("GET", "/file", &[&format!("Range: bytes={start}-{end}")]);
        assert_eq!((answer.status, answer.body.len()), (206, 1001));
        assert_eq!(pattern::first_wrong(&answer.body, start, 0), None);
    }
    assert_eq!(client.ask("HEAD", "/file", &[]).status, 200);
    assert!(client.ask("GET", "/file", &[]).whole);
}

/// Without a known length there are no ranges; once it is known, there are.
#[test]
fn a_resource_of_unknown_length_is_served_whole_and_with_ranges_when_it_is_known() {
    let stage = Setup::of(Content::pattern(300_000).no_ranges()).start();
    let gate = Gate::new();
    let chunked = Rule::framing(kithara_file::origin::Framing::Chunked);
    stage.origin.rule("/file", chunked.and(Rule::gate_body(200_000, &gate)));
    let mut client = stage.client();
    client.send("GET", "/file", &["Range: bytes=100-"]);
    let head = client.head();
    gate.open();
    let answer = client.body("GET", head);
    assert!(answer.whole, "{:?}", answer.headers);
    assert_eq!((answer.status, answer.body.len()), (200, 300_000));
    assert_eq!(pattern::first_wrong(&answer.body, 0, 0), None);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("accept-ranges"), Some("none"));
    let answer = stage.get("/file", &["Range: bytes=100-"]);
    assert_eq!((answer.status, answer.body.len()), (206, 299_900));
}

#[test]
fn a_stop_lets_what_ends_soon_end_and_breaks_off_the_rest() {
    let mut stage = huge(Duration::from_secs(5)).start();
    let mut endless = stage.client();
    endless.send("GET", "/file", &["Range: bytes=0-"]);
    endless.head();
    let idle = stage.client();
    stage.stop();
    let rest = endless.take(usize::MAX);
    assert!((rest.len() as u64) < (1 << 40));
    assert_eq!(pattern::first_wrong(&rest, 0, 0), None);
    drop(idle);
    assert!(std::net::TcpStream::connect(stage.addr).is_err(), "nobody listens any more");
}
