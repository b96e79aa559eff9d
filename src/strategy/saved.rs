//! What a strategy finds again after a restart.

use super::FieldError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A strategy's saved state: JSON, with the version of its form, which is the strategy's own to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    version: u16,
    text: String,
}

crate::types::binary::binary_struct!(SavedState { version, text });

/// What an instance leaves behind when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// A state.
    Saved(SavedState),
    /// Its strategy keeps none.
    Nothing,
    /// A handler panicked, or saving did: what it has is not to be trusted.
    InError,
}

crate::types::binary::binary_enum!(Left { 0 = Saved(state), 1 = Nothing, 2 = InError });

impl SavedState {
    /// The most bytes of a state. What is larger is not kept, and its strategy begins afresh: a start must stay fast.
    pub const BYTES_MAX: usize = 1 << 20;

    /// A state of this version; `None` where it cannot be written as JSON, or is too large.
    #[must_use]
    pub fn of(version: u16, state: &impl Serialize) -> Option<Self> {
        let text = serde_json::to_string(state).ok()?;
        (text.len() <= Self::BYTES_MAX).then_some(Self { version, text })
    }

    /// The state again. What is read is always the text, after a restart as in replay, so that both get the same numbers.
    ///
    /// # Errors
    /// Where it is of another version, or not what `T` is.
    pub fn read<T: DeserializeOwned>(&self, version: u16) -> Result<T, FieldError> {
        if self.version != version {
            let of = [self.version, version].map(|version| version.to_string());
            return Err(FieldError::new("state", ["is of version ", &of[0], ", not ", &of[1]].concat()));
        }
        serde_json::from_str(&self.text).map_err(|error| FieldError::new("state", error.to_string()))
    }

    /// The version of its form.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Binary;

    #[test]
    fn a_state_is_read_as_it_was_saved_and_only_by_its_own_version() {
        let saved = SavedState::of(3, &(0.1_f64, [1_i64, -2])).expect("small");
        let mut bytes = Vec::new();
        saved.put(&mut bytes);
        let again = SavedState::take(&mut bytes.as_slice()).expect("whole");
        assert_eq!(again, saved);
        assert_eq!(again.read::<(f64, [i64; 2])>(3), Ok((0.1, [1, -2])));
        assert!(again.read::<(f64, [i64; 2])>(2).expect_err("another").message.contains("version 3, not 2"));
        assert!(again.read::<String>(3).is_err());
        assert_eq!(SavedState::of(1, &"x".repeat(SavedState::BYTES_MAX)), None);
    }
}
