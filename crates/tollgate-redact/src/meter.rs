//! Counts the steps of the scanner, in this crate's own tests only: linear time is proved by counting, never by a clock.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes `steps` units of work. Outside of tests this is nothing at all.
#[inline(always)]
pub(crate) fn tick(steps: usize) {
    #[cfg(test)]
    STEPS.with(|count| count.set(count.get() + u64::try_from(steps).unwrap_or(u64::MAX)));
    #[cfg(not(test))]
    let _ = steps;
}

/// How many steps `work` takes.
#[cfg(test)]
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let before = STEPS.with(std::cell::Cell::get);
    work();
    STEPS.with(std::cell::Cell::get) - before
}
