//! Who sent a request: API keys and signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;

/// The API key of the demo's own account.
pub const DEMO_ED25519_API_KEY: &str = "demo-ed25519";

/// The private key of the demo's own account, which the demo logs on with. It guards nothing: it is published here, and
/// the exchange that knows it listens on loopback only.
pub const DEMO_ED25519_PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIKWz7sy7EDbuu3lTyOgRMFiHGP9tQEE+okn1AbZ0GJND
-----END PRIVATE KEY-----
";

/// What the signatures of an account are checked with.
#[derive(Clone)]
pub enum Key {
    /// HMAC-SHA256 with this secret; signatures are hexadecimal.
    Hmac(String),
    /// Ed25519 with this public key; signatures are base64.
    Ed25519([u8; 32]),
}

/// Why a key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError;

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Ed25519 key: a PKCS#8 private key in PEM, or 32 bytes of public key in base64, is expected")
    }
}

impl std::error::Error for KeyError {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(…)",
            Self::Ed25519(_) => "Ed25519(…)",
        })
    }
}

impl Key {
    /// The public half of an Ed25519 private key in PEM (PKCS#8).
    ///
    /// # Errors
    /// Where the text is not one.
    pub fn ed25519_of_private_pem(pem: &str) -> Result<Self, KeyError> {
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64.trim()).map_err(|_| KeyError)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError)?;
        Self::ed25519_of_bytes(pair.public_key().as_ref())
    }

    /// An Ed25519 public key in base64: 32 bytes, or their `SubjectPublicKeyInfo` without its PEM lines.
    ///
    /// # Errors
    /// Where the text is not one.
    pub fn ed25519_of_public_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError)?;
        Self::ed25519_of_bytes(bytes.get(bytes.len().saturating_sub(32)..).unwrap_or_default())
    }

    fn ed25519_of_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self::Ed25519).map_err(|_| KeyError)
    }

    /// Whether `signature` is this key's of `payload`.
    #[must_use]
    pub(super) fn verifies(&self, payload: &str, signature: &str) -> bool {
        match self {
            Self::Hmac(secret) => hexadecimal(signature).is_some_and(|tag| {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
                ring::hmac::verify(&key, payload.as_bytes(), &tag).is_ok()
            }),
            Self::Ed25519(public) => STANDARD.decode(signature).is_ok_and(|signature| {
                UnparsedPublicKey::new(&ED25519, public).verify(payload.as_bytes(), &signature).is_ok()
            }),
        }
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_hmac_example_verifies() {
        // From Binance's documentation of signed REST requests.
        let key = Key::Hmac("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j".to_owned());
        let payload = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        assert!(key.verifies(payload, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"));
        assert!(!key.verifies(payload, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b72"));
        assert!(!key.verifies(payload, "é"));
    }

    #[test]
    fn the_demo_key_signs_what_its_public_half_verifies() {
        let body: String = DEMO_ED25519_PRIVATE_KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&STANDARD.decode(body).expect("base64")).expect("a key");
        let signature = STANDARD.encode(pair.sign(b"a=1"));
        let key = Key::ed25519_of_private_pem(DEMO_ED25519_PRIVATE_KEY).expect("a key");
        assert!(key.verifies("a=1", &signature));
        assert!(!key.verifies("a=2", &signature));
        assert!(!format!("{key:?}").contains(&signature));
        assert_eq!(Key::ed25519_of_private_pem("nonsense").err(), Some(KeyError));
    }
}
