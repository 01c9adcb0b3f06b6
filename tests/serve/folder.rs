//! A folder that is served: its media files and nothing else.

use std::fs;
use std::path::Path;

use kithara_file::serve::ServeError;
use tempfile::TempDir;

use crate::stage::Stage;

const SECRET: &str = "not yours";

/// Files with their names in them.
fn tree(root: &Path, names: &[&str]) {
    for name in names {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

#[test]
fn each_media_file_below_a_folder_has_a_name() {
    let (stage, dir) = (Stage::new(10), TempDir::new().unwrap());
    tree(dir.path(), &["a.mp4", "sub/a.mp4", "sub/deep/b.FLAC", "notes.txt", "sub/c.html"]);
    let added = stage.catalog.add_folder(dir.path()).unwrap();
    let names: Vec<&str> = added.iter().map(|media| media.name()).collect();
    assert_eq!(names, ["a.mp4", "a-2.mp4", "b.FLAC"]);
    for (path, body) in
        [("/a.mp4", "a.mp4"), ("/a-2.mp4", "sub/a.mp4"), ("/b.FLAC", "sub/deep/b.FLAC")]
    {
        let answer = stage.get(path, &[]);
        assert_eq!((answer.status, answer.body.as_slice()), (200, body.as_bytes()));
    }
    let part = stage.get("/b.FLAC", &["Range: bytes=4-7"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &b"deep"[..]));
    let list = String::from_utf8(stage.get("/", &[]).body).unwrap();
    assert!(names.iter().all(|name| list.contains(&format!("{name} "))), "{list}");
    for none in ["/notes.txt", "/c.html", "/sub/a.mp4", "/sub/", "/..%2fa.mp4"] {
        assert_eq!(stage.get(none, &[]).status, 404, "{none}");
    }
}

#[test]
fn hidden_files_and_folders_are_not_served() {
    let (stage, dir) = (Stage::new(10), TempDir::new().unwrap());
    tree(dir.path(), &[".a.mp4", ".git/b.mp4", "sub/.c/d.mp4", "e.mp4"]);
    let added = stage.catalog.add_folder(dir.path()).unwrap();
    assert_eq!(added.iter().map(|media| media.name()).collect::<Vec<_>>(), ["e.mp4"]);
    for none in ["/.a.mp4", "/b.mp4", "/d.mp4", "/a.mp4"] {
        assert_eq!(stage.get(none, &[]).status, 404, "{none}");
    }
}

/// Neither those that are there, nor those that take the place of a file later.
#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let (stage, dir, outside) = (Stage::new(10), TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(outside.path().join("b.mp4"), SECRET).unwrap();
    tree(dir.path(), &["a.mp4", "sub/b.mp4", "stays.mp4"]);
    symlink(outside.path().join("b.mp4"), dir.path().join("link.mp4")).unwrap();
    symlink(outside.path(), dir.path().join("linked")).unwrap();
    let added = stage.catalog.add_folder(dir.path()).unwrap();
    let names: Vec<&str> = added.iter().map(|media| media.name()).collect();
    assert_eq!(names, ["a.mp4", "stays.mp4", "b.mp4"]);

    fs::remove_file(dir.path().join("a.mp4")).unwrap();
    symlink(outside.path().join("b.mp4"), dir.path().join("a.mp4")).unwrap();
    fs::rename(dir.path().join("sub"), dir.path().join("was")).unwrap();
    symlink(outside.path(), dir.path().join("sub")).unwrap();
    for path in ["/a.mp4", "/b.mp4", "/link.mp4"] {
        let answer = stage.get(path, &[]);
        assert!(answer.status >= 400, "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{path}");
    }
    assert_eq!(stage.get("/stays.mp4", &[]).body, b"stays.mp4");
}

#[test]
fn a_folder_that_is_none_is_an_error() {
    let (stage, dir) = (Stage::new(10), TempDir::new().unwrap());
    let missing = dir.path().join("missing");
    let refused = stage.catalog.add_folder(&missing);
    assert!(matches!(refused, Err(ServeError::Folder { path, .. }) if path == missing));
    let many: Vec<String> = (0..1001).map(|number| format!("{number}.mp3")).collect();
    tree(dir.path(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = stage.catalog.add_folder(dir.path());
    assert!(refused.is_err() && stage.catalog.list().len() == 1, "all or nothing");
}
