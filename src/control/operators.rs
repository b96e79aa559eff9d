//! Operators: people who may decide what takes more than one of them, each with an Ed25519 key of their own.

use super::client::read_secret;
use crate::config::{Config, operator_key};
use crate::venue::binance::{CredentialsError, ed25519_of_pem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The configured operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operators(Vec<(String, Vec<u8>)>);

impl Operators {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let known = config.operators.iter();
        Self(known.filter_map(|one| Some((one.name.clone(), operator_key(&one.public_key)?))).collect())
    }

    /// The place and name of whoever has this public key; `None` where nobody does.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<(u32, &str)> {
        let place = self.0.iter().position(|(_, known)| known == key)?;
        Some((u32::try_from(place).ok()?, &self.0.get(place)?.0))
    }

    /// Whether two of them can be found at all.
    #[must_use]
    pub fn can_confirm(&self) -> bool {
        self.0.len() >= 2
    }

    /// Their names, for people.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }
}

/// Whether `signature` is that of `key` over `bytes`.
#[must_use]
pub fn is_signed(key: &[u8], bytes: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok()
}

/// An operator's private key. Never shown.
pub struct OperatorKey(Ed25519KeyPair);

impl OperatorKey {
    /// Reads a key file, which only its owner may be able to read.
    ///
    /// # Errors
    /// What is wrong with it; never what is in it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let pem = read_secret("--key", path)?;
        let pair = ed25519_of_pem(&pem);
        pair.map(Self).map_err(|error: CredentialsError| format!("--key {}: {error}", path.display()))
    }

    /// Makes a new key, in a new file (PKCS#8 PEM) that only its owner may read.
    ///
    /// # Errors
    /// Where the file is there already or cannot be written.
    pub fn generate(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let made = made.map_err(|_| "the system gives no random numbers".to_owned())?;
        let body = SecretString::from(STANDARD.encode(made.as_ref()));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| named(&error))?;
        let write = [
            b"-----BEGIN PRIVATE KEY-----\n".as_slice(),
            body.expose_secret().as_bytes(),
            b"\n-----END PRIVATE KEY-----\n",
        ];
        write
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| file.sync_all())
            .map_err(|error| named(&error))?;
        Self::load(path)
    }

    /// The public key, as the configuration states it.
    #[must_use]
    pub fn public_text(&self) -> String {
        STANDARD.encode(self.public_key())
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_key_is_its_owners_alone_and_signs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alice.pem");
        let key = OperatorKey::generate(&path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(OperatorKey::generate(&path).is_err(), "a key is never written over");
        assert_eq!(OperatorKey::load(&path).expect("read").public_text(), key.public_text());
        assert_eq!(operator_key(&key.public_text()).as_deref(), Some(key.public_key()));
        let signature = key.sign(b"this");
        assert!(is_signed(key.public_key(), b"this", &signature));
        assert!(!is_signed(key.public_key(), b"that", &signature));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        assert!(OperatorKey::load(&path).err().expect("refused").contains("chmod 600"));
    }
}
