//! Keys and signatures. No secret is ever shown: neither type's `Debug` holds any of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretString};

/// Why keys cannot be used. Says what is wrong, never with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// The API key is empty, or has other characters than letters, digits, `-` and `_`.
    ApiKey,
    /// The HMAC secret is empty.
    EmptySecret,
    /// The private key is not a PEM of `PRIVATE KEY` (PKCS#8).
    NotPem,
    /// The private key is not an Ed25519 key.
    NotEd25519,
}

impl std::fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "the API key is empty or has characters that no API key has",
            Self::EmptySecret => "the HMAC secret is empty",
            Self::NotPem => "the private key is not PEM: it must begin with -----BEGIN PRIVATE KEY-----",
            Self::NotEd25519 => "the private key is not an Ed25519 key in PKCS#8",
        })
    }
}

impl std::error::Error for CredentialsError {}

/// Reads an Ed25519 private key, PKCS#8 in PEM.
///
/// # Errors
/// Where it is not one.
pub fn ed25519_of_pem(pem: &SecretString) -> Result<Ed25519KeyPair, CredentialsError> {
    let pem = pem.expose_secret();
    let body = pem
        .split_once("-----BEGIN PRIVATE KEY-----")
        .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
        .map(|(body, _)| SecretString::from(body.split_whitespace().collect::<String>()))
        .ok_or(CredentialsError::NotPem)?;
    let der = STANDARD.decode(body.expose_secret()).map_err(|_| CredentialsError::NotPem)?;
    let der = secrecy::SecretSlice::from(der);
    // OpenSSL writes version 1, without the public key, which the strict reading asks for.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.expose_secret()).map_err(|_| CredentialsError::NotEd25519)
}

enum Key {
    Ed25519(Box<Ed25519KeyPair>),
    Hmac(Box<hmac::Key>),
}

/// An API key and what signs for it, ready to sign: the HMAC key is hashed in once.
pub struct Credentials {
    api_key: SecretString,
    key: Key,
}

/// A signature as text: hexadecimal for HMAC, base64 for Ed25519.
#[derive(Clone, Copy)]
pub struct Signature {
    text: [u8; Self::BYTES_MAX],
    length: usize,
}

impl Signature {
    /// The longest: 64 bytes as base64.
    pub const BYTES_MAX: usize = 88;

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(…)")
    }
}

impl Credentials {
    /// Keys of the HMAC-SHA256 kind.
    ///
    /// # Errors
    /// Where the API key or the secret cannot be one.
    pub fn hmac(api_key: SecretString, secret: &SecretString) -> Result<Self, CredentialsError> {
        let secret = secret.expose_secret().trim();
        if secret.is_empty() {
            return Err(CredentialsError::EmptySecret);
        }
        Self::new(api_key, Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))))
    }

    /// Keys of the Ed25519 kind: `pem` is the private key in PKCS#8, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// Where the API key or the private key cannot be one.
    pub fn ed25519(api_key: SecretString, pem: &SecretString) -> Result<Self, CredentialsError> {
        let pair = ed25519_of_pem(pem)?;
        Self::new(api_key, Key::Ed25519(Box::new(pair)))
    }

    fn new(api_key: SecretString, key: Key) -> Result<Self, CredentialsError> {
        let text = api_key.expose_secret();
        let is_valid = !text.is_empty()
            && text.len() <= 256
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_valid { Ok(Self { api_key, key }) } else { Err(CredentialsError::ApiKey) }
    }

    /// The API key, which is sent with requests.
    #[must_use]
    pub fn api_key(&self) -> &str {
        self.api_key.expose_secret()
    }

    /// Whether these keys can log a session on: the venue takes Ed25519 for that only.
    #[must_use]
    pub const fn can_log_on(&self) -> bool {
        matches!(self.key, Key::Ed25519(_))
    }

    /// The public key of an Ed25519 pair.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        match &self.key {
            Key::Ed25519(pair) => Some(pair.public_key().as_ref()),
            Key::Hmac(_) => None,
        }
    }

    /// Signs what is to be sent (the parameters as `name=value&…`).
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> Signature {
        let mut signature = Signature { text: [0; Signature::BYTES_MAX], length: 0 };
        match &self.key {
            Key::Ed25519(pair) => {
                let bytes = pair.sign(payload);
                signature.length = STANDARD.encode_slice(bytes.as_ref(), &mut signature.text).unwrap_or(0);
            }
            Key::Hmac(key) => {
                let tag = hmac::sign(key, payload);
                for (pair, byte) in signature.text.as_chunks_mut::<2>().0.iter_mut().zip(tag.as_ref()) {
                    *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
                    signature.length += 2;
                }
            }
        }
        signature
    }
}

/// The lower-case hexadecimal digit of a number under 16.
#[inline]
pub(super) const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.can_log_on() { "Credentials(Ed25519)" } else { "Credentials(HMAC)" })
    }
}

#[cfg(test)]
pub(super) mod tests;
