//! The schema number of the journal is raised whenever the bytes of an entry or a payload come to mean something else.
//!
//! Here, where there are examples of everything that a payload holds: one of each is written down and hashed.

use super::rig::{Rig, config};
use crate::backtest::{Blob, EngineStart, InstanceStart};
use crate::control::journaling::{SCHEMA, SCHEMA_DIGEST};
use crate::control::names::Names;
use crate::gateway::{GatewayStart, LastKnown, OpenOrder};
use crate::risk::Override;
use crate::strategy::saved::{Left, SavedState};
use crate::types::{
    AssetId, Binary, DenialReason, Event, InstrumentId, Latch, Money, Quantity, Side, StrategyId, StrategyLatch,
    Timestamp, VenueId,
};
use crate::venue::binance::SessionKind;

/// Bytes of which flags, variants and numbers can be read, no two stretches alike.
fn bits(mut seed: u64) -> Vec<u8> {
    let next = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::from(seed >> 63 == 1)
    };
    (0..300).map(next).collect()
}

/// Every kind of entry, as the bytes are read: with the names of its fields and their values.
fn entries(out: &mut String) {
    for tag in 0..=u8::MAX {
        for place in [1, 2, 6] {
            for inner in 0..16 {
                let mut bytes = bits(u64::from(tag));
                (bytes[0], bytes[place]) = (tag, inner);
                if let Some(event) = Event::take(&mut bytes.as_slice()) {
                    out.push_str(&format!("{event:?}\n"));
                }
            }
        }
    }
}

/// Every kind of payload, in bytes.
fn payloads(out: &mut String) {
    let mut config = config();
    config.latches = vec![
        Latch::Strategy(StrategyLatch { day: 3, day_profit: Money(4), ..StrategyLatch::default() }),
        Latch::Execution { instrument: InstrumentId(1), execution_id: 5 },
        Latch::Ban { venue: VenueId(1), until: Timestamp::from_nanos(6) },
        Latch::Account { venue: VenueId(1), rejects_tripped: 7 },
    ];
    let mut rig = Rig::new(&config);
    let id = rig.place(Side::Buy, 20);
    rig.fill(id, 1, 8);
    rig.place(Side::Sell, 3);
    let instance = InstanceStart {
        id: StrategyId(1),
        kind: "kind".to_owned(),
        file_hash: [8; 16],
        params: "{}".to_owned(),
        instruments: vec![InstrumentId(1)],
        capital: Money(9),
        bar_interval_ms: Some(10),
        is_quarantined: true,
        resumed: SavedState::of(11, &12),
    };
    let open = OpenOrder {
        order: rig.order(id).order,
        venue_order_id: 17,
        booked: Quantity(18),
        written_ns: Timestamp::from_nanos(19),
        is_cancel_wanted: true,
    };
    let gateway = GatewayStart {
        venue: VenueId(20),
        session_kind: SessionKind::SignedEach,
        wire_capacity: 21,
        request_timeout_ns: 22,
        reconcile_interval_ns: 23,
        clock_offset_ns: -24,
        last_known: vec![LastKnown { venue_order_id: 25, execution_id: 26 }],
        open_orders: vec![open],
    };
    let start = EngineStart {
        config: config.clone(),
        balances: vec![(VenueId(1), (AssetId(2), Money(13)))],
        venues: 14,
        shards: vec![Vec::new(), vec![instance]],
        gateways: vec![gateway],
        names: Names {
            venues: vec!["v".to_owned()],
            instruments: vec!["i".to_owned()],
            strategies: vec!["s".to_owned()],
        },
        firsts: vec![(15, 16)],
        facts: Some(rig.risk.facts()),
    };
    let entry = Override {
        strategy: StrategyId(1),
        instrument: InstrumentId(2),
        reason: DenialReason::PriceCollar,
        orders_left: 3,
        expires_ns: Timestamp::from_nanos(4),
        requester: 5,
        approver: 6,
    };
    let left = [Left::Saved(SavedState::of(1, &2).expect("small")), Left::Nothing, Left::InError];
    let left = left.into_iter().map(|left| (StrategyId(3), left)).collect();
    for blob in
        [Blob::Start(Box::new(start)), Blob::Limits(Box::new(config.limits)), Blob::Override(entry), Blob::Left(left)]
    {
        let mut bytes = Vec::new();
        blob.put(&mut bytes);
        out.push_str(&format!("{bytes:?}\n"));
    }
}

#[test]
fn the_schema_number_is_raised_with_the_bytes() {
    let mut text = String::new();
    entries(&mut text);
    payloads(&mut text);
    assert!(text.lines().count() > 100, "{text}");
    let digest = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(
        (SCHEMA, format!("{digest:#018x}")),
        (SCHEMA, format!("{SCHEMA_DIGEST:#018x}")),
        "entries or payloads are written otherwise than under schema {SCHEMA}: raise SCHEMA and take the digest over \
         (where only names, or values of these examples, have changed, take the digest alone)"
    );
}
