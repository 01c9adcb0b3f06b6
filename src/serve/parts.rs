//! Several ranges in one answer: `multipart/byteranges` (RFC 9110 section 14.6).

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use bytes::Bytes;

use super::body::Piece;

/// Several ranges of a resource, and what stands between them.
#[derive(Debug)]
pub(super) struct Parts {
    /// For `Content-Type`.
    pub(super) content_type: String,
    /// For `Content-Length`.
    pub(super) len: u64,
    /// The body.
    pub(super) pieces: Vec<Piece>,
}

/// Puts `ranges` of a resource of `len` bytes and of media type `of_type` together, in their order.
pub(super) fn parts(ranges: &[Range<u64>], len: u64, of_type: &str) -> Parts {
    let boundary = boundary();
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    let mut start = "";
    for range in ranges {
        let (first, last) = (range.start, range.end - 1);
        let head = format!(
            "{start}--{boundary}\r\nContent-Type: {of_type}\r\nContent-Range: bytes {first}-{last}/{len}\r\n\r\n"
        );
        pieces.push(Piece::Text(Bytes::from(head)));
        pieces.push(Piece::Part(range.clone()));
        start = "\r\n";
    }
    pieces.push(Piece::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    let len_of = |piece: &Piece| match piece {
        Piece::Text(text) => text.len() as u64,
        Piece::Part(range) => range.end - range.start,
        Piece::Rest(_) => 0,
    };
    let len = pieces.iter().map(len_of).sum();
    Parts { content_type: format!("multipart/byteranges; boundary={boundary}"), len, pieces }
}

/// Nothing that media hold by chance, nor that somebody could foresee and put there.
fn boundary() -> String {
    let random = || RandomState::new().hash_one("boundary");
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_as_mail_has_them() {
        let parts = parts(&[5..10, 0..1], 100, "audio/mpeg");
        let boundary = parts.content_type.rsplit('=').next().unwrap().to_owned();
        let text: Vec<String> = parts
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                other => format!("{other:?}"),
            })
            .collect();
        let head = |range: &str| {
            format!(
                "--{boundary}\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes {range}/100\r\n\r\n"
            )
        };
        assert_eq!(text[0], head("5-9"));
        assert_eq!(text[2], format!("\r\n{}", head("0-0")));
        assert_eq!(text[4], format!("\r\n--{boundary}--\r\n"));
        let between: usize = [0, 2, 4].iter().map(|&i: &usize| text[i].len()).sum();
        assert_eq!(parts.len, between as u64 + 6);
    }
}
