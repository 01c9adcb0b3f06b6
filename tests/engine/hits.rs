//! What a hit costs: nothing is allocated.

use std::io::{Read, Seek, SeekFrom};

use kithara_file::Engine;
use kithara_file::origin::{Content, Origin, pattern};

const LEN: u64 = 4 << 20;

#[test]
fn s1_a_hit_allocates_nothing() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(LEN));
    let session = Engine::new().unwrap().open_blocking(origin.url("/file")).unwrap();
    let mut reader = session.reader();
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    let mut buf = [0; 4096];
    let mut jump = |nth: u64| {
        let at = nth * 1_234_567 % (LEN - 4096);
        reader.seek(SeekFrom::Start(at)).unwrap();
        reader.read_exact(&mut buf).unwrap();
        assert!(pattern::check(&buf, at, 0));
    };
    jump(0);
    // Of this thread alone.
    let allocated = allocation_counter::measure(|| (1..500).for_each(&mut jump));
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}
