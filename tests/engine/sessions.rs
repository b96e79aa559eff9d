//! Sessions in good weather, and starts that cannot succeed.

use super::rest::Account;
use super::{Doors, Watch, assert_agreed, config_for, demo_keys, exchange_at, trade, trade_watched, until};
use gannet::types::ClientOrderId;
use gannet::venue::binance::Credentials;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test]
async fn both_strategies_trade_and_the_venue_agrees() {
    let exchange = exchange_at(10);
    let account = Account::of_demo(exchange.address());
    let config = config_for(Doors::all(exchange.address()));
    let watch = Watch::default();
    let stop = async {
        sleep(Duration::from_secs(8)).await;
        // A machine that is busy elsewhere gets there later.
        until(&watch, "fills of both", |seen| seen.strategies_filled == 2).await;
    };
    let summary = trade_watched(&config, demo_keys(), &watch, stop).await.expect("a summary");
    assert_agreed(&summary, &account);
    for strategy in &summary.strategies {
        assert!(strategy.orders_sent > 0 && strategy.orders_filled > 0, "{summary}");
    }
    assert!(summary.market_events > 1_000 && summary.tick_to_trade_ns.count > 0, "{summary}");
    let seen = watch.now();
    assert_eq!((seen.unknown_orders, seen.timeouts), (0, 0), "every request is answered in good weather");
    assert_eq!((seen.notices_dropped, seen.samples_dropped), (0, 0), "what is reported of orders all arrives");
    assert_eq!(seen.orders_sent, summary.orders_sent, "what was counted at the socket is what was recorded");
    assert!(seen.fills >= summary.orders_filled);
    // The venue knows what was sent, less what it refused at once.
    let known = u64::try_from(account.unique_ids().len()).unwrap();
    assert!(known <= summary.orders_sent && known > 0, "{known} orders at the venue, {summary}");
}

#[tokio::test]
async fn the_next_engine_has_a_higher_epoch_and_no_id_comes_twice() {
    let exchange = exchange_at(10);
    let account = Account::of_demo(exchange.address());
    let config = config_for(Doors::all(exchange.address()));
    let mut epochs = Vec::new();
    let mut known = std::collections::HashSet::new();
    for _ in 0..2 {
        let watch = Watch::default();
        let stop = until(&watch, "orders", |seen| seen.orders_sent >= 5);
        let summary = trade_watched(&config, demo_keys(), &watch, stop).await.expect("a summary");
        assert_agreed(&summary, &account);
        let ids = account.unique_ids();
        let new: Vec<u32> = ids.difference(&known).map(|id| epoch_of(id)).collect();
        assert!(!new.is_empty(), "{summary}");
        assert!(new.iter().all(|epoch| *epoch == new[0]), "one run, one epoch: {new:?}");
        epochs.push(new[0]);
        known = ids;
    }
    assert!(epochs[1] > epochs[0], "{epochs:?}");
}

fn epoch_of(id: &str) -> u32 {
    ClientOrderId::parse(id.as_bytes()).unwrap_or_else(|| panic!("{id} is not of our form")).epoch()
}

/// A port where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_exchange_that_is_not_there_is_told_by_name_and_address() {
    let address = nobody();
    let started = Instant::now();
    let errors = trade(&config_for(Doors::all(address)), demo_keys(), sleep(Duration::from_secs(60))).await;
    let errors = errors.expect_err("nobody is there").join("\n");
    assert!(started.elapsed() < Duration::from_secs(30));
    for part in ["venue simulated", &address.to_string(), "refused"] {
        assert!(errors.contains(part), "{part:?} in {errors}");
    }
}

#[tokio::test]
async fn an_exchange_that_never_answers_is_told_within_the_time_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let started = Instant::now();
    let errors = trade(&config_for(Doors::all(address)), demo_keys(), sleep(Duration::from_secs(60))).await;
    let errors = errors.expect_err("nobody answers").join("\n");
    assert!(started.elapsed() < Duration::from_secs(30));
    for part in ["venue simulated", &address.to_string(), "timed out"] {
        assert!(errors.contains(part), "{part:?} in {errors}");
    }
}

#[tokio::test]
async fn wrong_keys_are_refused_before_anything_runs() {
    let exchange = exchange_at(1);
    let config = config_for(Doors::all(exchange.address()));
    let hmac = |key: &str| {
        Credentials::hmac(SecretString::from(key), &SecretString::from("not-the-secret-canary")).expect("credentials")
    };
    for (keys, code) in [(hmac("nobody"), "-2015"), (hmac("demo"), "-1022"), (wrong_private_key(), "-1022")] {
        let errors = trade(&config, keys, sleep(Duration::from_secs(60))).await.expect_err("wrong keys").join("\n");
        assert!(errors.contains("venue simulated") && errors.contains(code), "{code} in {errors}");
        assert!(!errors.contains("canary"), "{errors}");
        assert_eq!(errors.matches(code).count(), 1, "told once: {errors}");
    }
}

/// The demo's API key with somebody else's private key.
fn wrong_private_key() -> Credentials {
    use base64::Engine as _;
    let pair = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(pair.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    Credentials::ed25519(SecretString::from(gannet::exchange::DEMO_ED25519_API_KEY), &SecretString::from(pem)).unwrap()
}
