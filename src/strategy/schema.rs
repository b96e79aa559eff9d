//! Parameters against their JSON Schema: every wrong field at once, each with what is allowed.
//!
//! Knows the part of draft 7 that schemars makes of parameter structs without references. That no strategy uses more
//! is a test of the registry: an unknown keyword would be a bound that is shown in forms and not checked.

use super::FieldError;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Keywords that bound a value and are checked here.
const CHECKED: [&str; 17] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "items",
    "minItems",
    "maxItems",
    "oneOf",
    "anyOf",
];

/// Keywords that describe and bound nothing. `format` names the width of numbers, which their type in Rust bounds.
const DESCRIPTIVE: [&str; 6] = ["$schema", "title", "description", "default", "examples", "format"];

/// The JSON Schema of a type: draft 7, without references.
#[must_use]
pub fn of<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Checks `value` against `schema` and answers everything that is wrong.
///
/// # Errors
/// Each field that is out of its bounds, of the wrong type, missing or unknown.
pub fn validate(schema: &Value, value: &Value) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    check(schema, value, "", &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The keywords of a schema that [`validate`] does not know.
#[must_use]
pub fn unknown_keywords(schema: &Value) -> Vec<String> {
    let Some(schema) = schema.as_object() else { return Vec::new() };
    let known = |name: &str| CHECKED.contains(&name) || DESCRIPTIVE.contains(&name);
    let mut unknown: Vec<String> = schema.keys().filter(|name| !known(name)).cloned().collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    for inner in properties.into_iter().flat_map(Map::values).chain(schema.get("items")).chain(choices) {
        unknown.extend(unknown_keywords(inner));
    }
    unknown
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    // `true` and `false` stand for anything and nothing.
    let Some(schema) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            errors.push(FieldError::new(path, "is not allowed"));
        }
        return;
    };
    let before = errors.len();
    let mut refuse = |message: String| errors.push(FieldError::new(path, message));
    if let Some(types) = schema.get("type")
        && !listed(types).iter().any(|name| is_of_type(name, value))
    {
        let names: Vec<&str> = listed(types).into_iter().filter_map(Value::as_str).collect();
        return refuse(format!("must be of type {}, is {value}", names.join(" or ")));
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        refuse(format!("must be one of {}, is {value}", join(allowed)));
    }
    if let Some(allowed) = schema.get("const")
        && allowed != value
    {
        refuse(format!("must be {allowed}, is {value}"));
    }
    check_bounds(schema, value, &mut refuse);
    if let Some(object) = value.as_object() {
        check_fields(schema, object, path, errors);
    }
    if let (Some(inner), Some(list)) = (schema.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            check(inner, item, &format!("{path}[{index}]"), errors);
        }
    }
    for (name, is_one) in [("oneOf", true), ("anyOf", false)] {
        let Some(choices) = schema.get(name).and_then(Value::as_array) else { continue };
        let fitting = choices.iter().filter(|choice| validate(choice, value).is_ok()).count();
        if (fitting == 0 || (is_one && fitting > 1)) && errors.len() == before {
            let constants: Vec<Value> = choices.iter().filter_map(|choice| choice.get("const").cloned()).collect();
            let allowed = if constants.is_empty() { join(choices) } else { join(&constants) };
            errors.push(FieldError::new(path, format!("must be one of {allowed}, is {value}")));
        }
    }
}

fn check_bounds(schema: &Map<String, Value>, value: &Value, refuse: &mut impl FnMut(String)) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let length = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    if let Some(number) = value.as_f64() {
        let rules = [
            ("minimum", "at least", bound("minimum").is_none_or(|bound| number >= bound)),
            ("exclusiveMinimum", "more than", bound("exclusiveMinimum").is_none_or(|bound| number > bound)),
            ("maximum", "at most", bound("maximum").is_none_or(|bound| number <= bound)),
            ("exclusiveMaximum", "less than", bound("exclusiveMaximum").is_none_or(|bound| number < bound)),
        ];
        if rules.iter().any(|(_, _, holds)| !holds) {
            let allowed = rules.iter().filter_map(|(name, words, _)| Some(format!("{words} {}", bound(name)?)));
            refuse(format!("must be {}, is {value}", allowed.collect::<Vec<_>>().join(" and ")));
        }
    }
    let sized = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength", "characters")),
        Value::Array(list) => Some((list.len(), "minItems", "maxItems", "items")),
        _ => None,
    };
    if let Some((count, shortest, longest, unit)) = sized {
        if let Some(bound) = length(shortest).filter(|&bound| count < bound) {
            refuse(format!("must have at least {bound} {unit}, has {count}"));
        }
        if let Some(bound) = length(longest).filter(|&bound| count > bound) {
            refuse(format!("must have at most {bound} {unit}, has {count}"));
        }
    }
}

fn check_fields(schema: &Map<String, Value>, object: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for name in schema.get("required").map(listed).unwrap_or_default().into_iter().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            errors.push(FieldError::new(within(name), "is missing"));
        }
    }
    for (name, value) in object {
        match (properties.get(name), schema.get("additionalProperties")) {
            (Some(inner), _) => check(inner, value, &within(name), errors),
            (None, Some(Value::Bool(false))) => {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                errors.push(FieldError::new(within(name), format!("is unknown; known are {}", known.join(", "))));
            }
            (None, Some(inner)) => check(inner, value, &within(name), errors),
            (None, None) => {}
        }
    }
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        // 3.0 is an integer in JSON Schema, but not to serde: only what is written without a fraction will do.
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

/// A list as it is, anything else as a list of one.
fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn join(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(schema: &Value, value: &Value) -> Vec<String> {
        validate(schema, value).err().unwrap_or_default().iter().map(FieldError::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["length"],
            "properties": {
                "length": {"type": "integer", "minimum": 2, "maximum": 512},
                "width": {"type": "number", "exclusiveMinimum": 0},
                "mode": {"oneOf": [{"type": "string", "const": "fast"}, {"type": "string", "const": "slow"}]},
                "names": {"type": "array", "maxItems": 1, "items": {"type": "string", "minLength": 1}},
                "maybe": {"type": ["number", "null"]},
                "inner": {"type": "object", "properties": {"deep": {"enum": [1, 2]}}}
            }
        });
        assert_eq!(validate(&schema, &json!({"length": 20, "width": 0.1, "mode": "slow", "maybe": null})), Ok(()));
        let wrong =
            json!({"width": 0, "mode": "other", "names": ["", "b"], "maybe": "x", "inner": {"deep": 3}, "new": 1});
        assert_eq!(
            errors(&schema, &wrong),
            [
                "length: is missing",
                "inner.deep: must be one of 1, 2, is 3",
                "maybe: must be of type number or null, is \"x\"",
                "mode: must be one of \"fast\", \"slow\", is \"other\"",
                "names: must have at most 1 items, has 2",
                "names[0]: must have at least 1 characters, has 0",
                "new: is unknown; known are inner, length, maybe, mode, names, width",
                "width: must be more than 0, is 0",
            ]
        );
        assert_eq!(errors(&schema, &json!({"length": 1})), ["length: must be at least 2 and at most 512, is 1"]);
        assert_eq!(errors(&schema, &json!({"length": 2.0})), ["length: must be of type integer, is 2.0"]);
        assert_eq!(errors(&schema, &json!([])), ["must be of type object, is []"]);
    }

    #[test]
    fn what_is_not_checked_is_named() {
        assert!(unknown_keywords(&json!({"type": "object", "properties": {"a": {"minimum": 1}}})).is_empty());
        let schema = json!({"properties": {"a": {"pattern": "x"}}, "items": {"$ref": "#/b"}});
        assert_eq!(unknown_keywords(&schema), ["pattern", "$ref"]);
    }
}
