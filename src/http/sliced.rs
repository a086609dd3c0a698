//! Large bodies in slices: of a body that waits to be sent, a connection copies no more than a slice at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use futures_util::Stream;

use super::send_budget::Charge;

/// Bytes of a slice.
const SLICE: usize = 16 * 1024;
/// Bodies up to this many bytes are copied at once.
const MAX_WHOLE: usize = 32 * 1024;
/// Bodies up to this many bytes count for nothing in the budget.
pub(super) const MAX_UNCOUNTED: usize = 64 * 1024;

/// Returns the body that sends `body`, with its room in the budget, if it has any.
pub(super) fn sliced(body: Bytes, charge: Option<Arc<Charge>>) -> BoxBody {
    if body.len() <= MAX_WHOLE {
        return BoxBody::new(body);
    }
    BoxBody::new(Sliced { rest: body, _charge: charge })
}

/// A body that is in memory.
struct Sliced {
    rest: Bytes,
    _charge: Option<Arc<Charge>>,
}

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(next_slice(&mut self.rest).map(Ok))
    }
}

/// Takes a slice off the front of `rest`; none at its end.
fn next_slice(rest: &mut Bytes) -> Option<Bytes> {
    let length = rest.len().min(SLICE);
    (length > 0).then(|| rest.split_to(length))
}

/// A body that comes in parts of any size, each with what is held for it until it is sent.
pub(super) struct SlicedParts<S, H> {
    parts: S,
    part: Bytes,
    held: Option<H>,
}

impl<S, H> SlicedParts<S, H> {
    pub(super) const fn new(parts: S) -> Self {
        Self { parts, part: Bytes::new(), held: None }
    }
}

impl<E, H: Unpin, S: Stream<Item = Result<(Bytes, H), E>> + Unpin> Stream for SlicedParts<S, H> {
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(slice) = next_slice(&mut self.part) {
                return Poll::Ready(Some(Ok(slice)));
            }
            // The next part may wait for what is held for this one.
            self.part = Bytes::new();
            self.held = None;
            match std::task::ready!(Pin::new(&mut self.parts).poll_next(context)) {
                Some(Ok((part, held))) => (self.part, self.held) = (part, Some(held)),
                Some(Err(cause)) => return Poll::Ready(Some(Err(cause))),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::body::to_bytes;
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::error::Error;
    use crate::http::limits::Payer;
    use crate::http::send_budget::SendBudget;

    fn body(length: usize) -> Bytes {
        (0..=255_u8).cycle().take(length).collect()
    }

    #[tokio::test]
    async fn sliced_body_is_whole() {
        let budget = SendBudget::new(1 << 20, Duration::ZERO);
        for length in [0, 1, MAX_WHOLE, MAX_WHOLE + 1, 5 * SLICE - 1] {
            let charge = Arc::new(budget.charge(&Payer::of(None), length).unwrap());
            assert_eq!(to_bytes(sliced(body(length), Some(charge))).await.unwrap(), body(length));
        }
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn parts_hold_room_one_at_a_time() {
        let budget = SendBudget::new(100 * 1024, Duration::ZERO);
        let parts = stream::iter([50_000, 0, 100_000]).then(|length| {
            let budget = &budget;
            async move { Ok::<_, Error>((body(length), budget.charge_next(&Payer::of(None), length).await?)) }
        });
        let mut slices = SlicedParts::new(Box::pin(parts));
        let mut sent = 0;
        while let Some(slice) = slices.next().await {
            let slice = slice.unwrap();
            assert!(slice.len() <= SLICE);
            sent += slice.len();
        }
        assert_eq!(sent, 150_000);
        drop(slices);
        assert_eq!(budget.used(), 0);
    }
}
