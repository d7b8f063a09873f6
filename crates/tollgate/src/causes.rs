//! A failure with what caused it, for logs. A store's own words stop where its driver's begin ("the store failed"), and whoever is on call
//! needs those: refused, full, no connection free. Stores keep card data, keys and answers out of both.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources, each after a colon, and none twice.
pub(crate) struct Causes<'e>(pub(crate) &'e dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(deeper) = cause {
            let why = deeper.to_string();
            // some repeat their source in their own words
            if !told.contains(&why) {
                told = format!("{told}: {why}");
            }
            cause = deeper.source();
        }
        f.write_str(&told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::store::StoreError;

    #[test]
    fn every_cause_is_told() {
        let disk = StoreError::unavailable("no space left");
        let store = StoreError::unavailable("the store failed").with_source(disk);
        assert_eq!(Causes(&store).to_string(), "the store failed: no space left");
        assert_eq!(Causes(&StoreError::unavailable("gone")).to_string(), "gone");
        let repeated =
            StoreError::unavailable("row 7: damaged").with_source(StoreError::unavailable("damaged"));
        assert_eq!(Causes(&repeated).to_string(), "row 7: damaged");
    }
}
