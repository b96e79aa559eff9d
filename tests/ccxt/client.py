"""A Binance client that knows nothing of Gannet, against `gannet exchange`: python3 client.py 127.0.0.1:PORT

Only addresses are changed in ccxt. Each step says what it saw; the first that is wrong ends with exit code 1.
"""

import asyncio
import sys

import ccxt.pro

SYMBOL = "BTC/USDT"


def client(address):
    exchange = ccxt.pro.binance({"apiKey": "demo", "secret": "demo", "options": {"defaultType": "spot"}})
    exchange.urls["api"]["public"] = exchange.urls["api"]["private"] = f"http://{address}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"ws://{address}/ws"
    exchange.urls["api"]["ws"]["ws-api"]["spot"] = f"ws://{address}/ws-api/v3"
    exchange.options["fetchMarkets"] = {"types": ["spot"]}
    exchange.options["fetchMargins"] = False
    exchange.has["fetchCurrencies"] = False
    return exchange


def check(what, holds, seen=""):
    print(f"  {'ok' if holds else 'FAILED'}: {what} {seen}", flush=True)
    if not holds:
        sys.exit(1)


async def markets_and_books(exchange):
    markets = await exchange.load_markets()
    check("markets", {"BTC/USDT", "BTCF/USDT"} <= set(markets), sorted(markets))
    check("tick and lot", markets[SYMBOL]["precision"] == {"amount": 0.00001, "price": 0.01, "base": 1e-08, "quote": 1e-08},
          markets[SYMBOL]["precision"])
    book = await exchange.fetch_order_book(SYMBOL, 20)
    check("order book", len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0], book["bids"][0])
    candles = await exchange.fetch_ohlcv(SYMBOL, "1m")
    check("candles of before the start", len(candles) >= 5, len(candles))
    ticker = await exchange.fetch_ticker(SYMBOL)
    check("ticker", ticker["bid"] < ticker["ask"] and ticker["high"] >= ticker["last"] >= ticker["low"], ticker["last"])
    return book


async def place_fill_cancel(exchange, book):
    before = await exchange.fetch_balance()
    check("balance", before["USDT"]["total"] > 0 and before["BTC"]["total"] > 0, before["USDT"])
    watched = asyncio.ensure_future(watch_orders(exchange))
    await asyncio.sleep(1)
    far = round(book["bids"][0][0] * 0.9, 2)
    resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.001, far, {"newClientOrderId": "ccxt-resting"})
    check("placed", resting["status"] == "open", resting["id"])
    locked = (await exchange.fetch_balance())["USDT"]["used"]
    check("locked", abs(locked - before["USDT"]["used"] - far * 0.001) < 1e-6, locked)
    check("open orders", [o["id"] for o in await exchange.fetch_open_orders(SYMBOL)] == [resting["id"]])
    bought = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    check("filled", bought["status"] == "closed" and bought["filled"] == 0.01, bought["average"])
    await exchange.cancel_order(resting["id"], SYMBOL)
    check("canceled", (await exchange.fetch_order(resting["id"], SYMBOL))["status"] == "canceled")
    after = await exchange.fetch_balance()
    check("paid and received", after["USDT"]["used"] == before["USDT"]["used"]
          and abs(after["BTC"]["total"] - before["BTC"]["total"] - 0.01 * 0.999) < 1e-8
          and abs(before["USDT"]["total"] - after["USDT"]["total"] - bought["cost"]) < 1e-6, after["BTC"])
    trades = await exchange.fetch_my_trades(SYMBOL)
    check("my trades", abs(sum(t["amount"] for t in trades if t["order"] == bought["id"]) - 0.01) < 1e-9, len(trades))
    statuses = await asyncio.wait_for(watched, 20)
    check("watched orders", statuses == {("ccxt-resting", "open"), ("ccxt-resting", "canceled"), ("", "closed")}, statuses)


async def watch_orders(exchange):
    """What the user data stream told: the resting order's states, and that another one closed."""
    seen = set()
    while len(seen) < 3:
        for order in await exchange.watch_orders(SYMBOL):
            name = "ccxt-resting" if order["clientOrderId"] == "ccxt-resting" else ""
            if name or order["status"] == "closed":
                seen.add((name, order["status"]))
    return seen


async def refusals(exchange):
    for what, expected, arguments in [
        ("balance", ccxt.InsufficientFunds, (SYMBOL, "limit", "buy", 100, 60000)),
        ("post-only", ccxt.OrderImmediatelyFillable, (SYMBOL, "limit", "buy", 0.001, 90000, {"postOnly": True})),
        ("notional", ccxt.BadRequest, (SYMBOL, "limit", "buy", 0.00001, 60000)),
    ]:
        try:
            await exchange.create_order(*arguments)
            check(f"refused: {what}", False)
        except ccxt.BaseError as error:
            check(f"refused: {what}", isinstance(error, expected), repr(error)[:120])


async def watched_markets(exchange):
    trades = await asyncio.wait_for(exchange.watch_trades(SYMBOL), 20)
    check("watched trades", len(trades) > 0 and trades[-1]["price"] > 0, trades[-1]["price"])
    for _ in range(10):
        book = await asyncio.wait_for(exchange.watch_order_book(SYMBOL), 20)
    check("watched book", len(book["asks"]) > 100 and book["bids"][0][0] < book["asks"][0][0], book["nonce"])


async def main(address):
    exchange = client(address)
    try:
        book = await markets_and_books(exchange)
        await place_fill_cancel(exchange, book)
        await refusals(exchange)
        await watched_markets(exchange)
    finally:
        await exchange.close()
    print("ccxt", ccxt.__version__, "works against", address)


asyncio.run(main(sys.argv[1]))
