//! Whether a body that ended with its connection ended because the resource does.
//!
//! HTTP/1.0 style bodies have no announced end (RFC 9112 section 6.3): a cut connection looks like
//! the end. So the end is asked about once, and believed only if the origin confirms it.

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::Lane;
use crate::net::{AnswerShape, Expectation, Fault, Net, RangeRequest, Target};
use crate::sync::Arc;

/// Asks for the byte at `end`. Past the end of the resource, a server with ranges says 416 or its
/// total; one without sends everything again, which must then have exactly `end` bytes.
///
/// # Errors
///
/// `Err(Ok(fault))` if the question could not be asked, `Err(Err(Truncated))` if the answer is another.
pub(crate) async fn prove(
    net: &dyn Net,
    target: &Arc<Target>,
    lane: Lane,
    end: u64,
) -> Result<(), Result<Fault, Error>> {
    let request = RangeRequest {
        range: Some(ByteRange::at(end, 1)),
        if_range: None,
        bypass_caches: false,
        urgency: None,
        expect: Expectation::default(),
    };
    let proven = match net.get_range(lane, target.clone(), request).await {
        Ok(mut answer) => match answer.shape {
            AnswerShape::Part { .. } => false,
            AnswerShape::Whole { len: Some(len) } => len == end,
            AnswerShape::Whole { len: None } => {
                let mut len = 0;
                while let Some(bytes) = answer.body.chunk().await.map_err(Ok)? {
                    len += bytes.len() as u64;
                }
                len == end
            }
        },
        Err(Fault::NotSatisfiable { total, .. }) => total.is_none_or(|total| total == end),
        Err(fault) => return Err(Ok(fault)),
    };
    if proven { Ok(()) } else { Err(Err(Error::Truncated { at: end })) }
}
