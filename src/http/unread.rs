//! Bodies in chunks that nobody reads to their end.
//!
//! When what reads such a body is gone, actix-http (3.20) means to skip the rest and keep the connection, but may not be
//! woken to do so: the connection then hangs for as long as its client leaves it open, and the client's next request with
//! it. A body that is still held when its answer is sent has the connection closed instead, as one of known length has.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::{HttpMessage, Payload, Request};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header;
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::ready::Raw;

/// The body of a request that is held.
pub(super) struct Held(Rc<RefCell<Payload>>);

impl Held {
    /// Holds the body of `request`, if it comes in chunks. It can be read as before.
    pub(super) fn of(request: &mut Request) -> Option<Self> {
        request.headers().contains_key(header::TRANSFER_ENCODING).then(|| {
            let body = Rc::new(RefCell::new(request.take_payload()));
            let lent = Rc::clone(&body);
            let payload =
                stream::poll_fn(move |context| Pin::new(&mut *lent.borrow_mut()).poll_next(context));
            *request.payload() = Payload::Stream { payload: Box::pin(payload) };
            Self(body)
        })
    }

    /// Holds the body until `answer` is sent.
    pub(super) async fn through<E: Into<Raw>>(
        self,
        answer: impl Future<Output = Result<Raw, E>>,
    ) -> Result<Raw, E> {
        let answer = answer.await.unwrap_or_else(Into::into);
        Ok(answer.map_body(|_, body| BoxBody::new(Holding { body, _held: self.0 })))
    }
}

/// The body of an answer, with that of its request.
struct Holding {
    body: BoxBody,
    _held: Rc<RefCell<Payload>>,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.body.as_pin_mut().poll_next(context)
    }
}
