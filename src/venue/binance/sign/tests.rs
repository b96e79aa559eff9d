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
    let mut der = vec![0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
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
