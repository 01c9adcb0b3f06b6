//! Who is let in: names, pages, tokens, lists; and paths that want to lead elsewhere.

use kithara_file::serve::{Catalog, ServeConfig, ServeError, Server, router};
use kithara_file::{CancellationToken, Engine};

use crate::stage::{Content, MIB, Setup, Stage, pattern};

fn with(change: impl FnOnce(&mut ServeConfig)) -> Stage {
    let mut setup = Setup::of(Content::pattern(1000));
    change(&mut setup.serve);
    setup.start()
}

/// A page that has its own name lead to 127.0.0.1 is still addressed by that name.
#[test]
fn a_foreign_name_does_not_lead_here() {
    let stage = Stage::new(1000);
    let port = stage.addr.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let answer = stage.get("/file", &[&format!("Host: {host}:{port}")]);
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
    let other = port.wrapping_add(1).max(1);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("0.0.0.0:{port}"),
        format!("127.0.0.1:{other}"),
        "127.0.0.1".to_owned(),
        format!("x@127.0.0.1:{port}"),
        format!("2130706433:{port}"),
    ] {
        let answer = stage.get("/file", &[&format!("Host: {host}")]);
        assert!(matches!(answer.status, 421 | 400), "{host}: {}", answer.text());
        assert!(!answer.body.is_empty());
    }
    for host in ["", "a b", "/", "["] {
        let answer = stage.get("/file", &[&format!("Host: {host}")]);
        assert!(matches!(answer.status, 421 | 400), "{host:?}: {}", answer.text());
    }
    // A whole URL in the request line is what counts.
    assert_eq!(stage.get("http://evil.example/file", &[]).status, 421);
    let whole = format!("http://127.0.0.1:{port}/file");
    assert_eq!(stage.get(&whole, &[]).status, 200);
    assert_eq!(stage.origin.log().of("/file").filter(|it| it.method != "GET").count(), 0);
}

#[test]
fn a_name_that_is_ours_leads_here() {
    let stage = with(|config| config.hosts = vec!["Player.Example".into()]);
    assert_eq!(stage.get("/file", &["Host: player.example"]).status, 200);
    assert_eq!(stage.get("/file", &["Host: player.example:8443"]).status, 200);
    assert_eq!(stage.get("/file", &["Host: other.example"]).status, 421);
}

#[test]
fn a_page_of_another_origin_reads_nothing() {
    let stage = Stage::new(1000);
    let own = format!("Origin: http://{}", stage.addr);
    for headers in [
        &["Origin: https://evil.example"][..],
        &["Origin: null"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: video"],
        &["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: audio"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
    ] {
        for path in ["/file", "/", "/open?url=http://127.0.0.1:1/"] {
            let answer = stage.get(path, headers);
            assert_eq!(answer.status, 403, "{headers:?}");
            assert!(!answer.headers.iter().any(|(name, _)| name.contains("allow-origin")));
        }
    }
    for headers in [
        &[][..],
        &[own.as_str()],
        &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: video"],
        &["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ] {
        let answer = stage.get("/file", headers);
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let answer = stage.ask("OPTIONS", "/file", &["Origin: https://evil.example"]);
    assert_eq!(answer.status, 403);
}

#[test]
fn a_page_that_was_named_may_read() {
    let stage = with(|config| config.cors = vec!["https://app.example".into()]);
    let answer = stage.get("/file", &["Origin: https://app.example", "Range: bytes=0-4"]);
    assert_eq!(answer.status, 206);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("Content-Range"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = stage.ask(
        "OPTIONS",
        "/file",
        &["Origin: https://app.example", "Access-Control-Request-Headers: range"],
    );
    assert_eq!(answer.status, 204);
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Range"));
    for origin in ["https://evil.example", "http://app.example", "https://app.example:8443"] {
        assert_eq!(stage.get("/file", &[&format!("Origin: {origin}")]).status, 403, "{origin}");
    }
}

#[test]
fn without_the_token_nothing_is_told() {
    const TOKEN: &str = "0123456789abcdef";
    let stage = with(|config| config.token = Some(TOKEN.into()));
    assert_eq!(stage.file.path(), format!("/{TOKEN}/file"));
    assert_eq!(stage.get(&stage.file.path(), &["Range: bytes=0-4"]).body.len(), 5);
    assert_eq!(stage.get(&format!("/{TOKEN}/"), &[]).status, 200);
    for (end, lead) in [("/", ""), ("", "./0123456789abcdef/")] {
        let page = stage.get(&format!("/{TOKEN}{end}"), &["Accept: text/html"]);
        assert!(page.text().contains(&format!("src=\"{lead}_/page.js\"")), "{}", page.text());
    }
    assert_eq!(stage.get(&format!("/{TOKEN}/none"), &[]).status, 404);
    for path in [
        "/file",
        "/",
        "/none",
        "/0123456789abcdee/file",
        "/0123456789abcde/file",
        "/0123456789abcdef0/file",
        "//0123456789abcdef/file",
        "/%30123456789abcdef/file",
    ] {
        assert_eq!(stage.get(path, &[]).status, 403, "{path}");
    }
}

#[test]
fn no_path_leads_to_a_file() {
    let stage = Stage::new(1000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.mp3");
    std::fs::write(&path, pattern::bytes(0, 100, 0)).unwrap();
    stage.catalog.add(path.as_path()).unwrap();
    assert_eq!(stage.get("/secret.mp3", &[]).body.len(), 100);
    let whole = format!("/{}", path.display());
    for path in [
        "/../secret.mp3",
        "/./secret.mp3",
        "//secret.mp3",
        "/x/../secret.mp3",
        "/%2e%2e/secret.mp3",
        "/..%2fsecret.mp3",
        "/..%5csecret.mp3",
        "/secret.mp3/",
        "/secret.mp3%00",
        "/secret%252emp3",
        "/secret.mp3/..",
        "/\\secret.mp3",
        "/..;/secret.mp3",
        "/etc/passwd",
        "/%2fetc%2fpasswd",
        "/file:///etc/passwd",
        "/Cargo.toml",
        "/_/secret.mp3",
        "/%ff",
        "/%",
        whole.as_str(),
    ] {
        let answer = stage.get(path, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
}

/// No open proxy: only what was named.
#[test]
fn only_what_is_on_the_list_is_opened_by_url() {
    let mut setup = Setup::of(Content::pattern(1000));
    setup.serve.max_opened = 2;
    // The origin's port is known only when it runs: another stage stands for the world.
    let world = Stage::new(MIB);
    world.origin.put("/films/a.mp4", Content::pattern(500));
    world.origin.put("/films/b.mp4", Content::pattern(600));
    world.origin.put("/films/c.mp4", Content::pattern(700));
    setup.serve.allow = vec![world.origin.url("/films/")];
    let stage = setup.start();
    let escape = |url: &str| url.replace(':', "%3A").replace('/', "%2F");
    let open = |url: &str| stage.get(&format!("/open?url={}", escape(url)), &[]);
    let answer = open(&world.origin.url("/films/a.mp4"));
    assert_eq!((answer.status, answer.body.len()), (200, 500), "{}", answer.text());
    assert_eq!(open(&world.origin.url("/films/a.mp4")).status, 200);
    assert_eq!(stage.get("/a.mp4", &["Range: bytes=-5"]).body.len(), 5, "by its name too");
    assert_eq!(stage.catalog.list().len(), 2, "once");
    for url in [
        world.origin.url("/file"),
        world.origin.url("/films/../file"),
        world.origin.url("/films/%2e%2e/file"),
        "http://127.0.0.1:1/films/a.mp4".into(),
        "http://169.254.169.254/latest/meta-data".into(),
        "file:///etc/passwd".into(),
        "ftp://127.0.0.1/films/a.mp4".into(),
        "a.mp4".into(),
        String::new(),
    ] {
        assert_eq!(open(&url).status, 403, "{url}");
    }
    assert_eq!(stage.get("/open", &[]).status, 400);
    assert_eq!(world.origin.log().of("/file").count(), 0);
    // So many and no more: the one that was not used for the longest time goes.
    assert_eq!(open(&world.origin.url("/films/b.mp4")).body.len(), 600);
    assert_eq!(open(&world.origin.url("/films/c.mp4")).body.len(), 700);
    let names: Vec<String> =
        stage.catalog.list().iter().map(|media| media.name().to_owned()).collect();
    assert_eq!(names, ["file", "b.mp4", "c.mp4"]);
    assert_eq!(stage.get("/a.mp4", &[]).status, 404);
    assert_eq!(stage.get("/file", &[]).status, 200, "what was added stays");
}

/// Names that meet get a number; what is removed is gone.
#[test]
fn each_medium_has_a_name_of_its_own() {
    let stage = Stage::new(1000);
    stage.origin.put("/x/file", Content::pattern(77));
    let second = stage.catalog.add(stage.origin.url("/x/file?token=s3cr3t")).unwrap();
    assert_eq!(second.path(), "/file-2");
    assert!(!second.url().contains("s3cr3t"), "{}", second.url());
    assert_eq!(stage.get("/file-2", &[]).body.len(), 77);
    assert!(!stage.get("/", &[]).text().contains("s3cr3t"));
    assert!(stage.catalog.remove(second.id()) && !stage.catalog.remove(second.id()));
    assert_eq!(stage.get("/file-2", &[]).status, 404);
    assert!(stage.catalog.media_by_id(second.id()).is_none());
    assert!(stage.catalog.media_by_id(stage.file.id()).is_some());
}

#[test]
fn an_address_that_others_reach_needs_to_be_asked_for() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let bind = |config: ServeConfig, addr: [u8; 4]| {
        let catalog = Catalog::new(Engine::new().unwrap(), config).unwrap();
        Server::bind(&catalog, (addr, 0).into())
    };
    let open = || {
        let mut config = ServeConfig::default();
        config.public = true;
        config
    };
    assert!(matches!(bind(ServeConfig::default(), [0; 4]), Err(ServeError::Public { .. })));
    assert!(matches!(bind(open(), [0; 4]), Err(ServeError::Public { .. })), "without a token");
    let mut config = open();
    config.token = Some("0123456789abcdef".into());
    assert!(bind(config, [0; 4]).is_ok());
    let server = bind(ServeConfig::default(), [127, 0, 0, 1]).unwrap();
    let taken = Catalog::new(Engine::new().unwrap(), ServeConfig::default()).unwrap();
    assert!(matches!(Server::bind(&taken, server.addr()), Err(ServeError::Bind { .. })));
}

/// In an application's own server, below a path of its own.
#[test]
fn the_router_can_be_mounted_anywhere() {
    let stage = Stage::new(1000);
    let app: axum::Router = axum::Router::new().nest("/media", router(&stage.catalog));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let until = stop.clone();
    let serving = std::thread::spawn(move || {
        runtime.block_on(async {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                tower_service::Service::call(&mut app.clone(), request)
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            let _ = until.run_until_cancelled(serving).await;
        });
    });
    let mut client = crate::stage::Client::connect(addr);
    let answer = client.ask("GET", "/media/file", &["Range: bytes=5-9"]);
    assert_eq!((answer.status, answer.body), (206, pattern::bytes(5, 5, 0)));
    assert_eq!(client.ask("GET", "/media/none", &[]).status, 404);
    // The page's paths are relative, and there is no slash at the end of its own.
    let page = client.ask("GET", "/media", &["Accept: text/html"]);
    assert_eq!(page.status, 200);
    for path in ["_/page.css", "_/page.js"] {
        assert!(page.text().contains(&format!("\"./media/{path}\"")), "{}", page.text());
        assert_eq!(client.ask("GET", &format!("/media/{path}"), &[]).status, 200);
    }
    let list = client.ask("GET", "/media", &[]);
    assert!(list.text().contains(" ./media/file http://"), "{}", list.text());
    assert_eq!(client.ask("GET", "/media/file", &["Host: evil.example"]).status, 421);
    stop.cancel();
    serving.join().unwrap();
}
