//! Operating a real engine, as its operators do: kill it, start it again, release it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may wait and print")]

#[path = "../rest/mod.rs"]
mod rest;

use gannet::config::Config;
use gannet::control::data_dir::DataDir;
use gannet::control::engine::{self, Run};
use gannet::control::journaling::JournalOptions;
use gannet::control::operators::OperatorKey;
use gannet::control::plane::Display;
use gannet::control::status::Status;
use gannet::exchange::{DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Exchange, ExchangeConfig, Speed};
use gannet::pipeline::Counters;
use gannet::risk::KillSwitch;
use gannet::venue::binance::Credentials;
use rest::Account;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// No step takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// To list all orders weighs, and the exchange allows so much a minute, the engine's own requests included.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Long enough for orders that would still be sent.
const A_WHILE: Duration = Duration::from_secs(2);

/// An exchange, a configuration with two operators, and a data directory.
struct Scene {
    folder: tempfile::TempDir,
    exchange: Exchange,
    account: Account,
}

/// A `gannet run` that does not outlive its test.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    fn new() -> Self {
        let mut shipped = ExchangeConfig::shipped().unwrap();
        shipped.speed = Speed::Thousandths(10_000);
        let exchange = Exchange::start(&shipped).unwrap();
        let account = Account::of_demo(exchange.address());
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { folder, exchange, account };
        scene.write_secret("key", DEMO_ED25519_API_KEY);
        scene.write_secret("secret.pem", DEMO_ED25519_PRIVATE_KEY);
        let brought = "{ env = \"the demo brings its own\" }";
        let mut config = include_str!("../../src/control/demo.toml")
            .replace("ADDRESS", &scene.exchange.address().to_string())
            .replace(&format!("api_key = {brought}"), &format!("api_key = {{ file = {:?} }}", scene.path("key")))
            .replace(&format!("secret = {brought}"), &format!("secret = {{ file = {:?} }}", scene.path("secret.pem")))
            // The watchdog has tests of its own.
            .replace("[engine]", "[engine]\nwatchdog = false");
        for name in ["alice", "bob", "mallory"] {
            let key = OperatorKey::generate(&scene.path(name)).unwrap();
            if name != "mallory" {
                let public = key.public_text();
                config += &format!("\n[[operators]]\nname = {name:?}\npublic_key = {public:?}\n");
            }
        }
        std::fs::write(scene.path("gannet.toml"), config).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_secret(&self, name: &str, secret: &str) {
        std::fs::write(self.path(name), secret).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn data(&self) -> DataDir {
        DataDir::new(self.path("gannet-data"))
    }

    fn engine(&self) -> Engine {
        let mut command = self.gannet(&["run"]);
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        Engine(command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"))
    }

    fn gannet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("gannet.toml"))
            .stdin(Stdio::null())
            .env_remove("RUST_LOG");
        command
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        self.gannet(&[&["ctl"], arguments].concat()).output().expect("it starts")
    }

    fn status(&self) -> Value {
        let output = self.ctl(&["status", "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Orders that the exchange has seen.
    fn orders(&self) -> usize {
        rest::SYMBOLS.iter().map(|symbol| self.account.orders(symbol).len()).sum()
    }

    fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_true() {
            let log = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "never came: {what}\n{}", log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn until_it_trades(&self) {
        let before = self.orders();
        self.until("orders", || self.orders() >= before + 5);
    }

    /// Every order is canceled, and no new one comes.
    fn assert_it_stands_still(&self) {
        self.until("cancels", || self.account.open_orders().is_empty());
        let before = self.orders();
        std::thread::sleep(A_WHILE);
        assert_eq!(self.account.open_orders(), Vec::<Value>::new());
        assert_eq!(self.orders(), before, "no new orders");
    }

    /// Waits until an engine has told its session in the log this many times.
    fn until_ready(&self, times: usize) {
        self.until("a session", || {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            log.matches("order session ready").count() >= times
        });
    }
}

impl Engine {
    fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0.id())]).status();
        assert!(kill.unwrap().success());
    }

    /// Stops it in order.
    fn stop(mut self) {
        self.signal("TERM");
        let started = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.0.wait().unwrap().success());
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_kill_holds_over_a_restart_and_takes_two_operators_to_release() {
    let scene = Scene::new();
    let engine = scene.engine();
    scene.until_it_trades();
    let killed = scene.ctl(&["kill"]);
    assert!(killed.status.success() && said(&killed).contains("confirmed"), "{}", said(&killed));
    scene.assert_it_stands_still();
    assert_eq!(scene.status()["kills"], serde_json::json!(["engine"]));
    engine.stop();

    // Taking the line away by hand releases nothing.
    std::fs::remove_file(scene.data().file("kill")).unwrap();
    let engine = scene.engine();
    scene.until_ready(2);
    scene.assert_it_stands_still();
    assert_eq!(scene.status()["engine"], engine.0.id());

    let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(|name| scene.path(name));
    let reason = ["--reason", "the test's end"];
    let refused = scene.ctl(&[&["release", "--key", text(&mallory)], &reason[..]].concat());
    assert!(!refused.status.success() && said(&refused).contains("alice, bob"), "{}", said(&refused));
    // One operator's two signatures are one operator's.
    let once = scene.ctl(&[&["release", "--key", text(&alice), "--key", text(&alice)], &reason[..]].concat());
    assert!(once.status.success() && said(&once).contains("1 of 2"), "{}", said(&once));
    scene.assert_it_stands_still();
    let id = scene.status()["requests"][0]["id"].as_str().unwrap().to_owned();
    let released = scene.ctl(&["approve", &id, "--key", text(&bob)]);
    assert!(released.status.success() && said(&released).contains("done"), "{}", said(&released));
    scene.until_it_trades();
    let again = scene.ctl(&["approve", &id, "--key", text(&bob)]);
    assert!(!again.status.success() && said(&again).contains("no request"), "{}", said(&again));
    assert_eq!(scene.status()["kills"], serde_json::json!([]));

    let audit = std::fs::read_to_string(scene.data().file("audit.jsonl")).unwrap();
    let told: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = told.iter().find(|entry| entry["outcome"] == "done").unwrap();
    assert_eq!(done["by"], serde_json::json!(["alice", "bob"]));
    assert_eq!((done["what"].as_str(), done["reason"].as_str()), (Some("release engine"), Some("the test's end")));
    assert!(told.iter().any(|entry| entry["what"] == "kill engine"), "{audit}");

    // What was released stays released.
    engine.stop();
    let _engine = scene.engine();
    scene.until_it_trades();
}

#[test]
fn a_signal_kills_and_outlives_a_process_that_dies_of_another() {
    let scene = Scene::new();
    let engine = scene.engine();
    scene.until_it_trades();
    engine.signal("USR1");
    scene.assert_it_stands_still();
    assert_eq!(scene.data().read("kill").unwrap(), "engine\n");
    engine.signal("KILL");
    drop(engine);
    let _engine = scene.engine();
    scene.until_ready(2);
    scene.assert_it_stands_still();
}

#[test]
fn what_a_breaker_stopped_stays_so_over_a_restart_until_two_operators_reset_it() {
    let scene = Scene::new();
    scene.data().create().unwrap();
    scene.data().update_state(|state| _ = state.reject_storms.insert("simulated".to_owned(), 21)).unwrap();
    let engine = scene.engine();
    scene.until_ready(1);
    scene.until("denials", || scene.status()["shown"]["denied"]["REJECT_STORM"].as_u64().is_some_and(|n| n > 0));
    assert_eq!(scene.orders(), 0);
    assert_eq!(scene.status()["tripped"], serde_json::json!({ "account:simulated": ["REJECT_STORM 21"] }));

    let [alice, bob] = ["alice", "bob"].map(|name| scene.path(name));
    let reset = ["reset", "--reason", "understood", "--key", text(&alice), "--key", text(&bob)];
    let done = scene.ctl(&reset);
    assert!(done.status.success() && said(&done).contains("done"), "{}", said(&done));
    scene.until_it_trades();
    scene.until("it on the disk", || scene.data().state().unwrap().reject_storms.is_empty());
    assert_eq!(scene.status()["tripped"], serde_json::json!({}));
    engine.stop();
    let _engine = scene.engine();
    scene.until_it_trades();
}

#[test]
fn a_killed_strategy_stands_still_alone() {
    let scene = Scene::new();
    let _engine = scene.engine();
    scene.until_it_trades();
    let trades = |symbol| scene.account.orders(symbol).len();
    scene.until("orders of both", || rest::SYMBOLS.iter().all(|symbol| trades(symbol) > 0));
    std::fs::write(scene.data().file("kill"), "strategy:maker\n").unwrap();
    scene.until("the kill", || scene.status()["kills"] == serde_json::json!(["strategy:maker"]));
    std::thread::sleep(Duration::from_millis(500));
    let before = rest::SYMBOLS.map(trades);
    // A line of the other market's strategy proves that time passes.
    scene.until("orders of the other", || trades(rest::SYMBOLS[1]) > before[1]);
    assert_eq!(trades(rest::SYMBOLS[0]), before[0]);
    let open = scene.account.open_orders();
    assert!(open.iter().all(|order| order["symbol"] != rest::SYMBOLS[0]), "{open:?}");
}

/// Hangs the async thread for as long as it is told to.
struct Hanging(Arc<AtomicBool>);

impl Display for Hanging {
    fn show(&mut self, _status: &Status, _counters: &Counters) -> std::io::Result<()> {
        while self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

#[test]
fn a_kill_works_while_the_async_thread_hangs() {
    let scene = Scene::new();
    let (hangs, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let config = Config::load(&scene.path("gannet.toml")).unwrap();
    let mut display = Hanging(Arc::clone(&hangs));
    let over = Arc::clone(&is_over);
    let engine = std::thread::spawn(move || {
        let keys = Credentials::ed25519(DEMO_ED25519_API_KEY.into(), &DEMO_ED25519_PRIVATE_KEY.into()).unwrap();
        let journal = JournalOptions { segment_bytes: 1 << 20, ..JournalOptions::of(&config, None) };
        let kill = KillSwitch::new();
        let run = Run { config: &config, credentials: vec![keys], seed: 7, kill, watchdog: None, journal };
        let stop = async {
            while !over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(engine::run(run, &mut display, stop)).map(drop)
    });
    scene.until_it_trades();
    hangs.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(scene.data().file("kill"), "engine\n").unwrap();
    scene.assert_it_stands_still();
    assert_eq!(scene.status()["kills"], serde_json::json!(["engine"]), "written down meanwhile");
    hangs.store(false, Ordering::Relaxed);
    is_over.store(true, Ordering::Relaxed);
    engine.join().unwrap().unwrap();
}

#[test]
fn the_second_engine_on_a_directory_is_refused() {
    let scene = Scene::new();
    let engine = scene.engine();
    scene.until("the first", || scene.data().engine().is_some());
    let second = scene.gannet(&["run"]).output().unwrap();
    let told = said(&second);
    assert!(!second.status.success() && told.contains(&format!("process {}", engine.0.id())), "{told}");
}

#[test]
fn limits_change_while_it_runs() {
    let scene = Scene::new();
    let _engine = scene.engine();
    scene.until_it_trades();
    let running = std::fs::read_to_string(scene.path("gannet.toml")).unwrap();
    let (limit, lower) = ("order_quantity_max = \"0.01\"", "order_quantity_max = \"0.000001\"");
    assert!(running.contains(limit));
    let ask = |text: &str, keys: &[&str]| {
        std::fs::write(scene.path("new.toml"), text).unwrap();
        let new = scene.path("new.toml");
        let mut arguments =
            vec!["limits".to_owned(), "--from".to_owned(), text_of(&new), "--reason".to_owned(), "t".to_owned()];
        keys.iter().for_each(|key| arguments.extend(["--key".to_owned(), text_of(&scene.path(key))]));
        scene.ctl(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused =
        ask(&running.replace("shards = 2", "shards = 1").replace("shard = 1", "shard = 0"), &["alice", "bob"]);
    assert!(!refused.status.success() && said(&refused).contains("engine.shards"), "{}", said(&refused));
    let lowered = ask(&running.replace(limit, lower), &["alice"]);
    assert!(lowered.status.success() && said(&lowered).contains("version 2"), "{}", said(&lowered));
    scene.until("denials", || {
        scene.status()["shown"]["denied"]["MAX_ORDER_QTY"].as_u64().is_some_and(|count| count > 0)
    });
    let back = ask(&running, &["alice", "bob"]);
    assert!(!back.status.success() && said(&back).contains("CONFIG_CHANGE_TOO_LARGE"), "{}", said(&back));
}

fn text_of(path: &Path) -> String {
    text(path).to_owned()
}
