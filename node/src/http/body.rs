//! Request bodies: hyper bounds neither their size nor the time they take.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;

use super::refusal::Refusal;

/// The whole body, of at most `bytes_max` bytes, within `timeout`. What announces itself as larger is refused
/// before it is read.
pub(crate) async fn read<B>(body: B, bytes_max: usize, timeout: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = Refusal::TooLarge { max: bytes_max };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large);
    }
    match tokio::time::timeout(timeout, Box::pin(Limited::new(body, bytes_max).collect())).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(error)) => Err(Refusal::BodyBroken { reason: error.to_string() }),
        Err(_) => Err(Refusal::BodyTimeout { millis: timeout.as_millis() }),
    }
}
