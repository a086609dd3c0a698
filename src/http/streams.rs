//! Answers that go on: how many there may be at once, and their end when the server stops.
//!
//! It does not know what they tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::limits::Payer;
use crate::error::{Error, Result};

/// Streams of all callers at once.
const MOST: usize = 1_024;
/// Of these, streams of callers without a key: they leave room for others.
const MOST_ANONYMOUS: usize = 768;
/// Streams of one person, or of one address without a key, at once.
const MOST_PER_PAYER: usize = 64;
/// When one who was refused may try again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The open streams, shared by every worker.
pub(super) struct Streams {
    open: Mutex<HashMap<Payer, usize>>,
    closing: watch::Sender<bool>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: Mutex::default(), closing: watch::Sender::new(false) }
    }
}

impl Streams {
    /// A place for one more stream of `payer`, given back when it is dropped.
    ///
    /// # Errors
    /// `Limited` when this person or address has its share; `Unavailable` when there are too many or the server stops.
    pub(super) fn open(self: &Arc<Self>, payer: Payer) -> Result<Place> {
        let mut open = self.lock();
        let is_anonymous = |payer: &Payer| matches!(payer, Payer::Address(_));
        let anonymous: usize =
            open.iter().filter(|(payer, _)| is_anonymous(payer)).map(|(_, held)| held).sum();
        let is_full =
            open.values().sum::<usize>() >= MOST || (is_anonymous(&payer) && anonymous >= MOST_ANONYMOUS);
        if *self.closing.borrow() || is_full {
            return Err(Error::Unavailable("too many streams are open: try again later".to_owned()));
        }
        let held = open.get(&payer).copied().unwrap_or(0);
        if held >= MOST_PER_PAYER {
            return Err(Error::Limited(TRY_AGAIN));
        }
        open.insert(payer.clone(), held + 1);
        let closing = self.closing.subscribe();
        Ok(Place { streams: Arc::clone(self), payer, closing })
    }

    /// Ends all of them, for good.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Payer, usize>> {
        // Each change to the map is one call: it stays whole whatever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one open stream.
pub(super) struct Place {
    streams: Arc<Streams>,
    payer: Payer,
    closing: watch::Receiver<bool>,
}

impl Place {
    /// Resolves when the stream has to end.
    pub(super) async fn closed(&mut self) {
        // The sender lives as long as the place does.
        drop(self.closing.wait_for(|closing| *closing).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        match open.get_mut(&self.payer) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(open.remove(&self.payer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::UserKey;

    fn payer(last: u8) -> Payer {
        Payer::Address([192, 0, 2, last].into())
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let streams = Arc::new(Streams::default());
        let mut places: Vec<Place> = (0..MOST_PER_PAYER).map(|_| streams.open(payer(1)).unwrap()).collect();
        assert!(matches!(streams.open(payer(1)), Err(Error::Limited(_))));
        assert!(streams.open(payer(2)).is_ok());
        places.pop();
        assert!(streams.open(payer(1)).is_ok());
        drop(places);
        assert!(streams.lock().is_empty());
    }

    #[test]
    fn callers_without_a_key_leave_room_for_others() {
        let streams = Arc::new(Streams::default());
        let open = |at: usize| streams.open(payer(u8::try_from(at / MOST_PER_PAYER).unwrap()));
        let held: Vec<Place> = (0..MOST_ANONYMOUS).map(|at| open(at).unwrap()).collect();
        assert!(matches!(streams.open(payer(200)), Err(Error::Unavailable(_))));
        assert!(streams.open(Payer::Person(UserKey(1))).is_ok());
        drop(held);
        assert!(streams.open(payer(200)).is_ok());
    }

    #[tokio::test]
    async fn a_stopping_server_ends_what_is_open_and_opens_nothing() {
        let streams = Arc::new(Streams::default());
        let mut place = streams.open(payer(1)).unwrap();
        streams.close();
        place.closed().await;
        assert!(matches!(streams.open(payer(1)), Err(Error::Unavailable(_))));
    }
}
