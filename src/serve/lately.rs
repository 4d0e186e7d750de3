//! [`Lately`]: one answer of the owner's for many who ask at once.
//!
//! Every question costs the owner of the store a moment between two rounds of dispatch, so however many
//! clients poll, it is asked again only after many times as long as the last answer took: a small share of
//! its time, and the smaller the busier it is. Who asks meanwhile is given that answer. What this process
//! changes itself makes answers from before old at once, so a client reads what it wrote.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ApiError;

/// An answer is good for so many times as long as it took,
const REST: u32 = 20;
/// but no longer than anybody would notice.
const LONGEST: Duration = Duration::from_millis(250);

/// How long an answer is good that took so long.
pub(super) fn good_for(took: Duration) -> Duration {
    (took * REST).min(LONGEST)
}

/// The last answer to a question.
#[derive(Debug)]
pub(super) struct Lately<T>(Mutex<Option<Known<T>>>);

#[derive(Debug)]
struct Known<T> {
    answer: Arc<T>,
    answered_at: Instant,
    good_for: Duration,
    /// How many changes there had been when it was asked.
    changes: u64,
}

impl<T> Default for Lately<T> {
    fn default() -> Lately<T> {
        Lately(Mutex::default())
    }
}

impl<T> Lately<T> {
    /// The last answer while it is good, else another one; one asks, the others wait for it. `changes`
    /// counts what was changed so far.
    pub(super) async fn get(
        &self,
        changes: impl Fn() -> u64,
        ask: impl AsyncFnOnce() -> Result<T, ApiError>,
    ) -> Result<Arc<T>, ApiError> {
        let came = (Instant::now(), changes());
        let mut last = self.0.lock().await;
        let began = Instant::now();
        if let Some(known) = last.as_ref().filter(|known| known.serves(came, began)) {
            return Ok(known.answer.clone());
        }
        let changes = changes();
        let answer = Arc::new(ask().await?);
        let answered_at = Instant::now();
        let good_for = good_for(answered_at - began);
        *last = Some(Known { answer: answer.clone(), answered_at, good_for, changes });
        Ok(answer)
    }
}

impl<T> Known<T> {
    /// Whether it does for somebody who came then, after so many changes, and has waited until now.
    fn serves(&self, (came_at, changes): (Instant, u64), now: Instant) -> bool {
        let is_good = self.answered_at >= came_at || now < self.answered_at + self.good_for;
        is_good && self.changes >= changes
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_answer_serves_for_many_times_as_long_as_it_took() {
        let ms = Duration::from_millis;
        assert_eq!([good_for(ms(2)), good_for(ms(60_000))], [ms(40), LONGEST]);
        let answered_at = Instant::now() + ms(1_000);
        let known = Known { answer: Arc::new(()), answered_at, good_for: ms(40), changes: 7 };
        assert!(known.serves((answered_at + ms(39), 7), answered_at + ms(39)));
        assert!(!known.serves((answered_at + ms(40), 7), answered_at + ms(40)));
        // Who waited for it takes it, however long that was.
        assert!(known.serves((answered_at - ms(1), 7), answered_at + ms(500)));
        assert!(!known.serves((answered_at - ms(1), 8), answered_at), "it may be from before the change");
    }

    #[test]
    fn one_asks_for_all_who_come_meanwhile_and_again_after_a_change() {
        let (lately, asked, changes) = (Lately::default(), Cell::new(0), Cell::new(0));
        let get = async |changed: u64| {
            let ask = async || {
                asked.set(asked.get() + 1);
                tokio::task::yield_now().await;
                changes.set(changes.get() + changed);
                Ok(asked.get())
            };
            *lately.get(|| changes.get(), ask).await.unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(tokio::join!(get(0), get(0), get(0)), (1, 1, 1));
            changes.set(1);
            // Changed while it is asked: who came before need not see that, who comes after does.
            assert_eq!(tokio::join!(get(1), get(0), get(0)), (2, 2, 2));
            assert_eq!(get(0).await, 3);
        });
    }
}
