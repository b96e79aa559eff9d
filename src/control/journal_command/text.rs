//! How records are written down: as JSON, or as words in one line. Both come from the same lists of fields.

use super::words::Words;
use std::fmt::{Display, Write};

/// Who reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Programs: JSON.
    Json,
    /// People: the same without quotes, with blanks.
    Words,
}

/// Puts together the text of one record.
pub(super) struct Writer<'a> {
    /// What ids are called.
    pub(super) words: &'a Words,
    style: Style,
    out: String,
    is_first: bool,
}

/// What can be written as the value of a field.
pub(super) trait Value {
    /// Writes it.
    fn write(&self, writer: &mut Writer<'_>);
}

impl<'a> Writer<'a> {
    /// With nothing written yet.
    pub(super) const fn new(style: Style, words: &'a Words) -> Self {
        Self { words, style, out: String::new(), is_first: true }
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// A field of the object that is being written.
    pub(super) fn field(&mut self, name: &str, value: &dyn Value) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push_str(if self.style == Style::Json { "," } else { ", " });
        }
        match self.style {
            Style::Json => {
                self.out.push('"');
                self.out.push_str(name);
                self.out.push_str("\":");
            }
            Style::Words => {
                self.out.push_str(name);
                self.out.push_str(": ");
            }
        }
        value.write(self);
    }

    /// An object with the fields that `fields` writes.
    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.group('{', '}', fields);
    }

    fn group(&mut self, open: char, close: char, content: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.is_first, true);
        self.out.push(open);
        content(self);
        self.out.push(close);
        self.is_first = before;
    }

    /// A number, `true` or `false`.
    pub(super) fn plain(&mut self, value: impl Display) {
        // Writing into a string does not fail.
        let _ = write!(self.out, "{value}");
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        match self.style {
            Style::Json => self.out.push_str(&serde_json::Value::from(text).to_string()),
            // What comes from outside must not move the terminal's cursor.
            Style::Words => self.out.extend(text.chars().map(|char| if char.is_control() { '?' } else { char })),
        }
    }

    /// Nothing there.
    pub(super) fn nothing(&mut self) {
        self.out.push_str(if self.style == Style::Json { "null" } else { "none" });
    }
}

macro_rules! plain {
    ($($name:ty)+) => {
        $(impl Value for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                writer.plain(self);
            }
        })+
    };
}

plain!(bool u8 u16 u32 u64 i32 i64 usize);

impl Value for str {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self);
    }
}

impl Value for &str {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self);
    }
}

impl Value for String {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self);
    }
}

/// As text: readers of JSON lose digits of such numbers.
impl Value for i128 {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&self.to_string());
    }
}

impl<T: Value> Value for Option<T> {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Some(value) => value.write(writer),
            None => writer.nothing(),
        }
    }
}

impl<T: Value> Value for [T] {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group('[', ']', |writer| {
            for item in self {
                if !std::mem::take(&mut writer.is_first) {
                    writer.out.push_str(if writer.style == Style::Json { "," } else { ", " });
                }
                let before = std::mem::replace(&mut writer.is_first, true);
                item.write(writer);
                writer.is_first = before;
            }
        });
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, writer: &mut Writer<'_>) {
        self.as_slice().write(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair;

    impl Value for Pair {
        fn write(&self, writer: &mut Writer<'_>) {
            writer.object(|writer| {
                writer.field("one", &1_u8);
                writer.field("two", &vec![Some("a\"\n\u{1b}"), None]);
            });
        }
    }

    fn written(style: Style) -> String {
        let words = Words::default();
        let mut writer = Writer::new(style, &words);
        writer.object(|writer| {
            writer.field("pair", &Pair);
            writer.field("wide", &i128::MIN);
            writer.field("pairs", &vec![Pair, Pair]);
            writer.field("is_last", &true);
        });
        writer.finish()
    }

    #[test]
    fn both_styles_say_the_same() {
        let json: serde_json::Value = serde_json::from_str(&written(Style::Json)).expect("JSON");
        let pair = serde_json::json!({"one": 1, "two": ["a\"\n\u{1b}", null]});
        let wide = i128::MIN.to_string();
        assert_eq!(json, serde_json::json!({"pair": pair, "wide": wide, "pairs": [pair, pair], "is_last": true}));
        let words = written(Style::Words);
        assert!(words.starts_with("{pair: {one: 1, two: [a\"??, none]}, wide: -1701"), "{words}");
        assert!(!words.contains('\u{1b}'), "{words}");
    }
}
