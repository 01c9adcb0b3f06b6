//! The file that `get` writes: complete under its name, or not there at all.
//!
//! Written beside its place and renamed at the end, so that a name never stands for half a file, and an
//! older file stays until the new one is whole. Pipes and devices are written straight.

use std::fs::{self, File};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use url::Url;

use crate::failure::Failure;

#[path = "../../assets/beside.rs"]
mod beside;

/// Name of the file where the URL has none.
const UNNAMED: &str = "download";

/// Where the bytes go.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Standard(Stdout),
    /// A pipe or device.
    Special(File),
    /// A file that appears when it is complete. Dropped before, it leaves nothing.
    Whole { file: NamedTempFile, path: PathBuf },
}

impl Output {
    /// Opens what `given` names, or else a file in this folder named after `url`.
    pub(crate) fn open(given: Option<&Path>, url: &str) -> Result<Self, Failure> {
        let path = match given {
            Some(path) if path == Path::new("-") => return Ok(Self::Standard(io::stdout())),
            Some(path) => path.to_owned(),
            None => file_name(url).into(),
        };
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                let why = format!("cannot write {}: it is a folder", path.display());
                Err(Failure::new(why).advise("name a file in it with -o"))
            }
            Ok(meta) if !meta.is_file() => {
                let file = File::options().write(true).open(&path);
                file.map(Self::Special).map_err(|error| cannot_write(&path, &error))
            }
            // A link keeps pointing to the file, which is replaced.
            Ok(_) => Self::beside(path.canonicalize().unwrap_or(path)),
            Err(_) => Self::beside(path),
        }
    }

    fn beside(path: PathBuf) -> Result<Self, Failure> {
        match beside::beside(&path) {
            Ok(file) => Ok(Self::Whole { file, path }),
            Err(error) => Err(cannot_write(&path, &error)),
        }
    }

    /// What it is called in remarks.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Standard(_) => "standard output".into(),
            Self::Special(_) => "the device".into(),
            Self::Whole { path, .. } => path.display().to_string(),
        }
    }

    /// Puts the complete file in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard(mut out) => {
                out.flush().map_err(|error| Failure::io("writing to standard output", &error))
            }
            Self::Special(_) => Ok(()),
            Self::Whole { file, path } => match file.persist(&path) {
                Ok(_) => Ok(()),
                Err(refused) => Err(cannot_write(&path, &refused.error)),
            },
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(buf),
            Self::Special(file) => file.write(buf),
            Self::Whole { file, .. } => file.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::Special(file) => file.flush(),
            Self::Whole { file, .. } => file.flush(),
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    // Of the system's error alone: its context names the temporary file, which nobody knows.
    let error = error.raw_os_error().map_or_else(
        || error.kind().to_string(),
        |code| io::Error::from_raw_os_error(code).to_string(),
    );
    Failure::new(format!("cannot write {}: {error}", path.display()))
        .advise("name another file with -o")
}

/// A file name from the last part of the URL's path; never a path, never hidden.
fn file_name(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let last = parsed.as_ref().and_then(|url| url.path_segments()?.next_back()).unwrap_or_default();
    let name: String = decoded(last)
        .chars()
        .map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c })
        .collect();
    match name.trim_start_matches('.').trim() {
        "" => UNNAMED.into(),
        name => name.into(),
    }
}

/// `text` with `%20` and the like resolved; as it is where that gives no text.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path_and_never_a_path() {
        for (url, name) in [
            ("http://host/a/film.mp4?token=x", "film.mp4"),
            ("http://host/a%20film.mp4", "a film.mp4"),
            ("http://host/", "download"),
            ("http://host/a/", "download"),
            ("http://host/..%2f..%2fetc%2fpasswd", "_.._etc_passwd"),
            ("http://host/%2e%2e", "download"),
            ("http://host/.profile", "profile"),
            ("http://host/a%00b%5Cc", "a_b_c"),
            ("http://host/%ff%zz", "%ff%zz"),
            ("file:///tmp/film.mp4", "film.mp4"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_and_the_old_one_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film");
        fs::write(&path, "old").expect("a file");
        let mut output = Output::open(Some(&path), "").expect("an output");
        output.write_all(b"ne").expect("written");
        drop(output);
        assert_eq!(fs::read(&path).expect("the old file"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);

        let mut output = Output::open(Some(&path), "").expect("an output");
        output.write_all(b"new").expect("written");
        output.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("the new file"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film");
        let names = |folder: &Path| {
            let entries = fs::read_dir(folder).expect("a folder");
            let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
            names.sort();
            names
        };
        let others = [".film.abc12.part", ".film.abc123.bin.part", "film.abc123.part", "film.part"];
        for name in others {
            fs::write(folder.path().join(name), "mine").expect("a file");
        }
        fs::write(folder.path().join(".film.abc123.part"), "left").expect("a file");
        let alive = Output::open(Some(&path), "").expect("an output");
        let second = Output::open(Some(&path), "").expect("an output");
        alive.finish().expect("its file is still there");
        second.finish().expect("and so is this one");
        assert_eq!(names(folder.path()), [&others[..2], &["film"], &others[2..]].concat());
    }

    #[test]
    fn folders_are_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Output::open(Some(folder.path()), "").is_err());
        assert!(Output::open(Some(&folder.path().join("none/film")), "").is_err());
        assert!(Output::open(Some(&folder.path().join("..")), "").is_err());
    }
}
