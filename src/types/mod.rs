//! The nouns of the field, shared by every module and depending on none.
//!
//! Numbers are integers at a stated decimal precision ([`fixed`], [`money`]); names are dense ids ([`ids`]); what the
//! stages say to each other are `Copy` structs whose sizes are asserted where they are defined ([`message`]).

pub mod binary;
pub mod edge;
pub mod entry;
pub mod fixed;
pub mod ids;
pub mod instrument;
pub mod message;
pub mod money;
pub mod notice;
pub mod order;
pub mod time;

pub use binary::Binary;
pub use edge::{BudgetReading, Disconnect, FRAME_PART_BYTES, FramePart, Refuser};
pub use entry::{Entry, Event, JournalHealth, Outgoing};
pub use fixed::{FixedText, ParseFixedError, Price, Quantity, format_fixed, parse_fixed};
pub use ids::{AssetId, ClientOrderId, InstrumentId, StrategyId, VenueId};
pub use instrument::{Instrument, InstrumentStatus, Instruments, Symbol};
pub use message::*;
pub use money::Money;
pub use notice::{Excerpt, Notice, NoticeCode};
pub use order::{Denial, DenialReason, LiquiditySide, Order, OrderStatus, OrderType, Side, TimeInForce, TradingState};
pub use time::Timestamp;
