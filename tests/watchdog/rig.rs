//! An exchange, an engine with its watchdog, and what they leave behind: log, state file, orders.

use crate::rest::{self, Account, Signer};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No step takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often is looked: the exchange weighs requests as Binance does, and refuses who asks too often.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until there is an answer.
pub fn until<T>(what: &str, answer: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        std::thread::sleep(LOOK);
    }
}

#[derive(Clone, Copy)]
pub enum Signal {
    Stop,
    Cont,
    Term,
    Kill,
}

fn send(pid: u32, signal: Signal) {
    let name = match signal {
        Signal::Stop => "STOP",
        Signal::Cont => "CONT",
        Signal::Term => "TERM",
        Signal::Kill => "KILL",
    };
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null()).status();
}

/// A child that does not outlive its test.
pub struct Process(Child);

impl Process {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Rig {
    folder: tempfile::TempDir,
    pub exchange: Process,
    account: Account,
}

impl Rig {
    /// An exchange, and a configuration for an engine: the demo's.
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// The same with the strategy that never returns in the place of the second one, and with its limits.
    pub fn stuck(engine: &str) -> Self {
        Self::with(|config| {
            config
                .replace("layout = \"auto\"", engine)
                .replace("name = \"reverter\"\nkind = \"mean_reversion\"", "name = \"stuck\"\nkind = \"stuck\"")
                .replace("length = 20\nwidth = 1.0\norder_quantity = 0.001\nposition_max = 0.1\n", "")
        })
    }

    fn with(change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (exchange, address) = exchange();
        for name in ["key", "secret"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "demo\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let source = |name: &str| format!("{{ file = {:?} }}", folder.path().join(name));
        let brought = "{ env = \"the demo brings its own\" }";
        let engine = format!("[engine]\ndata_dir = {:?}\nkill_after_ms = 3000", folder.path().join("data"));
        let config = include_str!("../../src/control/demo.toml")
            .replace("[engine]", &engine)
            .replace("ADDRESS", &address.to_string())
            .replace("key_kind = \"ed25519\"", "key_kind = \"hmac\"")
            .replace(&format!("api_key = {brought}"), &format!("api_key = {}", source("key")))
            .replace(&format!("secret = {brought}"), &format!("secret = {}", source("secret")));
        std::fs::write(folder.path().join("gannet.toml"), change(config)).unwrap();
        File::create(folder.path().join("log")).unwrap();
        let account = Account { address, api_key: "demo".to_owned(), signer: Signer::Hmac("demo".to_owned()) };
        Self { folder, exchange, account }
    }

    pub fn run(&self) -> Process {
        self.run_with(&[])
    }

    /// `gannet run`, by this program.
    pub fn run_with(&self, arguments: &[&str]) -> Process {
        let log = File::options().append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("run").arg("--config").arg(self.path("gannet.toml")).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).env_remove("RUST_LOG");
        Process(command.spawn().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    pub fn said(&self, words: &str) -> bool {
        self.log().contains(words)
    }

    /// The number behind the newest of these words.
    pub fn pid_after(&self, words: &str) -> Option<u32> {
        let log = self.log();
        let digits = log.rsplit_once(words)?.1.split(|c: char| !c.is_ascii_digit()).next()?.to_owned();
        digits.parse().ok()
    }

    /// What the state file keeps, or nothing before there is one.
    pub fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.path("data/state.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&text).map_or(Value::Null, |mut file| file["state"].take())
    }

    /// What the watchdog's own file keeps, or nothing before there is one.
    pub fn watchdog(&self) -> Value {
        let text = std::fs::read_to_string(self.path("data/watchdog.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&text).map_or(Value::Null, |mut file| file["state"].take())
    }

    pub fn open_orders(&self) -> Vec<Value> {
        self.account.open_orders()
    }

    pub fn order_count(&self) -> usize {
        rest::SYMBOLS.iter().map(|symbol| self.account.orders(symbol).len()).sum()
    }

    /// Waits until there have been so many orders.
    pub fn await_orders(&self, count: usize) {
        let started = Instant::now();
        while self.order_count() < count {
            assert!(started.elapsed() < PATIENCE, "no more orders come: {}", self.log());
            std::thread::sleep(LOOK * 10);
        }
    }

    pub fn await_open_orders(&self) {
        let found = || (!self.open_orders().is_empty()).then_some(());
        let started = Instant::now();
        while found().is_none() {
            assert!(started.elapsed() < PATIENCE, "no orders come: {}", self.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the exchange's own books have no open order any more.
    pub fn await_empty(&self) {
        let started = Instant::now();
        while !self.open_orders().is_empty() {
            assert!(started.elapsed() < PATIENCE, "orders stay open: {}", self.log());
            std::thread::sleep(LOOK / 5);
        }
    }

    pub fn signal(&self, pid: u32, signal: Signal) {
        send(pid, signal);
    }

    /// Holds the state file's lock, as an engine does that is stopped in the middle of a write, until it is dropped.
    pub fn mid_write(&self) -> File {
        let lock = File::open(self.path("data/state.lock")).expect("an engine has written");
        lock.lock().expect("a lock");
        lock
    }

    /// Whether neither an engine nor a watchdog has the data directory.
    pub fn is_over(&self) -> bool {
        ["engine.lock", "watchdog.lock"]
            .iter()
            .all(|name| File::open(self.path("data").join(name)).is_ok_and(|file| file.try_lock_shared().is_ok()))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Whatever a test that failed left running.
        if !self.is_over() {
            for words in ["the watchdog is process ", "the engine is started again as process "] {
                for part in self.log().split(words).skip(1) {
                    if let Some(pid) = part.split(|c: char| !c.is_ascii_digit()).next().and_then(|pid| pid.parse().ok())
                    {
                        send(pid, Signal::Kill);
                    }
                }
            }
        }
        if let Some(directory) = self.state()["directory"].as_str() {
            let _ = std::fs::remove_file(format!("/dev/shm/gannet-{directory}"));
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// `gannet exchange` on a free port, and where it listens.
fn exchange() -> (Process, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command.args(["exchange", "--listen", "127.0.0.1:0", "--speed", "10"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    // Keeps what follows flowing.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).parse();
    (Process(child), address.unwrap())
}
