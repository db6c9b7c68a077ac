//! The node itself stands still for longer than its lease.
//! Must not know: what a lease is kept in.

use blackbox::limits;

use crate::away::house::{Alone, Both, Expected, House, PAST_THE_LEASE};

const PAUSED: Expected = Expected { refuses: false, part: None, ages: false, pause: PAST_THE_LEASE };

async fn pause(house: House) {
    let traffic = house.traffic().await;
    let process = house.server.process();
    limits::signal(process, "STOP");
    traffic.goes_on(PAST_THE_LEASE).await;
    limits::signal(process, "CONT");
    house.recovers(traffic, "the node paused, past its lease", PAUSED).await;
}

#[tokio::test]
async fn a_node_that_slept_past_its_lease_comes_back() {
    let (alone, both) = (Alone::start().await, Both::start().await);
    let (first, second) = (alone.house().await, both.house().await);
    tokio::join!(pause(first), pause(second));
}
