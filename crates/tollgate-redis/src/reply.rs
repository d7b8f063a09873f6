//! What the scripts answer, taken apart from the front.

use crate::error::unreadable;
use redis::Value;
use tollgate_core::store::StoreError;

/// The parts of an answer that are left; a plain answer is its own only part. Anything unexpected is an error, never a default.
pub(crate) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(parts) => Ok(Self(parts.into_iter())),
            plain @ (Value::Int(_) | Value::BulkString(_)) => Ok(Self(vec![plain].into_iter())),
            _ => Err(unreadable()),
        }
    }

    /// Whether all that it says is 1: what the scripts' short ways answer.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.0.as_slice(), [Value::Int(1)])
    }

    fn part(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(unreadable)
    }

    /// The next part, which may be nothing.
    pub(crate) fn maybe(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.part()? {
            Value::BulkString(bytes) => Ok(Some(bytes)),
            Value::Nil => Ok(None),
            _ => Err(unreadable()),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.maybe()?.ok_or_else(unreadable)
    }

    pub(crate) fn word(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?).map_err(|_| unreadable())
    }

    /// The next part, a whole number: in decimal, or as Redis has them.
    pub(crate) fn number<T: TryFrom<i128>>(&mut self) -> Result<T, StoreError> {
        let number = match self.part()? {
            Value::Int(number) => number.into(),
            Value::BulkString(bytes) => decimal(&bytes)?,
            _ => return Err(unreadable()),
        };
        T::try_from(number).map_err(|_| unreadable())
    }

    /// The next part, if it is an answer of its own; `None` where it is nothing.
    pub(crate) fn nested(&mut self) -> Result<Option<Self>, StoreError> {
        match self.part()? {
            Value::Nil => Ok(None),
            value => Self::of(value).map(Some),
        }
    }

    /// All that is left.
    pub(crate) fn all(self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0
            .map(|part| match part {
                Value::BulkString(bytes) => Ok(bytes),
                _ => Err(unreadable()),
            })
            .collect()
    }
}

/// A whole number in decimal.
pub(crate) fn decimal(bytes: &[u8]) -> Result<i128, StoreError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(unreadable)
}

/// A flag, `1` or `0`.
pub(crate) fn flag(bytes: &[u8]) -> Result<bool, StoreError> {
    match bytes {
        b"1" => Ok(true),
        b"0" => Ok(false),
        _ => Err(unreadable()),
    }
}
