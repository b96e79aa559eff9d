//! Sessions in bad weather: whatever happens to the connections, the books agree when it is over.

use super::proxy::Proxy;
use super::rest::Account;
use super::{Doors, Seen, Watch, assert_agreed, config_for, demo_keys, exchange_at, trade_watched, until};
use gannet::config::Config;
use gannet::control::summary::Summary;
use gannet::exchange::Exchange;
use std::future::Future;
use std::time::Duration;
use tokio::time::sleep;

/// A session with a proxy of its own before the market streams and before the order entry.
struct Scene {
    exchange: Exchange,
    config: Config,
    market: Proxy,
    orders: Proxy,
    watch: Watch,
}

impl Scene {
    async fn new() -> Self {
        let exchange = exchange_at(10);
        let (market, orders) = (Proxy::start(exchange.address()).await, Proxy::start(exchange.address()).await);
        let doors = Doors { rest: exchange.address(), market: market.address, orders: orders.address };
        Self { config: config_for(doors), exchange, market, orders, watch: Watch::default() }
    }

    /// Trades through `weather`, then for as long as it takes to trade again, and ends.
    async fn play(&self, weather: impl Future<Output = ()>) -> (Summary, Seen) {
        let stop = async {
            self.trades_on("the first orders").await;
            weather.await;
            self.trades_on("orders in good weather again").await;
        };
        let played = trade_watched(&self.config, demo_keys(), &self.watch, stop);
        let summary = played.await.expect("a summary");
        assert_agreed(&summary, &Account::of_demo(self.exchange.address()));
        (summary, self.watch.now())
    }

    /// Waits for orders that are sent from now on.
    async fn trades_on(&self, what: &str) {
        let before = self.watch.now().orders_sent;
        until(&self.watch, what, |seen| seen.orders_sent >= before + 3).await;
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test]
async fn random_faults_on_both_connections() {
    play_random_faults(1).await;
}

#[tokio::test]
async fn other_random_faults_on_both_connections() {
    play_random_faults(2).await;
}

async fn play_random_faults(seed: u64) {
    let scene = Scene::new().await;
    let mut dice = Dice(seed);
    let weather = async {
        for _ in 0..8 {
            sleep(Duration::from_millis(100 + dice.below(700))).await;
            let proxy = if dice.below(3) == 0 { &scene.market } else { &scene.orders };
            match dice.below(5) {
                0 => proxy.cut(),
                1 => proxy.cut_after_next_write(),
                2 => proxy.stall(Duration::from_millis(100 + dice.below(500))).await,
                // One direction falls silent, and what was in it is lost.
                way => {
                    proxy.hold(way == 3, way == 4);
                    sleep(Duration::from_millis(500 + dice.below(1_500))).await;
                    proxy.cut();
                    proxy.hold(false, false);
                }
            }
        }
    };
    scene.play(weather).await;
    assert!(scene.market.connections() + scene.orders.connections() > 2, "the faults were faults");
}

#[tokio::test]
async fn the_market_connection_alone_is_cut() {
    let scene = Scene::new().await;
    let weather = async {
        for cut in 2..=4 {
            scene.market.cut();
            until(&scene.watch, "a new market connection", |seen| seen.feed_connects >= cut).await;
            scene.trades_on("orders after the cut").await;
        }
    };
    let (_, seen) = scene.play(weather).await;
    assert_eq!((seen.gateway_connects, seen.unknown_orders), (1, 0), "order entry has not noticed");
}

#[tokio::test]
async fn the_order_connection_is_cut_right_after_a_write() {
    let scene = Scene::new().await;
    let weather = async {
        for cut in 2..=3 {
            scene.orders.cut_after_next_write();
            until(&scene.watch, "a new order connection", |seen| seen.gateway_connects >= cut).await;
            scene.trades_on("orders after the cut").await;
        }
    };
    let (_, seen) = scene.play(weather).await;
    assert_eq!(seen.feed_connects, 1, "the market has not noticed");
    assert!(seen.unknown_orders > 0, "a write without an answer leaves its order unknown");
}

#[tokio::test]
async fn the_venue_goes_away_and_comes_back() {
    let scene = Scene::new().await;
    let weather = async {
        scene.market.refuse(true);
        scene.orders.refuse(true);
        sleep(Duration::from_secs(2)).await;
        let while_gone = scene.watch.now();
        sleep(Duration::from_millis(500)).await;
        assert_eq!(scene.watch.now().orders_sent, while_gone.orders_sent, "nothing is sent into the void");
        scene.market.refuse(false);
        scene.orders.refuse(false);
    };
    scene.play(weather).await;
}

#[tokio::test]
async fn the_run_ends_while_the_venue_is_away() {
    let scene = Scene::new().await;
    let stop = async {
        scene.trades_on("the first orders").await;
        scene.orders.refuse(true);
        sleep(Duration::from_millis(500)).await;
        // It comes back while the engine waits for its cancels to be confirmed.
        scene.orders.refuse(false);
    };
    let played = trade_watched(&scene.config, demo_keys(), &scene.watch, stop);
    let summary = played.await.expect("a summary");
    assert_agreed(&summary, &Account::of_demo(scene.exchange.address()));
}
