//! What a refusal proves.
//!
//! The venue's codes fall into those that say that the request was not carried out, and those that say nothing (a
//! timeout behind its front, an overload after acceptance). Whatever is not known to be the first kind counts as the
//! second: an order is never guessed dead.

/// What a refusal proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request was not carried out.
    Proven,
    /// It was not carried out, as there were too many; nothing further should be sent for a while.
    TooMany,
    /// The venue knows no such order (any more).
    NoSuchOrder,
    /// Nothing: it may have been carried out all the same.
    Unproven,
}

/// Judges a refusal by its HTTP-like status and the venue's error code.
#[must_use]
pub const fn classify(status: u16, code: i32) -> Refusal {
    match (status, code) {
        // A time limit behind the venue's front, or a broken connection there: "execution status unknown".
        (500.., _) | (_, -1000 | -1001 | -1006 | -1007 | -1008 | -1016) => Refusal::Unproven,
        (418 | 429, _) | (_, -1003 | -1015) => Refusal::TooMany,
        (_, -2011 | -2013) => Refusal::NoSuchOrder,
        // Unauthorised, malformed, filtered, refused by the matching engine's own rules.
        (_, -1002 | -1010 | -1013 | -1014 | -1020 | -1021 | -1022 | -1199..=-1099 | -2010 | -2014 | -2015 | -2016) => {
            Refusal::Proven
        }
        _ => Refusal::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_refused_counts_as_refused() {
        assert_eq!(classify(400, -1013), Refusal::Proven);
        assert_eq!(classify(400, -1121), Refusal::Proven);
        assert_eq!(classify(400, -2010), Refusal::Proven);
        assert_eq!(classify(400, -2013), Refusal::NoSuchOrder);
        assert_eq!(classify(429, -1003), Refusal::TooMany);
        for (status, code) in [(503, -1013), (400, -1007), (400, -1006), (400, -9999), (504, 0), (200, -1000)] {
            assert_eq!(classify(status, code), Refusal::Unproven, "{status} {code}");
        }
    }
}
