//! `cache verify` and `cache export`, and what a large store costs.

use super::*;

/// The data files of a store.
fn data_files(store: &Path) -> Vec<PathBuf> {
    let folders = |of: &Path| of.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let assets: Vec<PathBuf> =
        folders(&store.join("assets")).flat_map(|shelf| folders(&shelf)).collect();
    assets.into_iter().map(|asset| asset.join("data")).filter(|data| data.exists()).collect()
}

fn verify(desk: &Desk, store: &str, more: &[&str]) -> Ended {
    desk.run(&[&["cache", "verify", "--store", store], more].concat())
}

#[test]
fn a9_damage_in_the_cache_is_found_and_forgotten_and_fetched_again() {
    let desk = Desk::new(3 * MIB);
    let store = desk.path("store");
    let name = store.to_str().unwrap();
    verify(&desk, name, &["--all"]).failed(1, &["no store"]);
    desk.run(&["get", &desk.url(), "--store", name]).fine();
    let whole = verify(&desk, name, &["--all", "--json"]).fine().json();
    assert_eq!(
        (&whole[0]["verdict"], &whole[0]["checked_bytes"]),
        (&"sound".into(), &desk.len.into())
    );
    assert!(verify(&desk, name, &[]).code == Some(2), "nothing is named");
    verify(&desk, name, &["no such"]).failed(1, &["cache ls"]);

    let data = &data_files(&store)[0];
    let mut bytes = std::fs::read(data).unwrap();
    bytes[2 * MIB as usize + 5] ^= 4;
    std::fs::write(data, &bytes).unwrap();
    verify(&desk, name, &[&desk.url()]).failed(1, &["1 of 1 are damaged", "--repair"]);
    let ended = verify(&desk, name, &["--all", "--json"]);
    assert_eq!(ended.code, Some(1));
    let found = &ended.json()[0];
    assert_eq!((&found["verdict"], &found["repaired"]), (&"damaged".into(), &false.into()));
    let at = |n: usize| found["damaged"][0][n].as_u64().unwrap();
    assert!(at(0) <= 2 * MIB + 5 && 2 * MIB + 5 < at(1) && at(1) - at(0) < desk.len, "{found}");

    verify(&desk, name, &["--all", "--repair"]).failed(1, &["forgotten"]);
    verify(&desk, name, &["--all"]).fine();
    let before = desk.origin.log().len();
    desk.run(&["get", &desk.url(), "--store", name]).fine();
    desk.check_file("film.bin");
    for request in &desk.origin.log()[before..] {
        assert!(request.range.unwrap().0 >= at(0), "only what was damaged: {:?}", request.range);
    }
    verify(&desk, name, &["--all"]).fine();
}

#[test]
fn a9_what_is_open_is_skipped_and_cannot_be_exported() {
    let desk = Desk::new(4 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(MIB, &gate);
    let name = desk.path("store").to_str().unwrap().to_owned();
    let child = desk.start(&["get", &desk.url(), "--store", &name]);
    gate.wait_arrived(1);
    let ended = verify(&desk, &name, &["--all", "--repair"]).fine();
    let text = String::from_utf8(ended.out).unwrap();
    assert!(text.contains("open, skipped") && text.contains("1 skipped"), "{text}");
    let export = ["cache", "export", &desk.url(), "-o", "copy", "--store", &name];
    desk.run(&export).failed(1, &["open"]);
    gate.open();
    Ended::of(child.wait_with_output().unwrap()).fine();
    desk.run(&export).fine();
    desk.check_file("copy");
}

#[test]
fn a9_an_export_is_the_whole_resource_or_no_file() {
    let desk = Desk::new(3 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(2 * MIB, &gate);
    let name = desk.path("store").to_str().unwrap().to_owned();
    let url = desk.url();
    let mut child = desk.start(&["get", &url, "--store", &name, "-o", "-"]);
    child.stdout.as_mut().unwrap().read_exact(&mut vec![0; 2 * MIB as usize]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let export =
        |more: &[&str]| desk.run(&[&["cache", "export", &url, "--store", &name], more].concat());
    export(&["-o", "copy"]).failed(1, &["not complete", "..3145728", "get"]);
    assert_eq!(desk.files(), ["store"]);
    gate.open();
    desk.run(&["get", &url, "--store", &name]).fine();

    export(&["-o", "-"]).failed(2, &["standard output"]);
    std::fs::write(desk.path("copy"), "mine").unwrap();
    export(&["-o", "copy"]).failed(1, &["copy", "--force"]);
    assert_eq!(std::fs::read(desk.path("copy")).unwrap(), b"mine");
    // A killed export has left its unfinished file.
    std::fs::write(desk.path(".copy.abc123.part"), "left").unwrap();
    export(&["-o", "copy", "--force"]).fine();
    desk.check_file("copy");
    assert_eq!(desk.files(), ["copy", "film.bin", "store"]);
    let quiet = export(&["-o", "copy", "--force", "--quiet"]).fine();
    assert_eq!((quiet.out.len(), quiet.err.as_str()), (0, ""));
    let told = export(&["-o", "again", "--json"]).fine().json();
    assert_eq!((&told["len_bytes"], &told["unchecked_bytes"]), (&desk.len.into(), &0.into()));
    desk.check_file("again");

    let data = &data_files(&desk.path("store"))[0];
    let mut bytes = std::fs::read(data).unwrap();
    bytes[7] ^= 1;
    std::fs::write(data, bytes).unwrap();
    export(&["-o", "bad"]).failed(1, &["damaged", "--repair"]);
    assert!(!desk.path("bad").exists());
}

/// A8: however many assets there are, a program that may have 40 files open lists, checks, collects, and stores more.
#[cfg(unix)]
#[test]
fn a8_a_store_of_many_assets_needs_few_open_files() {
    const ASSETS: usize = 300;
    let desk = Desk::new(1000);
    let name = desk.path("store").to_str().unwrap().to_owned();
    desk.run(&["get", &desk.url(), "--store", &name]).fine();
    let one = data_files(&desk.path("store"))[0].parent().unwrap().to_owned();
    for n in 1..ASSETS {
        let id = format!("{:02x}{n:062x}", n % 256);
        let folder = desk.path("store").join("assets").join(&id[..2]).join(&id);
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["data", "map"] {
            std::fs::copy(one.join(file), folder.join(file)).unwrap();
        }
    }
    let within = |args: &[&str]| {
        let program = desk.command(args);
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""]).arg(program.get_program());
        shell.args(program.get_args()).current_dir(&desk.home).stdin(Stdio::null());
        for (name, value) in program.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            shell.env(name, value);
        }
        Ended::of(shell.output().unwrap())
    };
    let all = within(&["cache", "ls", "--json", "--store", &name]).fine().json();
    assert_eq!(all.as_array().unwrap().len(), ASSETS);
    // The copies are of another asset's log, which proves nothing of theirs.
    let found = within(&["cache", "verify", "--all", "--json", "--store", &name]);
    assert_eq!(found.json().as_array().unwrap().len(), ASSETS);
    desk.origin.put("/other.bin", Content::pattern(1000));
    within(&["get", &desk.origin.url("/other.bin"), "--store", &name]).fine();
    let gone = within(&["cache", "gc", "--max-bytes", "0", "--json", "--store", &name]).fine();
    assert_eq!(gone.json()["removed"], ASSETS + 1);
}
