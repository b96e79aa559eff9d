//! The live terminal view.

use super::status::Status;
use super::summary::Latency;
use crate::types::{Money, PositionReport, format_fixed};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

/// Counts that the hot plane's counters give, with a line above the tables.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// What runs, and since when.
    pub title: String,
    /// Market events decoded.
    pub market_events: u64,
    /// Orders written.
    pub orders_sent: u64,
    /// Fills booked.
    pub fills: u64,
    /// Cancels written.
    pub cancels_sent: u64,
    /// Orders refused by the venue.
    pub rejects: u64,
    /// Orders that are not proven ended.
    pub open_orders: u64,
    /// Market events conflated or left out.
    pub conflated: u64,
}

/// Draws the whole view.
pub fn draw(frame: &mut Frame<'_>, status: &Status, totals: &Totals) {
    let rows = u16::try_from(status.positions.len()).unwrap_or(u16::MAX).saturating_add(3);
    let areas = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(rows.clamp(4, 14)),
        Constraint::Length(5),
        Constraint::Min(3),
    ]);
    let [head, positions, latency, notices] = areas.areas(frame.area());
    frame.render_widget(totals_widget(status, totals), head);
    frame.render_widget(positions_widget(status), positions);
    frame.render_widget(latency_widget(status), latency);
    let height = usize::from(notices.height.saturating_sub(2));
    frame.render_widget(notices_widget(status, height), notices);
}

fn totals_widget(status: &Status, totals: &Totals) -> Paragraph<'static> {
    let Totals { market_events, orders_sent, fills, cancels_sent, rejects, open_orders, conflated, .. } = totals;
    let denied = status.denied_count();
    Paragraph::new(vec![
        Line::from(format!("market events {market_events}   conflated {conflated}   open orders {open_orders}")),
        Line::from(format!(
            "orders {orders_sent}   fills {fills}   cancels {cancels_sent}   denied {denied}   rejected {rejects}"
        )),
    ])
    .block(Block::bordered().title(format!(" {} ", totals.title)).title_bottom(" Ctrl-C or q stops "))
}

fn positions_widget(status: &Status) -> Table<'static> {
    let rows = status.positions.values().map(|report| {
        let instrument = status.instruments().get(report.instrument);
        let symbol = instrument.map_or("?", |found| found.symbol.as_str());
        let price =
            |value: i64| instrument.map_or("?".to_owned(), |found| at_step(value, found.price_precision, found.tick.0));
        let quantity = |value: i64| {
            instrument.map_or("?".to_owned(), |found| at_step(value, found.quantity_precision, found.lot.0))
        };
        let position = report.position;
        let total = position.realized.saturating_add(report.unrealized).saturating_sub(position.fees);
        let style = if total < Money::ZERO { Color::Red } else { Color::Green };
        let amount = |amount: Money| number(format!("{:.2}", amount.to_f64()));
        Row::new([
            Cell::from(status.strategy_name(report.strategy.0).to_owned()),
            Cell::from(symbol.to_owned()),
            number(price(report.bid.0)),
            number(price(report.ask.0)),
            number(quantity(position.quantity.0)),
            number(price(position.average_price.0)),
            amount(position.realized),
            amount(report.unrealized),
            amount(position.fees),
            amount(total).style(Style::new().fg(style)),
            number(report.open_orders.to_string()),
            number(capital(report)),
        ])
    });
    let widths = [14, 10, 11, 11, 10, 11, 9, 10, 8, 9, 4, 17].map(Constraint::Length);
    let names = ["bid", "ask", "position", "average", "realized", "unrealized", "fees", "net", "open", "capital"];
    let head =
        [Cell::from("strategy"), Cell::from("instrument")].into_iter().chain(names.map(|name| number(name.to_owned())));
    Table::new(rows.collect::<Vec<_>>(), widths)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::BOLD)))
        .block(Block::bordered().title(" positions, profit and loss in the quote asset "))
}

/// What of the capital is used, what open orders could add, and what there is: `300+150/1000`.
fn capital(report: &PositionReport) -> String {
    let [used, reserved, allocated] =
        [report.used, report.reserved, report.allocated].map(|amount| format!("{:.0}", amount.to_f64()));
    format!("{used}+{reserved}/{allocated}")
}

/// A number's cell: columns of numbers stand flush right, so that their digits line up.
fn number(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

/// A value with as many decimals as its instrument's step has, rounded to the nearest: venues state eight places
/// whatever they use.
fn at_step(value: i64, precision: u8, step: i64) -> String {
    let mut unused = 0;
    let mut rest = step;
    while unused < precision && rest != 0 && rest % 10 == 0 {
        rest /= 10;
        unused += 1;
    }
    let unit = 10_i64.pow(u32::from(unused));
    let half = unit / 2 * value.signum();
    format_fixed(value.saturating_add(half) / unit, precision - unused).to_string()
}

fn latency_widget(status: &Status) -> Paragraph<'static> {
    let denied: Vec<String> = status.denied.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    Paragraph::new(vec![
        Line::from(Latency::of(&status.tick_to_trade).in_words()),
        Line::from(""),
        Line::from(format!("denied: {}", if denied.is_empty() { "none".to_owned() } else { denied.join(", ") })),
    ])
    .block(Block::bordered().title(" tick to trade: from a frame's arrival to its order's bytes "))
}

fn notices_widget(status: &Status, height: usize) -> Paragraph<'static> {
    let newest = status.lines.iter().rev().take(height).rev();
    let lines: Vec<Line<'static>> = newest
        .map(|(line, count)| Line::from(if *count > 1 { format!("{line} (×{count})") } else { line.clone() }))
        .collect();
    Paragraph::new(lines).block(Block::bordered().title(" notices "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testkit::btcusdt;
    use crate::types::{Instrument, Notice, NoticeCode, PositionState, Price, Quantity, StrategyId, Timestamp};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn values_have_the_decimals_of_their_step() {
        for (value, precision, step, text) in [
            (6_176_001_000_000, 8, 1_000_000, "61760.01"),
            (6_178_055_277_777, 8, 1_000_000, "61780.55"),
            (-6_178_055_577_777, 8, 1_000_000, "-61780.56"),
            (600_000, 8, 1_000, "0.00600"),
            (0, 8, 100_000_000, "0"),
            (5, 0, 10, "5"),
            (i64::MAX, 8, 1_000_000, "92233720368.54"),
            (12, 2, 0, "0.12"),
        ] {
            assert_eq!(at_step(value, precision, step), text);
        }
    }

    const UNIT: i128 = 1_000_000_000_000_000_000;

    #[test]
    fn the_view_shows_positions_prices_and_notices() {
        let (instruments, Instrument { id, .. }) = btcusdt();
        let mut status = Status::new(instruments, vec!["maker".to_owned()]);
        status.position(&PositionReport {
            position: PositionState {
                quantity: Quantity(-250),
                average_price: Price(6_183_763),
                ..PositionState::default()
            },
            instrument: id,
            strategy: StrategyId(0),
            bid: Price(6_183_764),
            ask: Price(6_183_765),
            allocated: Money(1_000 * UNIT),
            used: Money(154 * UNIT),
            reserved: Money(62 * UNIT),
            ..PositionReport::default()
        });
        let notice = Notice::new(NoticeCode::DepthGap, Timestamp::UNKNOWN).instrument(id).values(5, 7);
        for _ in 0..3 {
            status.notice(&notice);
        }
        let mut terminal = Terminal::new(TestBackend::new(140, 24)).expect("a terminal");
        terminal
            .draw(|frame| draw(frame, &status, &Totals { title: "demo".to_owned(), ..Totals::default() }))
            .expect("drawn");
        let shown = terminal.backend().to_string();
        for text in [
            "maker",
            "BTCUSDT",
            " 154+62/1000",
            "-0.00250 ",
            " 61837.63 ",
            "depth gap: 5 expected, 7 found (×3)",
            "demo",
        ] {
            assert!(shown.contains(text), "{text} in\n{shown}");
        }
    }
}
