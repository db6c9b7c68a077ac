//! Marks a place where durable state, or what somebody outside was told, changes: there a test kills the process.
//! Must not know: which places there are (`testing::points`), who is killed.

/// Passes a crash point, by its variant of `testing::Point`. Without the feature `testing` it is nothing at all.
#[cfg(feature = "testing")]
#[macro_export]
macro_rules! crash_point {
    ($point:ident) => {
        $crate::testing::pass($crate::testing::Point::$point)
    };
}

/// Passes a crash point, by its variant of `testing::Point`. Without the feature `testing` it is nothing at all.
#[cfg(not(feature = "testing"))]
#[macro_export]
macro_rules! crash_point {
    ($point:ident) => {};
}
