//! The condition of the stored data: writable, read-only for now, or damaged.
//!
//! Everything that reads or writes reports here, and everything that depends on it reads it here. It holds no rule of
//! what is refused when.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::topics::{TopicSet, Topics};
use crate::domain::time::Millis;
use crate::error::Error;

/// The condition of the stored data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// As far as is known all is well.
    Writable,
    /// Nothing can be stored at the moment. It passes by itself.
    ReadOnly(Obstacle),
    /// The database is damaged, with a description of the damage. It stays so until the server starts again.
    Damaged(Arc<str>),
}

impl Condition {
    /// Returns whether writes can be stored.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        matches!(self, Self::Writable)
    }

    /// Returns whether the database is damaged.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

/// The reason why nothing can be stored at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The disk of the data folder, or a quota on it, is full.
    DiskFull,
    /// The data folder is on a read-only file system, or its permissions forbid writing.
    NotWritable,
    /// The disk reports I/O errors.
    DiskFailing,
}

impl Obstacle {
    /// Returns its stable name in snake_case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::NotWritable => "not_writable",
            Self::DiskFailing => "disk_failing",
        }
    }

    /// Returns the error of a write that it prevented.
    #[must_use]
    pub const fn error(self) -> Error {
        match self {
            Self::DiskFull => Error::Full,
            Self::NotWritable => {
                Error::ReadOnly("the server's data folder cannot be written to: nothing was saved")
            }
            Self::DiskFailing => Error::ReadOnly("the server's disk reports I/O errors: nothing was saved"),
        }
    }
}

/// The one record of the condition, which the parts of the store share.
#[derive(Debug)]
pub(super) struct Monitor {
    condition: watch::Sender<Condition>,
    topics: Arc<Topics>,
    /// When a check of the whole database last found nothing; 0 for never.
    passed_at: AtomicI64,
    /// Readers ignore the log and other processes, so that an error of theirs is no proof of damage.
    is_frozen: AtomicBool,
    /// No writer is open.
    is_standing_by: AtomicBool,
    suspicions: SyncSender<()>,
    suspected: Mutex<Option<Receiver<()>>>,
}

impl Monitor {
    /// Returns a record of data that are writable as far as is known.
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        let (suspicions, suspected) = sync_channel(1);
        Self {
            condition: watch::Sender::new(Condition::Writable),
            topics,
            passed_at: AtomicI64::new(0),
            is_frozen: AtomicBool::new(false),
            is_standing_by: AtomicBool::new(false),
            suspicions,
            suspected: Mutex::new(Some(suspected)),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.condition.borrow().is_writable()
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.condition.borrow().is_damaged()
    }

    /// Returns the error of everything that is refused because of damage, if there is any.
    pub(super) fn damage(&self) -> Option<Error> {
        match &*self.condition.borrow() {
            Condition::Damaged(found) => Some(Error::Damaged(found.to_string())),
            _ => None,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Returns the error of every write, where no writer is open.
    pub(super) fn refusal(&self) -> Option<Error> {
        match &*self.condition.borrow() {
            Condition::Damaged(found) => Some(Error::Damaged(found.to_string())),
            Condition::ReadOnly(obstacle) if self.is_standing_by() => Some(obstacle.error()),
            _ => None,
        }
    }

    /// Sets whether no writer is open.
    pub(super) fn set_standing_by(&self, is_standing_by: bool) {
        self.is_standing_by.store(is_standing_by, Ordering::Release);
    }

    fn is_standing_by(&self) -> bool {
        self.is_standing_by.load(Ordering::Acquire)
    }

    /// Records damage that was seen. The first stays; none is ever taken back.
    pub(super) fn report_damage(&self, found: &dyn Display) {
        if self.is_frozen.load(Ordering::Acquire) {
            tracing::warn!(%found, "a read of a database that is opened without its log failed");
            return;
        }
        let is_new = self.change(|condition| {
            (!condition.is_damaged()).then(|| Condition::Damaged(found.to_string().into()))
        });
        if is_new {
            tracing::error!(
                %found,
                "the database is damaged: nothing is written any more. Run `evalboard check`, and restore a backup \
                 with `evalboard restore`"
            );
        }
    }

    /// Records that nothing can be stored at the moment.
    pub(super) fn report_obstacle(&self, obstacle: Obstacle) {
        let is_new = self.change(|condition| {
            let is_other = *condition != Condition::ReadOnly(obstacle);
            (!condition.is_damaged() && is_other).then_some(Condition::ReadOnly(obstacle))
        });
        if is_new {
            tracing::error!(
                reason = obstacle.as_str(),
                "nothing can be stored: reads go on, and writes once it is over"
            );
        }
    }

    /// Records that writes can be stored again.
    pub(super) fn clear_obstacle(&self) {
        let is_over = |condition: &Condition| {
            matches!(condition, Condition::ReadOnly(_)).then_some(Condition::Writable)
        };
        if self.change(is_over) {
            tracing::info!("writes can be stored again");
        }
    }

    /// Takes over the condition that `next` makes of the present one; returns whether it made one. Copies of answers
    /// show the condition, so they are stale then.
    fn change(&self, next: impl FnOnce(&Condition) -> Option<Condition>) -> bool {
        let is_new = self.condition.send_if_modified(|condition| match next(condition) {
            Some(next) => {
                *condition = next;
                true
            }
            None => false,
        });
        if is_new {
            self.topics.publish(TopicSet::all());
        }
        is_new
    }

    /// Sets whether errors of readers are no proof of damage.
    pub(super) fn set_frozen(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Release);
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::Acquire)
    }

    /// Asks for a check of the whole database: something was read that does not belong there.
    pub(super) fn suspect(&self) {
        if self.suspicions.try_send(()).is_err() {
            tracing::debug!("a check of the database is asked for already");
        }
    }

    /// Returns the receiving end of [`Monitor::suspect`], once.
    pub(super) fn take_suspicions(&self) -> Option<Receiver<()>> {
        self.suspected.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Records that a check of the whole database found nothing.
    pub(super) fn record_pass(&self, now: Millis) {
        self.passed_at.store(now.0, Ordering::Release);
    }

    /// Returns when a check of the whole database last found nothing; none while the first is under way.
    pub(super) fn passed_at(&self) -> Option<Millis> {
        Some(Millis(self.passed_at.load(Ordering::Acquire))).filter(|at| at.0 > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Topic;

    #[test]
    fn damage_stays_and_an_obstacle_passes() {
        let monitor = Monitor::new(Arc::default());
        monitor.report_obstacle(Obstacle::DiskFull);
        assert_eq!(monitor.condition(), Condition::ReadOnly(Obstacle::DiskFull));
        monitor.clear_obstacle();
        assert!(monitor.is_writable());
        monitor.report_damage(&"page 3");
        monitor.report_damage(&"page 4");
        monitor.report_obstacle(Obstacle::NotWritable);
        monitor.clear_obstacle();
        assert_eq!(monitor.condition(), Condition::Damaged("page 3".into()));
    }

    #[test]
    fn a_change_makes_copies_of_answers_stale() {
        let topics = Arc::new(Topics::default());
        let monitor = Monitor::new(Arc::clone(&topics));
        let before = topics.generation(&[Topic::Board]);
        monitor.report_obstacle(Obstacle::DiskFull);
        let during = topics.generation(&[Topic::Board]);
        assert!(before < during);
        monitor.report_obstacle(Obstacle::DiskFull);
        assert_eq!(topics.generation(&[Topic::Board]), during);
    }
}
