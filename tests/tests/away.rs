//! What becomes of bookings while a part that the program needs is killed, stuck, slow, cut off or full, and afterwards? No success is
//! false, nothing is lost or sold twice, nobody waits for long, and the program recovers by itself.
//! Must not know: anything but the published contract. Three nodes are another matter: here there is one.

mod books;
mod faults_of_postgres;
mod faults_of_redis;
mod house;
mod node;
mod starting;
mod stopping;
mod traffic;
