//! The operators of a demo: what people would do about money that came or left unseen.
//!
//! A storm can hide from us that money was transferred, and no question to the venue brings that back: our books and the
//! venue's then differ, which is reduce-only until a person has looked (C44). In a demo these two look, into the exchange's own
//! history of transfers; where that explains what is missing, they sign for it, as any two operators would.

use super::data_dir::DataDir;
use super::operators::OperatorKey;
use super::requests::{Action, Request, Signed, now_ms};
use super::standing::Shown;
use crate::config::OperatorConfig;
use crate::exchange::Exchange;
use crate::types::Money;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often they look.
const LOOK: Duration = Duration::from_millis(200);

/// Two operators with keys of their own.
pub struct Operators(Vec<(&'static str, OperatorKey)>);

impl Operators {
    /// Makes them, with their keys in this folder.
    ///
    /// # Errors
    /// Where a key cannot be made.
    pub fn new(folder: &Path) -> Result<Self, String> {
        let key = |name: &'static str| Ok((name, OperatorKey::generate(&folder.join(name).with_extension("pem"))?));
        ["alice", "bob"].into_iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Them as the configuration names them.
    #[must_use]
    pub fn configured(&self) -> Vec<OperatorConfig> {
        let one = |(name, key): &(&str, OperatorKey)| OperatorConfig {
            name: (*name).to_owned(),
            public_key: key.public_text(),
        };
        self.0.iter().map(one).collect()
    }

    /// Looks, once everything is told again, until all that the exchange's history has is in our books too: signs for what
    /// was never told when the engine finds it missing. Answers what was signed for, by asset.
    ///
    /// # Errors
    /// Where it does not come to that within the time: what is missing then, or why nothing can be signed.
    pub async fn accept_transfers(
        &self,
        exchange: &Exchange,
        dir: &DataDir,
        patience: Duration,
    ) -> Result<BTreeMap<String, Decimal>, String> {
        let (start, mut accepted, mut signed_for) = (Instant::now(), BTreeMap::new(), String::new());
        loop {
            let shown: Shown =
                dir.read(Shown::FILE).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let untold = untold(&exchange.transfers(), &shown.transfers);
            if untold.is_empty() {
                return Ok(accepted);
            }
            let broken = shown.breakers.get(Shown::BREAK);
            if let Some(broken) = broken.filter(|broken| **broken != signed_for) {
                // Each break that is found is signed for: what is missing of another asset may be found later.
                let reason = format!("the exchange's history has transfers that were never told: {}", words(&untold));
                self.sign(dir, &reason)?;
                signed_for.clone_from(broken);
                untold.into_iter().for_each(|(asset, amount)| _ = accepted.entry(asset).or_insert(amount));
            } else if start.elapsed() > patience {
                return Err(format!("the exchange's history of transfers has {} more than our books", words(&untold)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn sign(&self, dir: &DataDir, reason: &str) -> Result<(), String> {
        let state = dir.state().map_err(|error| error.to_string())?;
        let mut signed = Signed::new(&Request::new(&state, Action::Reset { strategy: None }, reason, now_ms())?);
        self.0.iter().for_each(|(_, key)| signed.sign(key));
        signed.store(dir).map_err(|error| error.to_string())
    }
}

/// What one list of transfers has and the other has not.
fn untold(theirs: &BTreeMap<String, Money>, ours: &BTreeMap<String, String>) -> BTreeMap<String, Decimal> {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap_or_default();
    let mut untold: BTreeMap<String, Decimal> =
        theirs.iter().map(|(asset, sum)| (asset.clone(), decimal(&sum.to_decimal_string()))).collect();
    for (asset, told) in ours {
        *untold.entry(asset.clone()).or_default() -= decimal(told);
    }
    untold.retain(|_, left| !left.is_zero());
    untold
}

/// Amounts with their assets.
#[must_use]
pub fn words(amounts: &BTreeMap<String, Decimal>) -> String {
    amounts.iter().map(|(asset, amount)| format!("{amount} {asset}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_missing() {
        let money = |tenths| Money::from_scaled(tenths, 2).expect("an amount");
        let theirs = BTreeMap::from([("BTC".to_owned(), money(-50)), ("USDT".to_owned(), money(1_225))]);
        let ours = |list: &[(&str, &str)]| {
            list.iter().map(|(asset, sum)| ((*asset).to_owned(), (*sum).to_owned())).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(words(&untold(&theirs, &ours(&[]))), "-0.5 BTC, 12.25 USDT");
        assert_eq!(untold(&theirs, &ours(&[("BTC", "-0.5"), ("USDT", "12.25")])), BTreeMap::new());
        let left = untold(&theirs, &ours(&[("BTC", "-0.75"), ("USDT", "12.25"), ("EUR", "1")]));
        assert_eq!(words(&left), "0.25 BTC, -1 EUR");
    }
}
