//! In what two configurations differ, other than in limits.

use crate::config::Config;
use serde_json::Value;

/// The keys, limits left out, in which the texts of two configurations differ.
#[must_use]
pub fn beyond_limits(before: &Config, after: &Config) -> Vec<String> {
    let mut found = Vec::new();
    compare("", &without_limits(&before.source), &without_limits(&after.source), &mut found);
    found
}

/// A configuration's text as a value, with every limit taken out.
fn without_limits(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap_or_default();
    let mut value = serde_json::to_value(table).unwrap_or_default();
    let mut each = |list: &str, strip: fn(&str) -> bool| {
        for item in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(fields) = item.as_object_mut() {
                fields.retain(|name, _| !strip(name));
            }
        }
    };
    each("venues", |name| matches!(name, "limits" | "messages_per_second" | "message_burst" | "cancel_reserve"));
    // All that is said of an instrument but which one it is.
    each("instruments", |name| !matches!(name, "venue" | "symbol"));
    each("strategies", |name| matches!(name, "limits" | "allocations"));
    value
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                compare(&path, &of(before), &of(after), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}[{index}]"), before, after, found);
            }
        }
        _ if before == after => {}
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    fn differences(change: impl Fn(&str) -> String) -> Vec<String> {
        let read = |text: &str| Config::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        beyond_limits(&read(EXAMPLE), &read(&change(EXAMPLE)))
    }

    #[test]
    fn limits_may_differ_and_nothing_else() {
        assert_eq!(differences(|text| format!("# a comment\n{text}")), Vec::<String>::new());
        let lower = |text: &str| {
            text.replace("gross_max = \"20000\"", "gross_max = \"19000\"")
                .replace("collar_bps = 50 ", "collar_bps = 40 ")
                .replace("order_notional_max = \"1000\"", "order_notional_max = \"900\"")
                .replace("cancel_reserve = 10 ", "cancel_reserve = 11 ")
        };
        assert_eq!(differences(lower), Vec::<String>::new());
        let more = |text: &str| {
            lower(text)
                .replace("name = \"btc-maker\"", "name = \"btc-taker\"")
                .replace("sides = [\"buy\", \"sell\"]", "sides = [\"buy\"]")
                .replace("shards = 1 ", "shards = 2 ")
                .replace("rest = \"https://testnet", "rest = \"https://api.testnet")
        };
        assert_eq!(differences(more), ["engine.shards", "strategies[0].name", "strategies[0].sides", "venues[0].rest"]);
    }
}
