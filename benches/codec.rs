//! One hot operation each: what a frame costs to decode and an order to encode.
//!
//! `cargo bench --bench codec`. Beside each decoder stands the general one (`simd-json`) on the same frame, its copy of
//! the frame included, as it overwrites what it reads.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    reason = "a measurement"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use flate2::read::GzDecoder;
use gannet::types::{
    AssetId, ClientOrderId, Instrument, InstrumentId, InstrumentStatus, Money, Order, Price, Quantity, Symbol, VenueId,
};
use gannet::venue::binance::{Credentials, Market, MarketCodec, MarketSymbol, OrderEncoder, SessionKind};
use gannet::venue::{FrameReader, FrameWriter};
use secrecy::SecretString;
use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

fn lines(market: &str) -> Vec<String> {
    let path = format!("{}/tests/data/binance_{market}.txt.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

fn frame(market: &str, stream: &str) -> Vec<u8> {
    lines(market).into_iter().find(|line| line.contains(stream)).unwrap().into_bytes()
}

/// A depth update of 20 levels a side, of the levels of the recorded snapshot.
fn depth20() -> Vec<u8> {
    let snapshot = lines("spot").into_iter().find(|line| line.starts_with("{\"lastUpdateId\"")).unwrap();
    let snapshot: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    let side = |name: &str| serde_json::to_string(&snapshot[name].as_array().unwrap()[..20]).unwrap();
    format!(
        "{{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":50093239189,\"u\":50093239202,\"b\":{},\"a\":{}}}",
        side("bids"),
        side("asks")
    )
    .into_bytes()
}

/// The same event outside of its combined stream.
fn bare(frame: &[u8]) -> Vec<u8> {
    let at = frame.windows(8).position(|window| window == b"\"data\":{").unwrap() + 7;
    frame[at..frame.len() - 1].to_vec()
}

fn codec() -> MarketCodec {
    let symbol = Symbol::new("BTCUSDT").unwrap();
    MarketCodec::new(
        Market::Spot,
        &[MarketSymbol { instrument: InstrumentId(0), symbol, price_precision: 2, quantity_precision: 8 }],
    )
}

fn decoding(criterion: &mut Criterion) {
    let ticker = frame("spot", "@bookTicker");
    let aggregate = b"{\"e\":\"aggTrade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"a\":3735683259,\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"f\":3735683259,\"l\":3735683260,\"T\":1723161255342,\"m\":true,\"M\":true}";
    let frames = [
        ("bookTicker", bare(&ticker)),
        ("bookTicker combined", ticker),
        ("trade", bare(&frame("spot", "@trade"))),
        ("aggTrade", aggregate.to_vec()),
        ("depth 20 levels", depth20()),
    ];
    let mut codec = codec();
    for (name, frame) in &frames {
        let mut group = criterion.benchmark_group(format!("{name}, {} bytes", frame.len()));
        assert!(codec.scan(frame).is_some());
        group.bench_function("scanner", |bencher| bencher.iter(|| codec.scan(black_box(frame))));
        let mut copy = frame.clone();
        group.bench_function("simd-json", |bencher| {
            bencher.iter(|| {
                copy.copy_from_slice(black_box(frame));
                codec.decode_general(&mut copy)
            });
        });
        group.finish();
    }
}

/// Delivers the same frame at each read.
struct OneFrame(Vec<u8>);

impl Read for OneFrame {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer[..self.0.len()].copy_from_slice(&self.0);
        Ok(self.0.len())
    }
}

impl Write for OneFrame {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn frames(criterion: &mut Criterion) {
    let payload = frame("spot", "@bookTicker");
    let mut bytes = vec![0x81, 126];
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&payload);
    let mut group = criterion.benchmark_group("WebSocket frame read");
    let mut reader = FrameReader::new();
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            reader.buffer_mut()[..bytes.len()].copy_from_slice(black_box(&bytes));
            reader.advance(bytes.len());
            let is_frame = matches!(reader.next(), Ok(Some(_)));
            let is_last = matches!(reader.next(), Ok(None));
            assert!(is_frame && is_last);
        });
    });
    let mut reference = WebSocket::from_raw_socket(OneFrame(bytes.clone()), Role::Client, None);
    group.bench_function("tungstenite", |bencher| bencher.iter(|| black_box(reference.read().unwrap())));
    group.finish();
}

fn orders(criterion: &mut Criterion) {
    let instrument = Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: Symbol::new("BTCUSDT").unwrap(),
        base: AssetId(0),
        quote: AssetId(1),
        price_precision: 2,
        quantity_precision: 5,
        tick: Price(1),
        lot: Quantity(1),
        quantity_min: Quantity(1),
        quantity_max: Quantity(0),
        market_quantity_max: Quantity(0),
        price_min: Price(1),
        price_max: Price(0),
        notional_min: Money::ZERO,
        notional_max: Money::ZERO,
        status: InstrumentStatus::Trading,
    };
    let order = Order {
        client_order_id: ClientOrderId(0x0000_1001_0000_0007),
        price: Price(6_183_763),
        quantity: Quantity(1_500),
        ..Order::default()
    };
    let key = || SecretString::from("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A");
    let hmac = Arc::new(
        Credentials::hmac(key(), &SecretString::from("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XA")).unwrap(),
    );
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let ed25519 = Arc::new(Credentials::ed25519(key(), &SecretString::from(pem)).unwrap());

    let mut group = criterion.benchmark_group("order");
    let mut encoder = OrderEncoder::new(Arc::clone(&ed25519), SessionKind::LoggedOn);
    group.bench_function("encode, logged on", |bencher| {
        bencher.iter(|| encoder.place(black_box(&order), &instrument, 1_723_161_255_342).unwrap().len());
    });
    let mut writer = FrameWriter::new(4096);
    group.bench_function("encode and mask, logged on", |bencher| {
        bencher.iter(|| {
            let request = encoder.place(black_box(&order), &instrument, 1_723_161_255_342).unwrap();
            writer.text(request, black_box(0x1234_5678)).unwrap();
            let pending = black_box(writer.pending()).len();
            writer.consume(pending);
        });
    });
    let mut signed = OrderEncoder::new(Arc::clone(&hmac), SessionKind::SignedEach);
    group.bench_function("encode, signed by HMAC", |bencher| {
        bencher.iter(|| signed.place(black_box(&order), &instrument, 1_723_161_255_342).unwrap().len());
    });
    let payload = [b'x'; 156];
    group.bench_function("HMAC-SHA256 of 156 bytes", |bencher| bencher.iter(|| hmac.sign(black_box(&payload))));
    group.bench_function("Ed25519 of 156 bytes", |bencher| bencher.iter(|| ed25519.sign(black_box(&payload))));
    group.finish();
}

criterion_group!(benches, decoding, frames, orders);
criterion_main!(benches);
