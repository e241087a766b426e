//! That readers see something new, told to all who wait for it, in the order in which they began to wait.
//!
//! As tokio's `watch`, which wakes them in an order drawn at random: a run could not be repeated.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};
use tokio::sync::Notify;

/// Whoever tells. When it is dropped, there will be no more news.
#[derive(Debug, Default)]
pub(crate) struct Teller(Arc<Inner>);

/// Whoever listens, and has seen the news so far.
#[derive(Debug, Clone)]
pub(crate) struct News {
    inner: Arc<Inner>,
    seen: u64,
}

#[derive(Debug, Default)]
struct Inner {
    told: AtomicU64,
    is_over: AtomicBool,
    waiting: Notify,
}

impl Teller {
    /// There is something new.
    pub(crate) fn tell(&self) {
        self.0.told.fetch_add(1, SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Somebody who has seen everything so far.
    pub(crate) fn news(&self) -> News {
        News { inner: self.0.clone(), seen: self.0.told.load(SeqCst) }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.is_over.store(true, SeqCst);
        self.0.waiting.notify_waiters();
    }
}

impl News {
    /// What there is now counts as seen.
    pub(crate) fn mark_seen(&mut self) {
        self.seen = self.inner.told.load(SeqCst);
    }

    /// Waits until there is something new, and has seen it then. Says whether there may be more.
    pub(crate) async fn next(&mut self) -> bool {
        loop {
            // Before the look, so that nothing comes between.
            let mut waiting = pin!(self.inner.waiting.notified());
            waiting.as_mut().enable();
            let told = self.inner.told.load(SeqCst);
            if told != self.seen {
                self.seen = told;
                return true;
            }
            if self.inner.is_over.load(SeqCst) {
                return false;
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::block_on;
    use std::thread;

    #[test]
    fn news_are_seen_once_also_those_that_came_before_the_look_and_end() {
        let teller = Teller::default();
        let mut news = teller.news();
        teller.tell();
        teller.tell();
        assert!(block_on(news.next()));
        teller.tell();
        news.mark_seen();
        let told = thread::spawn(move || block_on(async { (news.next().await, news.next().await) }));
        teller.tell();
        drop(teller);
        assert_eq!(told.join().unwrap(), (true, false));
    }
}
