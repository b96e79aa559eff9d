//! The parameters of a request, from a query string, a form or a JSON object.

use super::error::ApiError;
use crate::matching::PRECISION;
use crate::types::{ParseFixedError, parse_fixed};
use serde_json::{Map, Value};

/// Names and values in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=2`, percent-decoded.
    pub(super) fn from_query(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (percent(k), percent(v)))
                .collect(),
        )
    }

    /// Reads a JSON object; what is not text is taken as it is written.
    pub(super) fn from_json(object: &Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Self(object.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What a WebSocket API signature covers: all but the signature, sorted by name.
    pub(super) fn sorted_payload(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().filter(|(name, _)| name != "signature").collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| ApiError::illegal_characters(name, "^[0-9]{1,20}$"));
        self.text(name).map(parse).transpose()
    }

    /// A number of rows: `default` where none is given, never more than `max`, as Binance does.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        let limit = self.integer("limit")?;
        match limit.map(|limit| usize::try_from(limit).unwrap_or(max)) {
            Some(0) => Err(ApiError::bad_value("limit")),
            Some(limit) => Ok(limit.min(max)),
            None => Ok(default),
        }
    }

    /// A price, quantity or amount.
    pub(super) fn decimal(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| match parse_fixed(text.as_bytes(), PRECISION) {
            Ok(value) if value >= 0 => Ok(value),
            Err(ParseFixedError::TooPrecise) => Err(ApiError::too_precise(name)),
            _ => Err(ApiError::illegal_characters(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")),
        };
        self.text(name).map(parse).transpose()
    }
}

/// Undoes percent encoding; what is not well-formed stays as it is.
fn percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2)).flatten();
        let decoded = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match decoded {
            Some(decoded) => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if byte == b'+' { b' ' } else { byte });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The query string without its signature, and the signature: what is signed is the text as it was sent.
pub(super) fn split_signature(raw: &str) -> (String, Option<String>) {
    let mut signature = None;
    let kept: Vec<&str> = raw
        .split('&')
        .filter(|pair| match pair.strip_prefix("signature=") {
            Some(value) => {
                signature = Some(percent(value));
                false
            }
            None => !pair.is_empty(),
        })
        .collect();
    (kept.join("&"), signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_judged() {
        let params = Params::from_query(
            "symbol=BTCUSDT&price=1.5&quantity=0.000000001&side=&x=%22a%2B+b%22&limit=9999&n=1x&bad=%zz",
        );
        assert_eq!(params.required("symbol"), Ok("BTCUSDT"));
        assert_eq!(params.decimal("price"), Ok(Some(150_000_000)));
        assert_eq!(params.decimal("quantity").map_err(|error| error.code), Err(-1111));
        assert_eq!(params.required("side").map_err(|error| error.code), Err(-1102));
        assert_eq!(params.text("x"), Some("\"a+ b\""));
        assert_eq!(params.limit(500, 1_000), Ok(1_000));
        assert_eq!(params.integer("n").map_err(|error| error.code), Err(-1100));
        assert_eq!(params.text("bad"), Some("%zz"));
        assert_eq!(split_signature("a=1&signature=x%2By&b=2"), ("a=1&b=2".to_owned(), Some("x+y".to_owned())));
    }
}
