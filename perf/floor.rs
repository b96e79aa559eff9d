//! The floor: the whole job as one function, the least that this hardware allows.
//!
//! bookTicker bytes → scan, 8 bytes at a time → moving average → risk → order bytes, masked. One thread; no lane, book,
//! journal or socket. The pipeline is measured against it in the same run, so that nobody chooses the yardstick.

/// One top of book as the floor reads it: price at 2 decimal places, quantity at 5.
#[derive(Clone, Copy, Default)]
struct Top {
    bid: u64,
    bid_quantity: u64,
    ask: u64,
    ask_quantity: u64,
}

/// The state between events.
pub struct Floor {
    mids: [u64; 64],
    next: usize,
    sum: u64,
    position: i64,
    sequence: u64,
    order: [u8; Self::ORDER_BYTES],
}

const TEMPLATE: &[u8] = b"{\"id\":\"p0000000000000000\",\"method\":\"order.place\",\"params\":{\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"LIMIT\",\"timeInForce\":\"GTC\",\"price\":\"0000000.00\",\"quantity\":\"0.00100\",\"newClientOrderId\":\"gn0000000000000000\",\"timestamp\":0000000000000}}";
const ID_AT: usize = 8;
const PRICE_AT: usize = 136;
const CLIENT_ID_AT: usize = 191;
const TIMESTAMP_AT: usize = 221;

impl Floor {
    const ORDER_BYTES: usize = 256;
    const HEADER_BYTES: usize = 8;

    /// An empty moving average and a flat position.
    pub fn new() -> Self {
        assert_eq!(&TEMPLATE[PRICE_AT..PRICE_AT + 10], b"0000000.00");
        assert_eq!(&TEMPLATE[CLIENT_ID_AT..CLIENT_ID_AT + 4], b"0000");
        assert_eq!(&TEMPLATE[TIMESTAMP_AT..TIMESTAMP_AT + 13], b"0000000000000");
        Self { mids: [0; 64], next: 0, sum: 0, position: 0, sequence: 0, order: [0; Self::ORDER_BYTES] }
    }

    /// From the bytes of a frame to the masked bytes of an order; `None` where the frame is not a bookTicker or risk
    /// refuses.
    #[inline]
    pub fn frame_to_order(&mut self, frame: &[u8], timestamp_ms: u64) -> Option<&[u8]> {
        let top = scan(frame)?;
        let mid = (top.bid + top.ask) / 2;
        let slot = &mut self.mids[self.next & 63];
        self.sum = self.sum + mid - *slot;
        *slot = mid;
        self.next += 1;
        let average = self.sum / 64;
        let (is_buy, price) = if mid <= average { (true, top.bid) } else { (false, top.ask) };

        let quantity = 100i64;
        let worst = if is_buy { self.position + quantity } else { self.position - quantity };
        let notional = u128::from(price) * 100;
        let collar = mid / 100;
        let is_fine = top.bid < top.ask
            && top.bid_quantity > 0
            && top.ask_quantity > 0
            && price.abs_diff(mid) <= collar
            && notional <= 1_000_000_000_000
            && worst.abs() <= 1_000_000;
        if !is_fine {
            return None;
        }
        self.sequence += 1;
        Some(self.encode(is_buy, price, timestamp_ms))
    }

    #[inline]
    fn encode(&mut self, is_buy: bool, price: u64, timestamp_ms: u64) -> &[u8] {
        let (header, rest) = self.order.split_at_mut(Self::HEADER_BYTES);
        let body = &mut rest[..TEMPLATE.len()];
        body.copy_from_slice(TEMPLATE);
        body[86..90].copy_from_slice(if is_buy { b"BUY\"" } else { b"SELL" });
        hexadecimal(&mut body[ID_AT..ID_AT + 16], self.sequence);
        hexadecimal(&mut body[CLIENT_ID_AT..CLIENT_ID_AT + 16], self.sequence);
        decimal(&mut body[PRICE_AT..PRICE_AT + 7], price / 100);
        decimal(&mut body[PRICE_AT + 8..PRICE_AT + 10], price % 100);
        decimal(&mut body[TIMESTAMP_AT..TIMESTAMP_AT + 13], timestamp_ms);
        header.copy_from_slice(&[0x81, 0xfe, 0, 236, 1, 2, 3, 4]);
        let key = u64::from_le_bytes([1, 2, 3, 4, 1, 2, 3, 4]);
        let mut chunks = body.chunks_exact_mut(8);
        for chunk in &mut chunks {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(chunk);
            chunk.copy_from_slice(&(u64::from_le_bytes(bytes) ^ key).to_le_bytes());
        }
        for (byte, key) in chunks.into_remainder().iter_mut().zip([1, 2, 3, 4, 1, 2, 3]) {
            *byte ^= key;
        }
        &self.order[..Self::HEADER_BYTES + TEMPLATE.len()]
    }
}

fn scan(frame: &[u8]) -> Option<Top> {
    let rest = frame.strip_prefix(b"{\"u\":")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let rest = rest[comma..].strip_prefix(b",\"s\":\"BTCUSDT\",\"b\":\"")?;
    let (bid, rest) = number(rest, 2)?;
    let (bid_quantity, rest) = number(rest.strip_prefix(b"\",\"B\":\"")?, 5)?;
    let (ask, rest) = number(rest.strip_prefix(b"\",\"a\":\"")?, 2)?;
    let (ask_quantity, rest) = number(rest.strip_prefix(b"\",\"A\":\"")?, 5)?;
    (rest == b"\"}").then_some(Top { bid, bid_quantity, ask, ask_quantity })
}

/// A number padded to eight places, at `places` of them: the digits of a window of eight bytes, the point taken out.
#[inline]
fn number(text: &[u8], places: u32) -> Option<(u64, &[u8])> {
    let window = u64::from_le_bytes(text.get(..8)?.try_into().ok()?);
    let dots = window ^ 0x2e2e_2e2e_2e2e_2e2e;
    let dot = (dots.wrapping_sub(0x0101_0101_0101_0101) & !dots & 0x8080_8080_8080_8080).trailing_zeros() / 8;
    let digits = dot + places;
    if dot == 0 || digits > 7 {
        return None;
    }
    let whole = window & ((1 << (8 * dot)) - 1);
    let fraction = (window >> (8 * dot + 8)) << (8 * dot);
    let joined = (whole | fraction) << (8 * (8 - digits));
    let value = joined & 0x0f0f_0f0f_0f0f_0f0f;
    let value = (value.wrapping_mul(10) + (value >> 8)) & 0x00ff_00ff_00ff_00ff;
    let value = (value.wrapping_mul(100) + (value >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (value.wrapping_mul(10_000) + (value >> 32)) & 0xffff_ffff;
    Some((value, text.get(dot as usize + 9..)?))
}

fn hexadecimal(out: &mut [u8], mut value: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn decimal(out: &mut [u8], mut value: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
