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
        let pem = pem.expose_secret();
        let body = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .map(|(body, _)| SecretString::from(body.split_whitespace().collect::<String>()))
            .ok_or(CredentialsError::NotPem)?;
        let der = STANDARD.decode(body.expose_secret()).map_err(|_| CredentialsError::NotPem)?;
        let der = secrecy::SecretSlice::from(der);
        // OpenSSL writes version 1, without the public key, which the strict reading asks for.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.expose_secret())
            .map_err(|_| CredentialsError::NotEd25519)?;
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
pub(super) mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    /// The keys of the venue's own documentation.
    pub(crate) const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

    pub(crate) fn hmac_credentials() -> Credentials {
        Credentials::hmac(SecretString::from(API_KEY), &SecretString::from(SECRET)).expect("keys")
    }

    /// The first test vector of RFC 8032, section 7.1, as OpenSSL would write it.
    fn pem() -> String {
        let mut der =
            vec![0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        der.extend(bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    pub(crate) fn ed25519_credentials() -> Credentials {
        Credentials::ed25519(SecretString::from(API_KEY), &SecretString::from(pem())).expect("keys")
    }

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        hexadecimal
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
            .collect()
    }

    #[test]
    fn the_documented_hmac_examples() {
        let websocket = format!(
            "apiKey={API_KEY}&newOrderRespType=ACK&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
        );
        assert_eq!(
            hmac_credentials().sign(websocket.as_bytes()).as_bytes(),
            b"cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
        );
        let rest = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        assert_eq!(
            hmac_credentials().sign(rest).as_bytes(),
            b"c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
        );
    }

    #[test]
    fn the_ed25519_vector_of_the_standard() {
        let credentials = ed25519_credentials();
        assert_eq!(
            credentials.public_key(),
            Some(bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").as_slice())
        );
        let expected = bytes(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        );
        assert_eq!(STANDARD.decode(credentials.sign(b"").as_bytes()).expect("base64"), expected);
        let signature = STANDARD.decode(credentials.sign(b"another").as_bytes()).expect("base64");
        UnparsedPublicKey::new(&ED25519, credentials.public_key().expect("a key"))
            .verify(b"another", &signature)
            .expect("valid");
    }

    #[test]
    fn nothing_shows_a_secret() {
        let pem = pem();
        let pem_body = pem.lines().nth(1).expect("a body");
        for credentials in [hmac_credentials(), ed25519_credentials()] {
            let signature = credentials.sign(b"x");
            let shown = format!("{credentials:?} {credentials:#?} {signature:?} {signature:#?}");
            for secret in [SECRET, API_KEY, pem_body, std::str::from_utf8(signature.as_bytes()).expect("ASCII")] {
                assert!(!shown.contains(&secret[..8]), "{shown}");
            }
        }
        for error in [CredentialsError::ApiKey, CredentialsError::NotPem] {
            assert!(!format!("{error} {error:?}").contains(&SECRET[..8]));
        }
    }

    #[test]
    fn bad_keys_are_refused() {
        let key = |text: &str| SecretString::from(text);
        assert_eq!(Credentials::hmac(key(""), &key("x")).err(), Some(CredentialsError::ApiKey));
        assert_eq!(Credentials::hmac(key("a\"b"), &key("x")).err(), Some(CredentialsError::ApiKey));
        assert_eq!(Credentials::hmac(key("a"), &key(" \n")).err(), Some(CredentialsError::EmptySecret));
        assert_eq!(Credentials::ed25519(key("a"), &key("MC4CAQ")).err(), Some(CredentialsError::NotPem));
        let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        assert_eq!(Credentials::ed25519(key("a"), &key(rsa)).err(), Some(CredentialsError::NotEd25519));
    }
}
