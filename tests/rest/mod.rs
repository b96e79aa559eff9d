//! What the simulated exchange's own books say, asked over REST as any client would: the second opinion of the tests.

#![allow(dead_code, reason = "each test program asks what it needs")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gannet::exchange::DEMO_ED25519_PRIVATE_KEY;
use ring::{hmac, signature::Ed25519KeyPair};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How one account signs.
pub enum Signer {
    Hmac(String),
    Ed25519(Ed25519KeyPair),
}

/// One account at a running exchange.
pub struct Account {
    pub address: SocketAddr,
    pub api_key: String,
    pub signer: Signer,
}

/// The symbols that the shipped exchange serves.
pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "BTCFUSDT"];

/// A PKCS#8 private key in PEM.
pub fn ed25519_of_pem(pem: &str) -> Ed25519KeyPair {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&STANDARD.decode(body).expect("base64")).expect("a key")
}

impl Account {
    /// The account that `gannet demo` trades with.
    pub fn of_demo(address: SocketAddr) -> Self {
        let signer = Signer::Ed25519(ed25519_of_pem(DEMO_ED25519_PRIVATE_KEY));
        Self { address, api_key: gannet::exchange::DEMO_ED25519_API_KEY.to_owned(), signer }
    }

    /// Every order of the account in a symbol, oldest first.
    pub fn orders(&self, symbol: &str) -> Vec<Value> {
        let (mut orders, mut from) = (Vec::new(), 0);
        loop {
            let page = self.ask("allOrders", &format!("symbol={symbol}&orderId={from}&limit=1000"));
            let page = page.as_array().unwrap_or_else(|| panic!("a list of orders, not {page}")).clone();
            let is_last = page.len() < 1_000;
            from = page.last().map_or(from, |order| order["orderId"].as_u64().expect("a number") + 1);
            orders.extend(page);
            if is_last {
                return orders;
            }
        }
    }

    /// Orders of all symbols that still work.
    pub fn open_orders(&self) -> Vec<Value> {
        SYMBOLS
            .iter()
            .flat_map(|symbol| self.ask("openOrders", &format!("symbol={symbol}")).as_array().expect("a list").clone())
            .collect()
    }

    /// Our ids of all orders; fails where one was used twice.
    pub fn unique_ids(&self) -> HashSet<String> {
        let mut ids = HashSet::new();
        for order in SYMBOLS.iter().flat_map(|symbol| self.orders(symbol)) {
            let id = order["clientOrderId"].as_str().expect("an id").to_owned();
            assert!(ids.insert(id), "sent twice: {order}");
        }
        ids
    }

    pub fn ask(&self, path: &str, query: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let query = format!("{query}&timestamp={now}");
        let signature = match &self.signer {
            Signer::Hmac(secret) => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), query.as_bytes());
                tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Signer::Ed25519(pair) => {
                STANDARD.encode(pair.sign(query.as_bytes())).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
            }
        };
        let mut stream = TcpStream::connect(self.address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        write!(
            stream,
            "GET /api/v3/{path}?{query}&signature={signature} HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {}\r\n\
             Connection: close\r\n\r\n",
            self.api_key
        )
        .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
