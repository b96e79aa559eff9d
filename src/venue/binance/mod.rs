//! Binance: spot market streams and order entry over the WebSocket API, and the market streams of its futures.
