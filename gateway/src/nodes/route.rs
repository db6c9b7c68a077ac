//! The way of a request that is at the wrong node, as decisions: whom to ask next, when to wait, when to give up.
//! Must not know: HTTP, connections, how long anything really takes.

use std::sync::Arc;

use engine::ownership::Place;

use super::client::HopError;

/// Hops without a pause: to the owner of the appointment's birth shard, and from there to that of its day.
const HOPS_AT_ONCE_MAX: u32 = 2;
/// A request waits so long for somebody to speak for its shard, so that a takeover in that time is not noticed. Longer, and callers who
/// give up and come back would only be more.
pub(crate) const WAIT_MILLIS_MAX: u64 = 1_500;
/// Pauses between two looks at the map, which the keeper brings up to date: short at first, because most of what is nowhere is only
/// being handed on.
const PAUSE_MILLIS_FIRST: u64 = 10;
const PAUSE_MILLIS_MAX: u64 = 100;

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Try here: this process speaks for the shard by now.
    Here,
    /// Ask there.
    Ask {
        /// `host:port`.
        address: Arc<str>,
    },
    /// Wait, then look at the map again.
    Pause {
        /// For so long.
        millis: u64,
    },
    /// Nobody can be asked in time. Nothing was done.
    Unavailable,
    /// It was asked and may have been done, and it must not be asked twice.
    Lost,
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Route {
    /// The shard that is looked for.
    pub(crate) shard: u16,
    /// Whether asking twice does no more than asking once: reads, and what carries an idempotency key.
    is_repeatable: bool,
    /// On the monotonic scale.
    gives_up_millis: u64,
    hops_at_once: u32,
    pause_millis: u64,
    must_pause: bool,
    is_lost: bool,
}

impl Route {
    /// Of a request that turned out at `now_millis` to be about `shard`, which is not here.
    pub(crate) fn new(shard: u16, is_repeatable: bool, now_millis: u64) -> Self {
        Self {
            shard,
            is_repeatable,
            gives_up_millis: now_millis + WAIT_MILLIS_MAX,
            hops_at_once: 0,
            pause_millis: PAUSE_MILLIS_FIRST,
            must_pause: false,
            is_lost: false,
        }
    }

    /// What to do, given where the map says that the shard is.
    pub(crate) fn next(&mut self, place: Place, now_millis: u64) -> Next {
        if self.is_lost {
            return Next::Lost;
        }
        let waits = self.must_pause || place == Place::Nowhere;
        self.must_pause = false;
        if !waits {
            return match place {
                Place::There { address } => {
                    self.hops_at_once += 1;
                    Next::Ask { address }
                }
                Place::Here | Place::Nowhere => Next::Here,
            };
        }
        if now_millis >= self.gives_up_millis {
            return Next::Unavailable;
        }
        self.hops_at_once = 0;
        let millis = self.pause_millis.min(self.gives_up_millis - now_millis);
        self.pause_millis = (self.pause_millis * 2).min(PAUSE_MILLIS_MAX);
        Next::Pause { millis }
    }

    /// The asked node, or this one, does not speak for `shard`: that one is looked for from now on.
    pub(crate) fn moved(&mut self, shard: u16) {
        let is_news = shard != self.shard;
        self.shard = shard;
        self.must_pause = !is_news || self.hops_at_once >= HOPS_AT_ONCE_MAX;
    }

    /// The asked node did not answer.
    pub(crate) fn failed(&mut self, error: &HopError) {
        self.must_pause = true;
        self.is_lost = matches!(error, HopError::Lost(_)) && !self.is_repeatable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(address: &str) -> Place {
        Place::There { address: Arc::from(address) }
    }

    fn ask(address: &str) -> Next {
        Next::Ask { address: Arc::from(address) }
    }

    #[test]
    fn an_appointment_is_two_hops_away_and_no_third_follows_at_once() {
        let mut route = Route::new(1, true, 0);
        assert_eq!(route.next(there("birth"), 0), ask("birth"));
        route.moved(2);
        assert_eq!(route.next(there("day"), 1), ask("day"));
        route.moved(3);
        assert_eq!(route.next(there("next"), 2), Next::Pause { millis: 10 });
        assert_eq!(route.next(there("next"), 12), ask("next"));
        route.moved(4);
        assert_eq!(route.next(there("last"), 13), ask("last"), "the count begins anew after a pause");
    }

    #[test]
    fn a_node_that_says_moved_of_the_shard_it_is_said_to_have_is_not_asked_again_at_once() {
        let mut route = Route::new(1, true, 0);
        assert_eq!(route.next(there("a"), 0), ask("a"));
        route.moved(1);
        assert_eq!(route.next(there("a"), 1), Next::Pause { millis: 10 });
    }

    #[test]
    fn what_is_nowhere_is_waited_for_and_not_for_ever() {
        let mut route = Route::new(1, false, 100);
        let mut now_millis = 100;
        let mut looks = 0;
        while let Next::Pause { millis } = route.next(Place::Nowhere, now_millis) {
            assert!((1..=100).contains(&millis));
            now_millis += millis;
            looks += 1;
        }
        assert_eq!((now_millis, looks), (1_600, 18));
        assert_eq!(route.next(Place::Nowhere, now_millis), Next::Unavailable);
        assert_eq!(route.next(there("a"), now_millis), ask("a"), "who appears at the last moment is asked");
    }

    #[test]
    fn what_came_back_here_is_tried_here_and_not_without_pause() {
        let mut route = Route::new(1, false, 0);
        assert_eq!(route.next(Place::Here, 0), Next::Here);
        route.moved(1);
        assert_eq!(route.next(Place::Here, 0), Next::Pause { millis: 10 });
        assert_eq!(route.next(Place::Here, 10), Next::Here);
    }

    #[test]
    fn only_what_may_be_repeated_is_asked_again_after_it_may_have_arrived() {
        let (lost, not_sent) = (HopError::Lost(String::new()), HopError::NotSent(String::new()));
        for (is_repeatable, error, after) in [
            (true, &lost, Next::Pause { millis: 10 }),
            (true, &not_sent, Next::Pause { millis: 10 }),
            (false, &not_sent, Next::Pause { millis: 10 }),
            (false, &lost, Next::Lost),
        ] {
            let mut route = Route::new(1, is_repeatable, 0);
            assert_eq!(route.next(there("a"), 0), ask("a"));
            route.failed(error);
            assert_eq!(route.next(there("b"), 0), after, "{is_repeatable} {error}");
        }
    }
}
