//! Bodies: read within bounds, written without copying.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{Refused, refused};
use crate::limits;
use crate::rpc::{INVALID_REQUEST, Response, error};

/// For the body, from the end of the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Responses up to here are sent in one piece; longer ones without copying.
const JOINED_BYTES: usize = 16 * 1024;

/// Reads a body, as long as it comes in time and is not too long.
pub(super) async fn read_body(body: Body) -> Result<Bytes, Refused> {
    let too_long = || {
        let text = format!("a message may have {} bytes at most", limits::MESSAGE_BYTES);
        refused(StatusCode::PAYLOAD_TOO_LARGE, error(INVALID_REQUEST, text))
    };
    // By what the head announces already: nobody has to send it all to be told.
    if http_body::Body::size_hint(&body).lower() > u64::try_from(limits::MESSAGE_BYTES).unwrap_or(u64::MAX) {
        return Err(too_long());
    }
    let limited = Limited::new(body, limits::MESSAGE_BYTES);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(cause)) => {
            Err(refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, format!("the body broke off: {cause}"))))
        }
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, error(INVALID_REQUEST, "the body did not come in time"))),
    }
}

/// A body of pieces that are shared with other responses.
struct Frames(VecDeque<Bytes>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        while let Some(frame) = self.0.pop_front() {
            if !frame.is_empty() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(frame))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let length = self.0.iter().map(Bytes::len).sum::<usize>();
        http_body::SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// A finished response as JSON.
pub(super) fn answered(status: StatusCode, response: Response) -> HttpResponse {
    let body = if response.length() <= JOINED_BYTES {
        Body::from(response.joined())
    } else {
        Body::new(Frames(VecDeque::from(response.frames)))
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
