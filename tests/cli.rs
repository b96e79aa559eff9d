//! The program as people and scripts use it: arguments in; standard output, standard error and exit codes out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may wait and print")]

mod rest;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rest::{Account, Signer};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What must never be seen anywhere.
const CANARY: &str = "canary-4f1c9e";
/// No step takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn gannet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_LOG");
    command
}

fn output(arguments: &[&str]) -> Output {
    gannet(arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn everything(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// Refused with exit code 1, and these words on standard error.
fn assert_refused(output: &Output, words: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
}

/// A child that does not outlive its test.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("it starts"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0.id())]).status().expect("a shell");
        assert!(sent.success());
    }

    /// Waits for its end.
    fn finish(mut self) -> Output {
        let started = Instant::now();
        while self.0.try_wait().expect("a child").is_none() {
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().expect("piped").read_to_end(&mut stdout).expect("read");
        self.0.stderr.take().expect("piped").read_to_end(&mut stderr).expect("read");
        Output { status: self.0.wait().expect("ended"), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `gannet exchange` on a free port, and where it listens.
fn exchange(arguments: &[&str]) -> (Running, SocketAddr) {
    let mut command = gannet(&["exchange", "--listen", "127.0.0.1:0"]);
    command.args(arguments);
    let mut running = Running::start(command);
    let mut line = String::new();
    let mut lines = BufReader::new(running.0.stdout.take().expect("piped"));
    lines.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).parse();
    // Keeps what follows flowing.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (running, address.expect("an address"))
}

/// Waits until the account has sent orders.
fn await_orders(account: &Account, count: usize) {
    let started = Instant::now();
    while rest::SYMBOLS.iter().map(|symbol| account.orders(symbol).len()).sum::<usize>() < count {
        assert!(started.elapsed() < PATIENCE, "no orders come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}

fn assert_is_decimal(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    assert!(text.parse::<rust_decimal::Decimal>().is_ok(), "{text}");
    assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{text} has zeros at its end");
}

/// Exactly the object that scripts are promised.
fn summary(output: &Output) -> Value {
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", everything(output));
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let summary: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    let expected = [
        "market_events",
        "orders_sent",
        "orders_filled",
        "strategies",
        "denied",
        "positions",
        "pnl",
        "tick_to_trade_ns",
        "dropped",
        "venues",
        "venue_agrees",
        "recovered",
    ];
    assert_eq!(keys(&summary), BTreeSet::from(expected));
    for strategy in summary["strategies"].as_array().unwrap() {
        assert_eq!(keys(strategy), BTreeSet::from(["name", "began", "orders_sent", "orders_filled"]));
    }
    for position in summary["positions"].as_array().unwrap() {
        assert_eq!(keys(position), BTreeSet::from(["instrument", "quantity", "average_price"]));
        assert_is_decimal(&position["quantity"]);
        assert_is_decimal(&position["average_price"]);
    }
    assert_eq!(keys(&summary["pnl"]), BTreeSet::from(["currency", "realized", "unrealized", "fees"]));
    assert_eq!(summary["pnl"]["currency"], "USDT");
    ["realized", "unrealized", "fees"].iter().for_each(|amount| assert_is_decimal(&summary["pnl"][amount]));
    let percentiles = BTreeSet::from(["count", "p50", "p90", "p99", "p99_9", "max"]);
    assert_eq!(keys(&summary["tick_to_trade_ns"]), percentiles);
    for counts in ["denied", "dropped"] {
        assert!(summary[counts].as_object().unwrap().values().all(Value::is_u64), "{summary}");
    }
    for venue in summary["venues"].as_array().unwrap() {
        assert_eq!(keys(venue), BTreeSet::from(["name", "agrees"]), "{venue}");
    }
    assert_eq!(summary["venue_agrees"], true);
    summary
}

#[test]
fn the_demo_prints_one_object() {
    for layout in ["fused", "split"] {
        let output = output(&["demo", "--for", "4s", "--speed", "10", "--json", "--layout", layout]);
        let summary = summary(&output);
        assert!(summary["orders_sent"].as_u64().unwrap() > 0, "{summary}");
        assert_eq!(summary["strategies"].as_array().unwrap().len(), 2);
    }
}

/// Money that moved unseen: nine of ten reports of transfers are lost, one comes every second, and in the end the books agree.
#[test]
fn what_a_storm_hides_the_demos_operators_sign_for() {
    let faults = "report_dropped=90,transfer=60";
    let output = output(&["demo", "--for", "8s", "--json", "--faults", faults]);
    let told = everything(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["venue_agrees"], true, "{told}");
    assert!(told.contains("two operators signed for transfers that were never told: "), "{told}");
}

#[test]
fn the_demo_trades_on_an_exchange_that_runs_already() {
    let (_exchange, address) = exchange(&["--speed", "10"]);
    let output = output(&["demo", "--for", "4s", "--json", "--exchange", &address.to_string()]);
    let summary = summary(&output);
    let account = Account::of_demo(address);
    let known = account.unique_ids().len();
    assert!(known > 0 && known <= usize::try_from(summary["orders_sent"].as_u64().unwrap()).unwrap());
    assert_eq!(account.open_orders(), Vec::<Value>::new());
}

#[test]
fn signals_end_the_demo_in_order() {
    let (_exchange, address) = exchange(&["--speed", "10"]);
    let account = Account::of_demo(address);
    for (round, name) in (1..).zip(["INT", "TERM"]) {
        let demo = Running::start(gannet(&["demo", "--exchange", &address.to_string()]));
        await_orders(&account, 5 * round);
        demo.signal(name);
        let output = demo.finish();
        assert_eq!(output.status.code(), Some(0), "SIG{name}: {}", everything(&output));
        let stdout = text(&output.stdout);
        assert!(stdout.contains("venue           simulated agrees with our books"), "{stdout}");
        assert_eq!(account.open_orders(), Vec::<Value>::new(), "SIG{name}");
        // The next round waits for orders of its own.
        await_orders(&account, 1);
    }
}

#[test]
fn an_exchange_that_is_not_there_is_told() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = output(&["demo", "--for", "5s", "--exchange", &nobody]);
    assert_refused(&output, &["venue simulated", &nobody, "refused"]);
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_arguments_end_with_code_2_and_say_what_is_allowed() {
    for (arguments, words) in [
        (&["demo", "--exchange", "127.0.0.1:1", "--speed", "4"][..], &["--speed", "--exchange"][..]),
        (&["demo", "--speed", "fast"], &["0.01 to 1000"]),
        (&["demo", "--speed", "0"], &["0.01 to 1000"]),
        (&["demo", "--for", "soon"], &["15s"]),
        (&["demo", "--for=-5s"], &["--for", "out of range"]),
        (&["demo", "--layout", "round"], &["fused", "split"]),
        (&["demo", "--seed", "x"], &["--seed"]),
        (&["demo", "--exchange", "example.org"], &["127.0.0.1:PORT"]),
        (&["exchange", "--listen", "nowhere"], &["ADDRESS:PORT"]),
        (&["exchange", "--account", "me:key"], &["NAME:KEY:SECRET:ASSET=AMOUNT"]),
        (&["strategies"], &["list", "schema", "new"]),
        (&["dmeo"], &["demo"]),
        (&["run", "--cfg", "x"], &["--cfg", "Usage: gannet run"]),
        (&[], &["demo", "run", "check", "exchange", "watchdog", "strategies"]),
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", everything(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let errors = text(&output.stderr);
        for word in words {
            assert!(errors.contains(word), "{word:?} for {arguments:?} in\n{errors}");
        }
    }
}

#[test]
fn every_help_text_has_examples() {
    let root = text(&output(&["--help"]).stdout);
    for command in ["demo", "run", "check", "ctl", "exchange", "watchdog", "strategies"] {
        assert!(root.contains(command), "{root}");
        let output = output(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        assert!(help.contains("Examples:"), "{help}");
        assert!(help.contains(&format!("gannet {command}")), "{help}");
    }
    for command in ["kill", "release", "approve", "reset", "limits", "override", "status", "keygen"] {
        let help = text(&output(&["ctl", command, "--help"]).stdout);
        assert!(help.contains("Examples:") && help.contains(&format!("gannet ctl {command}")), "{help}");
    }
    assert!(text(&output(&["--version"]).stdout).starts_with("gannet "));
}

#[test]
fn strategies_are_listed_described_and_begun() {
    let listed = output(&["strategies", "list"]);
    assert!(listed.status.success() && text(&listed.stdout).contains("market_maker"));
    let listed: Value = serde_json::from_slice(&output(&["strategies", "list", "--json"]).stdout).expect("JSON");
    assert!(listed.as_array().unwrap().len() >= 2);
    let schema: Value =
        serde_json::from_slice(&output(&["strategies", "schema", "market_maker"]).stdout).expect("JSON");
    assert_eq!(schema["type"], "object");
    assert_refused(&output(&["strategies", "schema", "nothing"]), &["nothing", "market_maker"]);

    let project = tempfile::tempdir().unwrap();
    let folder = project.path().to_str().unwrap();
    let new = |name: &str| output(&["strategies", "new", name, "--project", folder]);
    assert_refused(&new("trend"), &["strategies", "--project"]);
    std::fs::create_dir(project.path().join("strategies")).unwrap();
    assert!(new("trend").status.success());
    let written = std::fs::read_to_string(project.path().join("strategies/trend.rs")).unwrap();
    assert!(written.contains("pub struct Trend"), "{written}");
    assert_refused(&new("trend"), &["trend.rs", "already"]);
    assert_refused(&new("Bad-Name"), &["Bad-Name", "cannot name a strategy"]);
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, secret: &str) {
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn check(folder: &Path, text: &str, more: &[&str]) -> Output {
    let path = folder.join("gannet.toml");
    std::fs::write(&path, text).unwrap();
    let mut command = gannet(&["check", "--config", path.to_str().unwrap()]);
    command.args(more).current_dir(folder).env_remove("GANNET_BINANCE_API_KEY");
    command.output().unwrap()
}

fn example() -> String {
    let output = output(&["check", "--example"]);
    assert!(output.status.success());
    text(&output.stdout)
}

#[test]
fn the_example_lacks_nothing_but_keys() {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), &example(), &["--offline"]);
    assert_refused(&output, &["venue binance", "GANNET_BINANCE_API_KEY", "binance-ed25519.pem"]);
    let told = text(&output.stderr);
    let findings: Vec<&str> = told.lines().filter(|line| !line.contains("warning: ")).collect();
    assert_eq!(findings.len(), 2, "the key and the secret, each named: {told}");

    write_secret(&folder.path().join("binance-ed25519.pem"), gannet::exchange::DEMO_ED25519_PRIVATE_KEY);
    let path = folder.path().join("gannet.toml");
    let mut command = gannet(&["check", "--offline", "--config", path.to_str().unwrap()]);
    let output = command.current_dir(folder.path()).env("GANNET_BINANCE_API_KEY", CANARY).output().unwrap();
    assert!(output.status.success(), "{}", everything(&output));
    assert!(!everything(&output).contains(CANARY));
    let mut command = gannet(&["check", "--offline", "--json", "--config", path.to_str().unwrap()]);
    let output = command.current_dir(folder.path()).env("GANNET_BINANCE_API_KEY", CANARY).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&found["ok"], found["findings"].as_array().map(Vec::len)), (&Value::Bool(true), Some(0)));
    assert!(found["warnings"].to_string().contains("watchdog has no keys of its own"), "{found}");
}

#[test]
fn six_mistakes_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let broken = example()
        .replace("layout = \"auto\"", "layout = \"fast\"")
        .replace("shards = 1 ", "shards = 0 ")
        .replace("collar_bps = 50 ", "collar_bps = \"wide\" ")
        .replace("kind = \"MarketMaker\"", "kind = \"MarketMuker\"")
        .replace("warm_up_bars = 60", "warm_up_bras = 60")
        .replace("order_quantity_max = \"0.01\"", "order_quantity_max = 0.01");
    let keys = [
        "engine.layout",
        "engine.shards",
        "instruments[0].collar_bps",
        "strategies[0].kind",
        "strategies[0].warm_up_bras",
        "strategies[0].limits.order_quantity_max",
    ];
    for arguments in [&["--offline"][..], &[]] {
        let output = check(folder.path(), &broken, arguments);
        assert_refused(&output, &keys);
        assert_refused(&output, &["gannet.toml", "fused", "market_maker"]);
        assert_eq!(text(&output.stderr).lines().count(), 6, "{}", text(&output.stderr));
    }
    let path = folder.path().join("gannet.toml");
    let run = output(&["run", "--config", path.to_str().unwrap()]);
    assert_refused(&run, &keys);
    let json: Value = serde_json::from_slice(&check(folder.path(), &broken, &["--json"]).stdout).expect("JSON");
    assert_eq!((json["ok"].as_bool(), json["findings"].as_array().map(Vec::len)), (Some(false), Some(6)), "{json}");
}

#[test]
fn mistakes_across_values_are_told_with_those_within() {
    let folder = tempfile::tempdir().unwrap();
    let broken = example()
        .replace("idle = \"yield\"", "idle = \"sleep\"")
        .replace("\"binance:BTCUSDT\"", "\"binance:DOGEUSDT\"")
        .replace("\"wss://stream", "\"ws://stream");
    let output = check(folder.path(), &broken, &["--offline"]);
    assert_refused(&output, &["engine.idle", "strategies[0].instruments[0]", "venues[0].market_stream"]);
}

#[test]
fn files_that_are_not_there_or_not_toml_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing.toml");
    for command in ["run", "check"] {
        let output = output(&[command, "--config", missing.to_str().unwrap()]);
        assert_refused(&output, &["nothing.toml", "no such file", "gannet check --example"]);
    }
    let output = check(folder.path(), "engine = [", &[]);
    assert_refused(&output, &["gannet.toml", "line 1"]);
    assert_refused(&check(folder.path(), "", &[]), &["venues", "instruments", "strategies"]);
}

/// A configuration for the simulated exchange: the demo's, with keys of its own.
fn config_for(address: SocketAddr, key_kind: &str, api_key: &str, secret: &str) -> String {
    const BROUGHT: &str = "{ env = \"the demo brings its own\" }";
    include_str!("../src/control/demo.toml")
        .replace("ADDRESS", &address.to_string())
        .replace("key_kind = \"ed25519\"", &format!("key_kind = {key_kind:?}"))
        .replace(&format!("api_key = {BROUGHT}"), &format!("api_key = {api_key}"))
        .replace(&format!("secret = {BROUGHT}"), &format!("secret = {secret}"))
}

/// Runs `gannet run` until it has sent orders, and answers what it said.
fn run_until_orders(folder: &Path, config: &str, account: &Account, signal: &str, json: bool) -> Output {
    let path = folder.join("gannet.toml");
    let data_dir = format!("[engine]\ndata_dir = {:?}", folder.join("data"));
    std::fs::write(&path, config.replace("[engine]", &data_dir)).unwrap();
    assert!(gannet(&["check", "--config", path.to_str().unwrap()]).output().unwrap().status.success(), "{config}");
    let mut command = gannet(&["run", "--config", path.to_str().unwrap()]);
    if json {
        command.arg("--json");
    }
    let run = Running::start(command);
    await_orders(account, 10);
    run.signal(signal);
    let output = run.finish();
    assert_eq!(output.status.code(), Some(0), "{}", everything(&output));
    assert_eq!(account.open_orders(), Vec::<Value>::new());
    account.unique_ids();
    output
}

#[test]
fn a_run_with_an_hmac_key_trades_and_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let (_exchange, address) = exchange(&["--speed", "10"]);
    for name in ["key", "secret"] {
        write_secret(&folder.path().join(name), "demo\n");
    }
    let source = |name: &str| format!("{{ file = {:?} }}", folder.path().join(name));
    let config = config_for(address, "hmac", &source("key"), &source("secret"));
    let account = Account { address, api_key: "demo".to_owned(), signer: Signer::Hmac("demo".to_owned()) };
    let output = run_until_orders(folder.path(), &config, &account, "INT", true);
    assert!(summary(&output)["orders_sent"].as_u64().unwrap() >= 10);
}

#[test]
fn a_run_with_an_ed25519_key_trades_agrees_and_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let body = STANDARD.encode(pair.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let pair = rest::ed25519_of_pem(&pem);
    let public = STANDARD.encode(pair.public_key().as_ref());
    let account = format!("mine:{CANARY}:ed25519:{public}:USDT=1000000,BTC=10,BTCF=10");
    let (_exchange, address) = exchange(&["--speed", "10", "--account", &account]);
    write_secret(&folder.path().join("key"), CANARY);
    write_secret(&folder.path().join("secret.pem"), &pem);
    let source = |name: &str| format!("{{ file = {:?} }}", folder.path().join(name));
    let config = config_for(address, "ed25519", &source("key"), &source("secret.pem"))
        .replace("[engine]", "[engine]\nlog = \"trace\"");
    let account = Account { address, api_key: CANARY.to_owned(), signer: Signer::Ed25519(pair) };
    let output = run_until_orders(folder.path(), &config, &account, "TERM", false);
    assert!(text(&output.stdout).contains("venue           simulated agrees with our books"));
    assert!(text(&output.stderr).contains("order session ready"), "it logs: {}", text(&output.stderr));
    let said = everything(&output);
    for secret in [CANARY, &body[20..40]] {
        assert!(!said.contains(secret), "a secret is in what it says, even with every log line on");
    }
}

#[test]
fn secrets_are_refused_without_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_exchange, address) = exchange(&[]);
    let secret = folder.path().join("secret");
    write_secret(&secret, CANARY);
    let config = config_for(address, "hmac", "{ env = \"GANNET_TEST_KEY\" }", &format!("{{ file = {secret:?} }}"));
    let path = folder.path().join("gannet.toml");
    let more = format!("[engine]\nlog = \"trace\"\ndata_dir = {:?}", folder.path().join("data"));
    std::fs::write(&path, config.replace("[engine]", &more)).unwrap();
    let mut said = String::new();
    let mut try_with = |command: &str, words: &[&str]| {
        let mut command = gannet(&[command, "--config", path.to_str().unwrap()]);
        let output = command.env("GANNET_TEST_KEY", format!("{CANARY}-key")).output().unwrap();
        assert_refused(&output, words);
        said += &everything(&output);
    };
    for command in ["run", "check"] {
        try_with(command, &["venue simulated", "-2015"]);
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    for command in ["run", "check"] {
        try_with(command, &["venue simulated", "secret.file", "chmod 600"]);
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    // An HMAC secret is no private key.
    let config = config_for(address, "ed25519", "{ env = \"GANNET_TEST_KEY\" }", &format!("{{ file = {secret:?} }}"));
    std::fs::write(&path, config).unwrap();
    for command in ["run", "check"] {
        try_with(command, &["venue simulated: secret: ", "PEM"]);
    }
    for command in ["demo", "run", "check", "ctl", "exchange", "watchdog", "strategies"] {
        let output = gannet(&[command, "--help"]).env("GANNET_TEST_KEY", CANARY).output().unwrap();
        said += &everything(&output);
    }
    assert!(!said.contains(CANARY), "{said}");
}
